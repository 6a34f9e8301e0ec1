"""Every column and key that changes what a row means: honoured, refused or told, never nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from whet.core.records import Comparison, Conversation, Message, Origin, Record, prompt_in
from whet.data.layouts import LAYOUTS
from whet.data.layouts.examine import may_answer
from whet.data.layouts.fields import BadRow, Skipped, Told
from whet.data.layouts.meanings import COLUMNS, TURN_KEYS, Meaning
from whet.data.layouts.recognise import read_row, recognise

ORIGIN = Origin(source="rows.jsonl", row=0)
ASKED, ANSWERED = {"role": "user", "content": "3+2?"}, {"role": "assistant", "content": "5"}
BASES: dict[str, dict[str, Any]] = {
    "prompt and completion": {"prompt": "3+2?", "completion": "5"},
    "messages": {"messages": [ASKED, ANSWERED]},
    "ShareGPT": {"conversations": [{"from": "human", "value": "3+2?"}, {"from": "gpt", "value": "5"}]},
    "Alpaca": {"instruction": "3+2?", "output": "5"},
    "question and answer": {"question": "3+2?", "answer": "5"},
    "preferences": {"prompt": "3+2?", "chosen": "5", "rejected": "6"},
}
EACH_COLUMN = [(name, meaning) for meaning in COLUMNS for name in meaning.names]
EACH_KEY = [(name, meaning) for meaning in TURN_KEYS for name in meaning.names]


def read(row: Mapping[str, Any]) -> tuple[Record, list[str]]:
    layout = recognise(row)
    assert layout is not None
    parts = read_row(layout, row, ORIGIN, think=True)
    (record,) = (part for part in parts if not isinstance(part, Told | Skipped))
    return record, [part.what for part in parts if isinstance(part, Told)]


def _is_read(base: str, name: str) -> bool:
    """Whether the layout reads the column itself."""
    layout = recognise(BASES[base])
    assert layout is not None
    return name in layout.understands


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("name", "meaning"), EACH_COLUMN)
def test_a_column_has_its_effect_beside_every_layout(base: str, name: str, meaning: Meaning) -> None:
    row = BASES[base] | {name: meaning.example}
    if meaning.effect == "honoured" or recognise(row) != recognise(BASES[base]) or _is_read(base, name):
        return  # read by a layout, which has tests of its own
    if meaning.of_question and base in ("messages", "ShareGPT"):
        record, told = read(row)  # a whole conversation needs no more than itself
        assert (prompt_in(record).columns[name], told) == (meaning.example, [])
    elif meaning.of_imitated and base == "preferences":
        record, told = read(row)
        assert told == [f"{name}: false, beside completions that are compared, of which it says nothing"]
    elif meaning.effect == "refused":
        with pytest.raises(BadRow) as caught:
            read(row)
        assert caught.value.field == name
        assert caught.value.reason == f"{meaning.what}; to take such rows all the same, data.ignore: [{name}]"
    else:
        record, told = read(row)
        assert told == [f"{name}: {meaning.what}"]
        assert prompt_in(record).columns[name] == meaning.example


@pytest.mark.parametrize(("name", "meaning"), EACH_COLUMN)
def test_a_column_without_a_value_changes_nothing(name: str, meaning: Meaning) -> None:
    for empty in (None, "", [], {}):
        is_read = name.startswith(("system", "rejected_"))
        if is_read and empty is not None and not (name.startswith("system") and empty == ""):
            continue  # what a layout reads must be of its type
        assert read(BASES["messages"] | {name: empty})[1] == []


@pytest.mark.parametrize(("name", "meaning"), EACH_KEY)
def test_a_key_of_a_turn_has_its_effect(name: str, meaning: Meaning) -> None:
    row = {"messages": [ASKED, ANSWERED | {name: meaning.example}]}
    if meaning.effect == "honoured":
        return
    if meaning.effect == "refused":
        with pytest.raises(BadRow) as caught:
            read(row)
        assert caught.value.field == f"messages[1].{name}"
        assert caught.value.reason == f"{meaning.what}; to take such rows all the same, data.ignore: [{name}]"
    else:
        assert read(row)[1] == [f"{name} of a turn: {meaning.what}"]


def test_a_key_that_nobody_knows_is_told() -> None:
    record, told = read({"messages": [ASKED | {"lang": "en"}, ANSWERED | {"lang": "en", "mood": "", "id": 7}]})
    assert isinstance(record, Conversation)
    assert told == ["lang of a turn: a key that nothing reads", "id of a turn: a key that nothing reads"]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", ["system", "system_prompt"])
def test_a_system_text_is_the_first_turn_of_every_layout(base: str, name: str) -> None:
    record, told = read(BASES[base] | {name: "Be brief."})
    assert prompt_in(record).messages == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="3+2?"),
    )
    assert (name in prompt_in(record).columns, told) == (False, [])


def test_a_system_text_where_nobody_is_asked_is_told() -> None:
    record, told = read({"text": "Once upon a time", "system": "Be brief."})
    assert (prompt_in(record).messages, prompt_in(record).columns) == ((), {"system": "Be brief."})
    assert told == ["system: a system turn beside a text that nobody is asked for"]


def test_a_rejected_response_beside_other_rows_than_messages_is_refused() -> None:
    for base in ("prompt and completion", "ShareGPT", "Alpaca"):
        with pytest.raises(BadRow, match="which is read beside messages alone"):
            read(BASES[base] | {"rejected_response": "6"})


def test_a_system_text_beside_a_system_turn_must_be_the_same() -> None:
    turns = [{"role": "system", "content": "Be brief."}, ASKED, ANSWERED]
    assert len(prompt_in(read({"messages": turns, "system": "Be brief."})[0]).messages) == 2
    with pytest.raises(BadRow, match="another text than the system turn"):
        read({"messages": turns, "system": "Be long."})
    with pytest.raises(BadRow, match="another text than system"):
        read({"messages": turns, "system": "Be brief.", "system_prompt": "Be long."})


@pytest.mark.parametrize(
    ("value", "effect"),
    [
        (True, "taken"),
        (1, "taken"),
        ("true", "taken"),
        ("1", "taken"),
        (False, "refused"),
        (0, "refused"),
        ("False", "refused"),
        ("0", "refused"),
        ("positive", "told"),
        (3, "told"),
    ],
)
@pytest.mark.parametrize("name", ["label", "kto_tag"])
def test_a_verdict_in_each_spelling(name: str, value: Any, effect: str) -> None:
    row = BASES["messages"] | {name: value}
    if effect == "refused":
        with pytest.raises(BadRow, match="to avoid, not to imitate"):
            read(row)
    else:
        assert len(read(row)[1]) == (effect == "told")


def test_what_comes_beside_a_prompt_and_may_answer_it_is_refused_unless_an_answer_is_known() -> None:
    for name in ("response", "solution", "canonical_solution", "Output", "completions", "label"):
        with pytest.raises(BadRow, match=rf"data.columns: {{completion: {name}}} or {{answer: {name}}}"):
            read({"prompt": "3+2?", name: "5"})
    record, told = read({"prompt": "3+2?", "answer": 5, "solution": "It is 5.", "level": 2})
    assert prompt_in(record).answer == "5"
    assert prompt_in(record).columns == {"solution": "It is 5.", "level": 2}
    assert told == ["solution: it may hold an answer too, and is not read"]
    with pytest.raises(BadRow, match=r"data.columns: {prompt: text, completion: code}, or that"):
        read({"text": "Add two numbers.", "code": "a + b"})


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("ground_truth", True),
        ("referenceAnswer", True),
        ("response_1", True),
        ("LABEL", True),
        ("answer_type", False),
        ("solution_id", False),
        ("response_length", False),
        ("label_confidence", False),
        ("generated_by", False),
        ("text", True),
        ("content", True),
        ("prompt_text", False),
        ("gt", True),
        ("Loser", True),
        ("答案", True),
        ("Réponse", True),
        ("difficulty", False),
        ("kwargs", False),
    ],
)
def test_names_that_may_answer(name: str, may: bool) -> None:
    assert may_answer(name) is may


def test_what_a_person_named_is_not_asked_about_again() -> None:
    layout = recognise(BASES["question and answer"])
    assert layout is not None
    row = BASES["question and answer"] | {"options": ["A) 5"], "passage": "Sums."}
    with pytest.raises(BadRow, match="a part of the question"):
        read_row(layout, row, ORIGIN, think=True, named={"options"})
    (record,) = read_row(layout, row, ORIGIN, think=True, named={"options", "passage"})
    assert not isinstance(record, Told | Skipped)
    assert set(prompt_in(record).columns) == {"options", "passage"}


def test_a_context_that_a_layout_reads_itself_is_no_matter() -> None:
    """HelpSteer3's context is the conversation, Alpaca's input and history are parts of its prompt."""
    judged = {"context": [ASKED], "response1": "5", "response2": "6", "overall_preference": -2}
    record, told = read(judged)
    assert isinstance(record, Comparison)
    assert (record.chosen, told) == ("5", [])
    alpaca, told = read({"instruction": "Add", "input": "3 and 2", "output": "5", "history": [["Hi", "Yo"]]})
    assert (len(prompt_in(alpaca).messages), told) == (3, [])


def test_of_a_benchmark_only_the_questions_matter() -> None:
    for row in ({"prompt": "3+2?", "canonical_solution": "5"}, BASES["question and answer"] | {"choices": ["5", "6"]}):
        layout = recognise(row)
        assert layout is not None
        record, told = read_row(layout, row, ORIGIN, think=True, strict=False)
        assert not isinstance(record, Told | Skipped)
        assert prompt_in(record).text == "3+2?"
        assert isinstance(told, Told)
        assert told.what.startswith(f"{list(row)[-1]}: ")


def test_the_tables_in_the_docs_are_these() -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    for meanings in (COLUMNS, TURN_KEYS):
        lines = (f"| `{' '.join(one.names)}` | {one.effect} | {one.what} | {one.used_by} |\n" for one in meanings)
        assert "| --- | --- | --- | --- |\n" + "".join(lines) in page, "write docs/data.md's tables again"


def test_every_layout_stands_in_the_docs_by_its_columns() -> None:
    page = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    for layout in LAYOUTS:
        if layout.name not in ("steps with labels", "single messages of trees"):  # these refuse
            assert f"`{' '.join(layout.columns)}" in page, layout.name
