"""Comparisons in the forms of the largest programs, and pairs that nobody can tell apart."""

from collections.abc import Mapping
from typing import Any

import pytest

from whet.core.records import Comparison, Origin
from whet.data.layouts.fields import BadRow, Told
from whet.data.layouts.recognise import read_row, recognise

ORIGIN = Origin(source="rows.jsonl", row=0)
ASKED = {"role": "user", "content": "3+2?"}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def read(row: Mapping[str, Any]) -> tuple[Comparison, list[str]]:
    layout = recognise(row)
    assert layout is not None
    parts = read_row(layout, row, ORIGIN, think=True)
    (record,) = (part for part in parts if isinstance(part, Comparison))
    return record, [part.what for part in parts if isinstance(part, Told)]


@pytest.mark.parametrize(
    "row",
    [
        # LLaMA-Factory: turns, and each side an object
        {
            "conversations": [{"from": "human", "value": "3+2?"}],
            "chosen": {"from": "gpt", "value": "5"},
            "rejected": {"from": "gpt", "value": "6"},
        },
        # Axolotl's chat_template.default
        {"messages": [ASKED], "chosen": said("5"), "rejected": said("6")},
        {"messages": [ASKED], "chosen": "5", "rejected": "6"},
        # Axolotl's ultra: a prompt, and sides that repeat it
        {"prompt": "3+2?", "chosen": [ASKED, said("5")], "rejected": [ASKED, said("6")]},
        # TRL, and sides of two shapes
        {"prompt": [ASKED], "chosen": [said("5")], "rejected": [said("6")]},
        {"prompt": "3+2?", "chosen": "5", "rejected": [said("6")]},
        {"question": "3+2?", "chosen": "5", "rejected": "6"},
        {"input": "3+2?", "chosen": "5", "rejected": "6"},
        # ms-swift
        {"messages": [ASKED, said("5")], "rejected_response": "6"},
        {"messages": [ASKED, said("5")], "rejected_response": [said("6")]},
        {"messages": [ASKED, said("5")], "rejected_messages": [ASKED, said("6")]},
    ],
)
def test_the_prompt_and_both_sides(row: dict[str, Any]) -> None:
    record, told = read(row)
    assert (record.prompt.text, record.chosen, record.rejected) == ("3+2?", "5", "6")
    assert told == []


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"prompt": "?", "chosen": "5", "rejected": "5"}, "rejected", "the same text as chosen"),
        ({"prompt": "?", "chosen": "5", "rejected": " 5\n"}, "rejected", "the same text as chosen but for blanks"),
        ({"prompt": "?", "chosen": "ice cream", "rejected": "icecream"}, "rejected", "but for blanks"),
        ({"prompt": "?", "chosen": "é\u200b", "rejected": "é"}, "rejected", "but for blanks"),
        (
            {
                "input": {"messages": [ASKED]},
                "preferred_output": [said("5")],
                "non_preferred_output": [said("5 ")],
            },
            "non_preferred_output",
            "the same text as preferred_output but for blanks",
        ),
        (
            {"input": {"messages": [ASKED], "tools": [{}]}, "preferred_output": [], "non_preferred_output": []},
            "input.tools",
            "descriptions of tools",
        ),
        ({"messages": [ASKED, said("5")], "rejected_response": "5\t"}, "rejected_response", "but for blanks"),
        (
            {"messages": [ASKED, said("5")], "rejected_response": [ASKED, said("6")]},
            "rejected_response",
            "whose place in the conversation is not certain",
        ),
        (
            {"messages": [ASKED, said("5")], "rejected_messages": [said("?"), said("6")]},
            "rejected_messages",
            "its turns differ from messages",
        ),
        ({"messages": [ASKED, said("5")], "chosen": "5", "rejected": "6"}, "messages", "ends with an answer"),
        ({"chosen": said("5"), "rejected": said("6")}, "prompt", "missing, and chosen holds no turn of the user"),
        (
            {"prompt": "?", "chosen": "5", "rejected": "6", "score_chosen": 1, "score_rejected": 2},
            "score_chosen",
            "says that rejected is the better one",
        ),
    ],
)
def test_pairs_that_teach_nothing_or_the_contrary(row: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        read(row)
    assert caught.value.field == field
    assert reason in caught.value.reason


def test_scores_of_both_sides() -> None:
    row = {"prompt": "?", "chosen": "5", "rejected": "6"}
    record, told = read(row | {"chosen_rating": 5.0, "rejected_rating": 4})
    assert (record.margin, told) == (None, [])
    _, told = read(row | {"score_chosen": 7, "score_rejected": 7.0})
    assert told == ["score_chosen and score_rejected are equal; chosen was believed"]


def test_thoughts_of_both_sides_are_a_part_of_them() -> None:
    record, _ = read({"prompt": "3+2?", "chosen": [said("5") | {"reasoning": "hm"}], "rejected": [said("6")]})
    assert record.chosen == "<think>\nhm\n</think>\n\n5"
