"""Turns: thoughts that become a part of the answer, answers that are context, parts of content, speakers."""

from typing import Any

import pytest

from whet.core.records import Conversation, Origin
from whet.data.layouts.fields import BadRow, Skipped, Told
from whet.data.layouts.recognise import read_row, recognise
from whet.data.layouts.turns import Turn, last_answer, turns_in, turns_of

ORIGIN = Origin(source="rows.jsonl", row=0)
ASKED = {"role": "user", "content": "3+2?"}


def parts(turns: list[Any]) -> tuple[Conversation, list[Skipped], list[str]]:
    row = {"messages": turns}
    layout = recognise(row)
    assert layout is not None
    read = read_row(layout, row, ORIGIN, think=True)
    (record,) = (part for part in read if isinstance(part, Conversation))
    skipped = [part for part in read if isinstance(part, Skipped)]
    return record, skipped, [part.what for part in read if isinstance(part, Told)]


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_thoughts_stand_before_the_words_of_the_last_answer(key: str) -> None:
    record, skipped, told = parts([ASKED, {"role": "assistant", key: "\n3+2=5\n", "content": "5"}])
    assert record.completion == "<think>\n3+2=5\n</think>\n\n5"
    assert (skipped, told) == ([], [])


def test_thoughts_of_an_earlier_answer_are_left_out_and_told() -> None:
    turns = [
        ASKED,
        {"role": "assistant", "reasoning_content": "hm", "content": "5"},
        ASKED,
        {"role": "assistant", "content": "Still 5."},
    ]
    record, _, told = parts(turns)
    assert [turn.content for turn in record.prompt.messages] == ["3+2?", "5", "3+2?"]
    assert record.completion == "Still 5."
    left_out = "thoughts of an answer before the last one; left out, as chat templates leave them out"
    assert told == [f"reasoning_content of a turn: {left_out}"]
    # An answer that is not to be learned is not the last one: the thoughts before it are the completion's.
    record, skipped, told = parts([*turns[:3], turns[3] | {"weight": 0}])
    assert (record.completion, told) == ("<think>\nhm\n</think>\n\n5", [])
    assert [part.reason for part in skipped] == ["turns behind the last answer: 2"]


@pytest.mark.parametrize("key", ["weight", "train", "training", "loss", "loss_scale"])
@pytest.mark.parametrize("value", [0, 0.0, False])
def test_an_answer_that_is_not_to_be_learned_is_context(key: str, value: Any) -> None:
    said = {"role": "assistant", "content": "Go away", key: value}
    record, skipped, _ = parts([ASKED, said, ASKED, {"role": "assistant", "content": "5", key: 1}])
    assert ([turn.content for turn in record.prompt.messages][1], record.completion) == ("Go away", "5")
    assert [turn.is_learned for turn in record.prompt.messages] == [True, False, True]
    assert skipped == []
    with pytest.raises(BadRow, match="every answer has weight 0"):
        parts([ASKED, said])


@pytest.mark.parametrize("value", [0.5, 2, "0", "no", [0]])
def test_a_weight_between_is_refused(value: Any) -> None:
    with pytest.raises(BadRow, match="an answer is learned or not") as caught:
        parts([ASKED, {"role": "assistant", "content": "5", "weight": value}])
    assert caught.value.field == "messages[1].weight"


def test_a_users_turn_that_is_to_be_learned_is_told() -> None:
    _, _, told = parts([ASKED | {"train": True}, {"role": "assistant", "content": "5", "train": True}])
    assert told == [
        "train of a turn: it says that another turn than the assistant's is to be learned; only answers are"
    ]
    assert parts([ASKED | {"train": False}, {"role": "assistant", "content": "5"}])[2] == []


@pytest.mark.parametrize("name", ["text", "content", "value"])
def test_a_part_has_its_text_under_any_of_three_names(name: str) -> None:
    content = [{"type": "text", name: "It is "}, {"type": "output_text", name: "5."}]
    assert parts([ASKED, {"role": "assistant", "content": content}])[0].completion == "It is 5."


