"""A conversation tree to rankings and conversations: worked by hand, the malformed kinds, and the real file."""

from pathlib import Path
from typing import Any

import pytest

from whet.core.recipe import DataSettings
from whet.core.records import Conversation, Origin, Ranking, prompt_in
from whet.data.layouts import LAYOUTS
from whet.data.layouts.fields import BadRow, Skipped
from whet.data.layouts.recognise import read_row, recognise
from whet.data.layouts.trees import TREE_COLUMN
from whet.data.sources.read import read_sources

REAL = Path(__file__).parents[4] / "shared" / "data" / "oasst_trees" / "en_100_tree.jsonl"
TREES = next(layout for layout in LAYOUTS if TREE_COLUMN in layout.columns and "prompt" in layout.columns)
ORIGIN = Origin(source="trees.jsonl", row=4)


def asks(text: str, *replies: Any, **fields: Any) -> dict[str, Any]:
    return {"text": text, "role": "prompter", "replies": list(replies)} | fields


def says(text: str, rank: Any = None, *replies: Any, **fields: Any) -> dict[str, Any]:
    return {"text": text, "role": "assistant", "rank": rank, "replies": list(replies)} | fields


def tree(root: Any) -> dict[str, Any]:
    return {"message_tree_id": "t1", "tree_state": "ready_for_export", "prompt": root}


def read(root: Any) -> tuple[list[tuple[list[str], tuple[int, ...]]], list[list[str]], list[tuple[str | None, str]]]:
    """Rankings as (texts of the prompt and then of the completions, ranks), conversations as texts, what was left."""
    rankings, conversations, left = [], [], []
    for part in read_row(TREES, tree(root), ORIGIN, think=True):
        if isinstance(part, Skipped):
            left.append((part.field, part.reason))
            continue
        asked = [turn.content for turn in prompt_in(part).messages]
        assert prompt_in(part).origin == ORIGIN
        assert prompt_in(part).columns == {"message_tree_id": "t1", "tree_state": "ready_for_export"}
        if isinstance(part, Ranking):
            rankings.append(([*asked, *part.completions], part.ranks))
        else:
            assert isinstance(part, Conversation)
            conversations.append([*asked, part.completion])
    return rankings, conversations, left


def test_a_tree_by_hand() -> None:
    # Q - a(1) - "why?" - x(0), y(1)          off the best path: a ranking, no conversation
    #   - b(0) - "more?" - c                  on it: one reply, nobody ranked it
    #          - "stop"  - d(2), e(0), f(2)   ranks have a gap and a tie
    root = asks(
        "Q",
        says("a", 1, asks("why?", says("x", 0), says("y", 1))),
        says("b", 0, asks("more?", says("c")), asks("stop", says("d", 2), says("e", 0), says("f", 2))),
    )
    rankings, conversations, left = read(root)
    assert rankings == [
        (["Q", "b", "a"], (0, 1)),
        (["Q", "a", "why?", "x", "y"], (0, 1)),
        (["Q", "b", "stop", "e", "d", "f"], (0, 1, 1)),
    ]
    assert conversations == [["Q", "b"], ["Q", "b", "more?", "c"], ["Q", "b", "stop", "e"]]
    assert left == []


def test_replies_that_nobody_ranked_or_that_are_tied_are_all_best() -> None:
    assert read(asks("Q", says("a"), says("b"))) == ([], [["Q", "a"], ["Q", "b"]], [])
    rankings, conversations, left = read(asks("Q", says("a", 0), says("b", 0)))
    assert (rankings, conversations) == ([], [["Q", "a"], ["Q", "b"]])
    assert left == [("prompt.replies", "no ranking: all replies are tied")]


def test_a_null_rank_beside_ranks_is_named() -> None:
    rankings, conversations, left = read(asks("Q", says("a", 1), says("b"), says("c", 0)))
    assert rankings == [(["Q", "c", "a"], (0, 1))]
    assert conversations == [["Q", "c"]]
    assert left == [("prompt.replies[1].rank", "not in the ranking: null beside replies that have a rank")]


def test_deleted_synthetic_and_refused_messages_go_with_what_answers_them() -> None:
    below = asks("and?", says("z"))
    root = asks(
        "Q",
        says("a", 0, below, deleted=True),
        says("b", 1, below, synthetic=True),
        says("c", 2, below, review_result=False),
        says("d", 3),
        says("e", 4, review_result=None),
    )
    rankings, conversations, left = read(root)
    assert rankings == [(["Q", "d", "e"], (0, 1))]
    assert conversations == [["Q", "d"]]
    assert [(field, reason.split()[0]) for field, reason in left] == [
        ("prompt.replies[0]", "deleted,"),
        ("prompt.replies[1]", "synthetic"),
        ("prompt.replies[2]", "refused"),
    ]


