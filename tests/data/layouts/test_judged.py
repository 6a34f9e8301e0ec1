"""Judged pairs: of every published form which side wins, ties left out and told, what is uncertain refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from whet.core.records import Comparison, Message, Origin
from whet.data.layouts.fields import BadRow, Skipped
from whet.data.layouts.judged import JUDGED
from whet.data.layouts.recognise import read_row, recognise

ORIGIN = Origin(source="rows.jsonl", row=0)


def read(row: Mapping[str, Any]) -> tuple[str, Any]:
    """The form's name and its one part."""
    layout = recognise(row)
    assert layout is not None
    (part,) = read_row(layout, row, ORIGIN, think=True)
    return layout.name, part


def turns(*said: str) -> list[dict[str, str]]:
    return [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(said)]


# Form -> a row in which the first side (good) wins, verdicts for the second and for a tie.
FORMS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None]] = {
    "judged pairs (LLMBar)": (
        {"input": "3+2?", "output_1": "5", "output_2": "6", "label": 1},
        {"label": "2"},
        None,
    ),
    "judged pairs (PandaLM)": (
        {
            "instruction": "3+2?",
            "response1": "5",
            "response2": "6",
            "annotator1": 1,
            "annotator2": 1,
            "annotator3": 0,
        },
        {"annotator1": 2, "annotator3": 2},
        {"annotator1": 0, "annotator2": 2},
    ),
    "judged conversations (Chatbot Arena)": (
        {
            "model_a": "x",
            "model_b": "y",
            "winner": "model_a",
            "conversation_a": turns("3+2?", "5"),
            "conversation_b": turns("3+2?", "6"),
        },
        {"winner": "model_b"},
        {"winner": "tie (bothbad)"},
    ),
    "judged pairs (Arena, flags)": (
        {
            "prompt": '["3+2?"]',
            "response_a": '["5"]',
            "response_b": '["6"]',
            "winner_model_a": 1,
            "winner_model_b": 0,
            "winner_tie": 0,
        },
        {"winner_model_a": 0, "winner_model_b": "1"},
        {"winner_model_a": 0, "winner_tie": 1},
    ),
    "judged pairs (winner)": (
        {"prompt": "3+2?", "response_a": "5", "response_b": "6", "winner": "A"},
        {"winner": "response_b"},
        {"winner": "Tie"},
    ),
    "judged pairs (Tulu)": (
        {"prompt": "3+2?", "completion_a": "5", "completion_b": "6", "preference": "a-is-slightly-better"},
        {"preference": "b-is-better"},
        {"preference": "tie"},
    ),
    "judged pairs (SafeRLHF)": (
        {"prompt": "3+2?", "response_0": "5", "response_1": "6", "better_response_id": 0, "safer_response_id": 1},
        {"better_response_id": 1},
        None,
    ),
    "judged pairs (HelpSteer2)": (
        {"prompt": "3+2?", "response_1": "5", "response_2": "6", "preference_strength": -2},
        {"preference_strength": 1},
        {"preference_strength": 0},
    ),
    "judged pairs (HelpSteer3)": (
        {"context": turns("3+2?"), "response1": "5", "response2": "6", "overall_preference": -1},
        {"overall_preference": 3},
        {"overall_preference": 0},
    ),
    "judged pairs (WebGPT)": (
        {"question": {"full_text": "3+2?"}, "answer_0": "5", "answer_1": "6", "score_0": 0.5, "score_1": -0.5},
        {"score_0": -1},
        {"score_0": -0.5},
    ),
    "judged pairs (SHP)": (
        {"history": "3+2?", "human_ref_A": "5", "human_ref_B": "6", "labels": 1},
        {"labels": 0},
        None,
    ),
}


def test_every_form_has_a_row_here() -> None:
    assert [form.name for form in JUDGED] == list(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_the_side_that_wins_is_chosen(name: str) -> None:
    row, second, tie = FORMS[name]
    for verdict, texts in (({}, ("5", "6")), (second, ("6", "5"))):
        found, record = read(row | verdict)
        assert found == name
        assert isinstance(record, Comparison)
        assert record.prompt.messages == (Message(role="user", content="3+2?"),)
        assert (record.chosen, record.rejected) == texts
    if tie is not None:
        found, part = read(row | tie)
        assert (found, type(part)) == (name, Skipped)
        assert "neither is better" in part.reason


@pytest.mark.parametrize(
    ("name", "change", "field", "reason"),
    [
        ("judged pairs (LLMBar)", {"label": 0}, "label", "none of 1, 2"),
        ("judged pairs (LLMBar)", {"label": True}, "label", "none of 1, 2"),
        ("judged pairs (LLMBar)", {"label": "good"}, "label", "'good' is none of"),
        ("judged pairs (LLMBar)", {"output_2": " 5\n"}, "output_2", "the same text as output_1 but for blanks"),
        ("judged pairs (PandaLM)", {"annotator2": 3}, "annotator2", "none of 1, 2, 0"),
        ("judged conversations (Chatbot Arena)", {"winner": "gpt-4"}, "winner", "'gpt-4' is none of"),
        (
            "judged conversations (Chatbot Arena)",
            {"conversation_b": turns("4+2?", "6")},
            "conversation_b",
            "its turns differ from conversation_a",
        ),
        ("judged pairs (Arena, flags)", {"winner_tie": 1}, "winner_model_a", "2 of winner_model_a"),
        ("judged pairs (Arena, flags)", {"winner_tie": 0.5}, "winner_tie", "0 or 1 was expected"),
        ("judged pairs (Arena, flags)", {"prompt": '["a", "b"]'}, "prompt", "2 turns; which of them"),
        ("judged pairs (Tulu)", {"preference": "a-is-worse"}, "preference", "a-is-better, b-is-better or tie"),
        ("judged pairs (Tulu)", {"completion_b": ""}, "completion_b", "empty"),
        ("judged pairs (HelpSteer2)", {"preference_strength": "2"}, "preference_strength", "not a number"),
        ("judged pairs (WebGPT)", {"question": {"text": "?"}}, "question", "not text but dict"),
    ],
)
def test_what_is_not_certain_is_refused(name: str, change: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        read(FORMS[name][0] | change)
    assert caught.value.field == field
    assert reason in caught.value.reason


def test_three_judges_of_three_opinions_are_no_majority() -> None:
    row = FORMS["judged pairs (PandaLM)"][0]
    for votes in ((1, 2, 0), (2, 0, 1), (0, 1, 2)):
        part = read(row | {f"annotator{number}": vote for number, vote in enumerate(votes, 1)})[1]
        assert isinstance(part, Skipped)


def test_a_turn_says_which_answer_was_judged() -> None:
    """MT-Bench has both turns in each conversation, and votes on the first alone or on the second."""
    row = FORMS["judged conversations (Chatbot Arena)"][0] | {
        "conversation_a": turns("3+2?", "5", "And 1?", "6"),
        "conversation_b": turns("3+2?", "7", "And 1?", "8"),
    }
    _, record = read(row | {"turn": 1})
    assert isinstance(record, Comparison)
    assert (record.prompt.text, record.chosen, record.rejected) == ("3+2?", "5", "7")
    with pytest.raises(BadRow, match="its turns differ"):
        read(row | {"turn": 2})
    same = row | {"conversation_b": turns("3+2?", "5", "And 1?", "8"), "turn": 2}
    _, record = read(same)
    assert isinstance(record, Comparison)
    assert ([turn.content for turn in record.prompt.messages], record.rejected) == (["3+2?", "5", "And 1?"], "8")