def test_thoughts_may_be_a_part_too() -> None:
    for thought in ("3+2=5", [{"type": "text", "text": "3+2=5"}]):
        content = [{"type": "thinking", "thinking": thought}, {"type": "text", "text": "5"}]
        record, _, _ = parts([ASKED, {"role": "assistant", "content": content}])
        assert record.completion == "<think>\n3+2=5\n</think>\n\n5"


@pytest.mark.parametrize(
    ("turn", "field", "reason"),
    [
        ({"role": "user", "content": "a", "thinking": "b"}, "messages[1].thinking", "thoughts in a turn of the user"),
        (
            {"role": "assistant", "content": "<think>a</think>b", "reasoning": "a"},
            "messages[1].content",
            "holds <think> beside",
        ),
        (
            {"role": "assistant", "content": "b", "reasoning": "a", "thinking": "c"},
            "messages[1].thinking",
            "thoughts stand twice",
        ),
        ({"role": "assistant", "content": "b", "reasoning": 5}, "messages[1].reasoning", "not text but int"),
        (
            {"role": "assistant", "content": [{"type": "text", "text": "a", "train": False}]},
            "messages[1].content[0]",
            "an answer is learned whole or not at all",
        ),
        (
            {"role": "assistant", "content": [{"type": "text", "text": "a", "value": "b"}]},
            "messages[1].content[0]",
            "text and value",
        ),
        ({"role": "assistant", "content": [{"type": "text"}]}, "messages[1].content[0].text", "missing"),
        ({"role": "assistant", "content": ["a"]}, "messages[1].content[0]", "'str'"),
        ({"from": "function_call", "value": "{}"}, "messages[1].from", "a call of a tool"),
    ],
)
def test_what_a_turn_may_not_hold(turn: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        parts([ASKED, turn, {"role": "assistant", "content": "x"}])
    assert caught.value.field == field
    assert reason in caught.value.reason


def test_keys_of_parts_and_parts_of_questions() -> None:
    """What a question holds is context whatever is said of learning it."""
    content = [{"type": "text", "text": "3+2?", "train": False, "cache_control": {}, "b": 1}]
    record, _, told = parts([ASKED | {"content": content}, {"role": "assistant", "content": "5"}])
    assert record.prompt.text == "3+2?"
    assert told == ["b of a part: a key that nothing reads", "cache_control of a part: a key that nothing reads"]


def test_speakers_in_any_case_and_of_every_program() -> None:
    names = ("Human", "USER", "prompter", "ipython", "tool_response", "Assistant", "ai")
    roles = [turn.role for name in names for turn in turns_of([{"from": name, "value": "a"}], "x")]
    assert roles == ["user", "user", "user", "tool", "tool", "assistant", "assistant"]


def test_the_last_answer_must_be_the_assistants_and_learned() -> None:
    answer = Turn(role="assistant", content="5", reasoning="hm")
    assert last_answer([Turn(role="user", content="3+2?"), answer], "chosen")[1] == "<think>\nhm\n</think>\n\n5"
    with pytest.raises(BadRow, match="ends with a turn of the user"):
        last_answer([answer, Turn(role="user", content="3+2?")], "chosen")
    with pytest.raises(BadRow, match="not to be learned"):
        last_answer([Turn(role="assistant", content="5", is_learned=False)], "chosen")


def test_turns_in_a_cell() -> None:
    assert list(turns_in([3, ASKED, {"content": "no speaker"}], "x")) == [("x[1]", ASKED)]
    assert list(turns_in(ASKED, "chosen")) == [("chosen", ASKED)]
    assert list(turns_in({"messages": [ASKED], "tools": []}, "input")) == [("input.messages[0]", ASKED)]
    assert not [*turns_in("text", "x"), *turns_in(None, "x"), *turns_in({"messages": 5}, "x")]