@pytest.mark.parametrize(
    ("bad", "field", "reason"),
    [
        ("text", "prompt.replies[1]", "not a message but str"),
        (says(""), "prompt.replies[1].text", "empty"),
        (says("\ud800"), "prompt.replies[1].text", "lone surrogate"),
        ({"role": "assistant"}, "prompt.replies[1].text", "missing or null"),
        (asks("me again"), "prompt.replies[1].role", "a turn of the user where the assistant's was expected"),
        ({"text": "hi", "role": "wizard"}, "prompt.replies[1].role", "unknown role 'wizard'"),
        (says("a", "best"), "prompt.replies[1].rank", "not a whole number"),
        (says("a", 0.5), "prompt.replies[1].rank", "not a whole number"),
        (says("a", float("nan")), "prompt.replies[1].rank", "not a whole number"),
        (says("a", -1), "prompt.replies[1].rank", "not a whole number"),
        (says("a", True), "prompt.replies[1].rank", "not a whole number"),
        (says("good", 1), "prompt.replies", "no ranking: the same reply has two ranks"),
        (says("a", 1.0) | {"replies": "none"}, "prompt.replies[1].replies", "not a list but str"),
    ],
)
def test_a_malformed_message_costs_its_branch_and_is_named(bad: Any, field: str, reason: str) -> None:
    _, conversations, left = read(asks("Q", says("good", 0), bad))
    assert conversations == [["Q", "good"]]
    assert left[0][0] == field
    assert reason in left[0][1]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        (tree("Q"), "prompt", "not a message with text"),
        (tree(asks("")), "prompt.text", "empty"),
        (tree(says("a")), "prompt.role", "where the user's was expected"),
        (tree(asks("Q")), "prompt.replies", "no reply of the assistant"),
        (tree(asks("Q", says("", 0))), "prompt.replies[0].text", "empty"),
        (tree(asks("Q", says("a"))) | {"message_tree_id": 7}, "message_tree_id", "not text"),
        (tree(None), "prompt", "missing or null"),
    ],
)
def test_a_tree_without_a_usable_reply_is_refused(row: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(BadRow, match=reason) as caught:
        read_row(TREES, row, ORIGIN, think=True)
    assert caught.value.field == field


def test_a_tree_that_a_model_wrote_is_left_out_and_not_refused() -> None:
    assert read(asks("Q", says("a"), synthetic=True)) == (
        [],
        [],
        [("prompt", "synthetic (written by a model), with all that answers it")],
    )


def test_a_deep_tree_needs_no_recursion() -> None:
    root = node = asks("Q")
    for _ in range(1200):
        below = asks("more?")
        node["replies"] = [says("a", None, below)]
        node = below
    assert len(read(root)[1]) == 1200


def test_a_prompt_and_completion_is_no_tree() -> None:
    layout = recognise({"message_tree_id": "t", "prompt": "a", "completion": "b"})
    assert layout is not None
    assert layout.name == "prompt and completion"


@pytest.mark.skipif(not REAL.is_file(), reason="the real data sets are not beside the repository")
def test_the_open_assistant_trees() -> None:
    (source,) = read_sources(str(REAL), DataSettings(), seed=0)
    rankings = [record for record in source.records if isinstance(record, Ranking)]
    conversations = [record for record in source.records if isinstance(record, Conversation)]
    assert (source.rows, source.rejected) == (100, ())
    # 754 ordered pairs in the file, 22 of them in the 5 trees that a model wrote (3 + 6 + 1 + 6 + 6).
    assert sum(len(ranking.comparisons()) for ranking in rankings) == 754 - 22
    assert len([part for part in source.skipped if part.field == "prompt"]) == 5
    assert len({record.prompt.columns[TREE_COLUMN] for record in (*rankings, *conversations)}) == 95
    assert all(record.prompt.messages[-1].role == "user" for record in (*rankings, *conversations))
    best = {(ranking.prompt.id, ranking.completions[0]) for ranking in rankings}
    ranked = {ranking.prompt.id for ranking in rankings}
    assert all((record.prompt.id, record.completion) in best for record in conversations if record.prompt.id in ranked)
