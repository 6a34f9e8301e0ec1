"""Rankings as ranks, scores and graded objects; what nobody graded is told, what cannot be told apart is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from whet.core.records import Comparison, Origin, Ranking, prompt_in
from whet.data.layouts.fields import BadRow, Skipped
from whet.data.layouts.layout import Part
from whet.data.layouts.recognise import read_row, recognise

ORIGIN = Origin(source="rows.jsonl", row=0)


def read(row: Mapping[str, Any]) -> tuple[str, tuple[Part, ...]]:
    layout = recognise(row)
    assert layout is not None
    return layout.name, read_row(layout, row, ORIGIN, think=True)


def ranked(row: Mapping[str, Any]) -> dict[str, int]:
    _, (record, *_) = read(row)
    assert isinstance(record, Ranking)
    assert record.prompt.text == "3+2?"
    return dict(zip(record.completions, record.ranks, strict=True))


def refused(row: Mapping[str, Any]) -> tuple[str | None, str]:
    with pytest.raises(BadRow) as caught:
        read(row)
    return caught.value.field, caught.value.reason


def test_of_scores_the_highest_is_best_and_equal_ones_are_ties() -> None:
    row = {"prompt": "3+2?", "completions": ["6", "5", "?", "7"], "scores": [0.5, 2, -1, 0.5]}
    assert ranked(row) == {"6": 1, "5": 0, "?": 2, "7": 1}


def test_a_completion_without_a_score_is_not_ranked_and_told() -> None:
    name, parts = read({"prompt": "3+2?", "completions": ["6", "5", "?"], "scores": [0, 1, None]})
    assert name == "rankings by scores"
    assert isinstance(parts[0], Ranking)
    assert parts[0].completions == ("6", "5")
    assert parts[1:] == (Skipped("scores[2]", "not in the ranking: null beside completions that have a grade"),)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # Nectar
        ({"prompt": "3+2?", "answers": [{"answer": "5", "rank": 1.0}, {"answer": "6", "rank": 2.0}]}, (0, 1)),
        # Stack Exchange
        ({"question": "3+2?", "answers": [{"text": "5", "pm_score": 9}, {"text": "6", "pm_score": 1}]}, (0, 1)),
        # UltraFeedback, with one of its grades
        (
            {"instruction": "3+2?", "completions": [{"response": "5", "rating": 4}, {"response": "6", "rating": 5}]},
            (1, 0),
        ),
        # NeMo-RL
        (
            {
                "context": [{"role": "user", "content": "3+2?"}],
                "completions": [
                    {"rank": 0, "completion": [{"role": "assistant", "content": "5"}]},
                    {"rank": 1, "completion": [{"role": "assistant", "content": "6"}]},
                ],
            },
            (0, 1),
        ),
        ({"prompt": "3+2?", "responses": [{"content": "5", "score": 0}, {"content": "6", "score": 0.1}]}, (1, 0)),
    ],
)
def test_objects_with_a_grade_each(row: dict[str, Any], expected: tuple[int, int]) -> None:
    assert ranked(row) == dict(zip("56", expected, strict=True))


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"prompt": "?", "completions": ["5", "6"], "scores": [1]}, "scores", "1 scores for 2"),
        ({"prompt": "?", "completions": ["5", "6"], "scores": [1, "2"]}, "scores[1]", "not a number but str"),
        ({"prompt": "?", "completions": ["5", "6"], "scores": [1, True]}, "scores[1]", "not a number but bool"),
        ({"prompt": "?", "completions": ["5", "6"], "scores": [1, 1]}, "scores", "nothing is better"),
        ({"prompt": "?", "completions": ["5", "6"], "scores": [None, None]}, "scores", "nothing has a grade"),
        ({"prompt": "?", "completions": ["5", "6"], "scores": 5}, "scores", "not a list but int"),
        ({"prompt": "?", "completions": ["5", " 5 "], "scores": [1, 2]}, "scores", "but for blanks, has two ranks"),
        ({"prompt": "?", "completions": ["5", "5\n"], "ranks": [0, 1]}, "ranks", "but for blanks, has two ranks"),
        (
            {"prompt": "?", "answers": [{"answer": "5", "rank": 1, "score": 1}, {"answer": "6", "rank": 2}]},
            "answers[0]",
            "several grades, rank and score",
        ),
        ({"prompt": "?", "answers": [{"rank": 1}, {"rank": 2}]}, "answers[0]", "no text under any of"),
        ({"prompt": "?", "completions": ["a", "b"], "labels": [True, False]}, "labels", "process reward models"),
    ],
)
def test_rankings_that_are_not_certain(row: dict[str, Any], field: str, reason: str) -> None:
    found = refused(row)
    assert found[0] == field
    assert reason in found[1]


def test_completions_without_ranks_are_no_bare_prompt() -> None:
    """`ranks: null`, or scores under a name that nobody knows."""
    for row in (
        {"prompt": "?", "completions": ["5", "6"], "ranks": None},
        {"prompt": "?", "completions": ["5", "6"], "quality": [1, 2]},
        {"prompt": "?", "answers": ["5", "6"]},
    ):
        assert "may hold the answer or the completion" in refused(row)[1]


def test_pairs_of_one_prompt() -> None:
    pairs = [{"chosen": "5", "rejected": "6", "margin": 1}, {"chosen": "5", "rejected": "5 "}, ["5", "7"]]
    name, parts = read({"prompt": "3+2?", "pairs": pairs, "level": 2})
    assert name == "pairs of a prompt"
    (record,) = (part for part in parts if isinstance(part, Comparison))
    assert (record.chosen, record.rejected, record.margin) == ("5", "6", 1.0)
    assert prompt_in(record).columns == {"level": 2}
    assert [(part.field, part.reason[:30]) for part in parts if isinstance(part, Skipped)] == [
        ("pairs[1].rejected", "the same text as pairs[1].chos"),
        ("pairs[2]", "not an object with chosen and "),
    ]
    assert refused({"prompt": "?", "pairs": [["5", "6"]]})[0] == "pairs[0]"
    assert refused({"prompt": "?", "pairs": []}) == ("pairs", "no pairs")
    assert refused({"prompt": "?", "pairs": "5>6"}) == ("pairs", "not a list of pairs")
    assert "sides of several turns" in refused({"prompt": "?", "pairs": [_sides_of_turns()]})[1]


def _sides_of_turns() -> dict[str, Any]:
    asked = {"role": "user", "content": "a"}
    return {side: [asked, {"role": "assistant", "content": side}] for side in ("chosen", "rejected")}
