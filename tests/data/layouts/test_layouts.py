"""Every layout from its columns, and every kind of row that is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from whet.core.records import Comparison, Conversation, Message, Origin, Prompt, Ranking, Record
from whet.data.layouts import LAYOUTS
from whet.data.layouts.fields import BadRow, Skipped, Told
from whet.data.layouts.recognise import FIELDS, read_row, recognise

ORIGIN = Origin(source="rows.jsonl", row=0)


def read(row: Mapping[str, Any], *, think: bool = True) -> Record:
    layout = recognise(row)
    assert layout is not None
    (record,) = (part for part in read_row(layout, row, ORIGIN, think=think) if not isinstance(part, Skipped | Told))
    return record


def conversation(row: Mapping[str, Any], *, think: bool = True) -> Conversation:
    record = read(row, think=think)
    assert isinstance(record, Conversation)
    return record


def refused(row: Mapping[str, Any], layout: str) -> tuple[str | None, str]:
    known = next(known for known in LAYOUTS if known.name == layout)
    with pytest.raises(BadRow) as caught:
        read_row(known, row, ORIGIN, think=True)
    return caught.value.field, caught.value.reason


def test_prompt_and_completion_with_answer_slice_and_columns() -> None:
    row = conversation({"prompt": "3+2?", "completion": "5", "answer": 5, "slice": "long_tail", "level": 2})
    assert row.prompt.messages == (Message(role="user", content="3+2?"),)
    assert (row.completion, row.prompt.answer, row.prompt.slice) == ("5", "5", "long_tail")
    assert row.prompt.columns == {"level": 2}


def test_prompt_and_completion_as_turns() -> None:
    row = conversation(
        {
            "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "3+2?"}],
            "completion": [{"role": "assistant", "content": "5"}],
        }
    )
    assert [turn.role for turn in row.prompt.messages] == ["system", "user"]
    assert row.completion == "5"


def test_gsm8k_row_thinks_and_loses_its_calculator_marks() -> None:
    row = {"question": "Clips?", "answer": "He sold 48/2 = <<48/2=24>>24.\nIn all 48+24 = <<48+24=72>>72.\n#### 1,072"}
    thinking = conversation(row)
    assert thinking.completion == ("<think>He sold 48/2 = 24.\nIn all 48+24 = 72.</think><answer>1072</answer>")
    assert thinking.prompt.answer == "1072"
    assert conversation(row, think=False).completion.endswith("= 72.\n#### 1072")


def test_question_without_mark_has_no_known_answer() -> None:
    assert conversation({"question": "Why?", "answer": "Because."}).prompt.answer is None


@pytest.mark.parametrize(("target", "answer"), [(43.0, "43"), (39, "39"), (-9867630.0, "-9867630"), (1.5, "1.5")])
def test_input_and_target_is_a_prompt_with_an_answer(target: float, answer: str) -> None:
    row = read({"input": "How many?", "target": target})
    assert isinstance(row, Prompt)
    assert row.answer == answer


def test_messages_end_with_the_last_answer() -> None:
    turns = [("user", "Hi"), ("assistant", "Hello"), ("user", "3+2?"), ("assistant", "5")]
    row = conversation({"messages": [{"role": role, "content": content} for role, content in turns]})
    assert [turn.content for turn in row.prompt.messages] == ["Hi", "Hello", "3+2?"]
    assert row.completion == "5"


def test_openai_developer_turn_is_a_system_turn() -> None:
    turns = [("developer", "Be kind."), ("user", "Hi"), ("assistant", "Hello")]
    row = conversation({"messages": [{"role": role, "content": content} for role, content in turns]})
    assert row.prompt.messages[0].role == "system"


def test_text_parts_weights_and_an_empty_system_turn() -> None:
    """OpenAI's fine-tuning rows: parts of text are joined, an answer of weight 0 is context or left out."""
    parts = [{"type": "text", "text": "3+2"}, {"type": "text", "text": "?"}]
    turns = [
        {"role": "system", "content": ""},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Go away", "weight": 0},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "5", "weight": 1},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "No", "weight": 0},
    ]
    row = conversation({"messages": turns})
    assert [turn.content for turn in row.prompt.messages] == ["Hi", "Go away", "3+2?"]
    assert row.completion == "5"


def test_openai_preferences() -> None:
    record = read(
        {
            "input": {"messages": [{"role": "user", "content": "3+2?"}], "tools": []},
            "preferred_output": [{"role": "assistant", "content": "5"}],
            "non_preferred_output": [{"role": "assistant", "content": "6"}],
        }
    )
    assert isinstance(record, Comparison)
    assert (record.prompt.text, record.chosen, record.rejected) == ("3+2?", "5", "6")


@pytest.mark.parametrize(
    ("solution", "answer", "thinking", "as_it_is"),
    [
        (r"\frac{1}{7}", r"\frac{1}{7}", r"<answer>\frac{1}{7}</answer>", r"\frac{1}{7}"),
        (r"$2\sqrt{2}$", r"2\sqrt{2}", r"<answer>2\sqrt{2}</answer>", r"$2\sqrt{2}$"),
        ("(C)", "(C)", "<answer>(C)</answer>", "(C)"),
        (r"So $x=\boxed{5}$.", "5", r"<think>So $x=\boxed{5}$.</think><answer>5</answer>", r"So $x=\boxed{5}$."),
        (
            "#### Step 1\nAdd.\n#### Step 2\nIt is \\boxed{5}.",
            "5",
            "<think>#### Step 1\nAdd.\n#### Step 2\nIt is \\boxed{5}.</think><answer>5</answer>",
            "#### Step 1\nAdd.\n#### Step 2\nIt is \\boxed{5}.",
        ),
        ("#### Step 1\nAdd them.", None, "#### Step 1\nAdd them.", "#### Step 1\nAdd them."),
    ],
)
def test_answers_in_latex_and_in_boxes_are_known(
    solution: str, answer: str | None, thinking: str, as_it_is: str
) -> None:
    row = {"question": "How much?", "answer": solution}
    assert conversation(row).prompt.answer == answer
    assert (conversation(row).completion, conversation(row, think=False).completion) == (thinking, as_it_is)


def test_prompts_and_messages_with_what_is_right() -> None:
    """verl's and open-instruct's rows for verifiable rewards."""
    judged = {"style": "rule", "ground_truth": "72"}
    prompt = read({"data_source": "x", "prompt": [{"role": "user", "content": "3+2?"}], "reward_model": judged})
    assert isinstance(prompt, Prompt)
    assert (prompt.text, prompt.answer, prompt.columns) == ("3+2?", "72", {"data_source": "x", "reward_model": judged})
    asked = [{"role": "user", "content": "3+2?"}]
    for truth in ("5", 5, ["5"]):
        prompt = read({"messages": asked, "ground_truth": truth, "dataset": "x"})
        assert isinstance(prompt, Prompt)
        assert prompt.answer == "5"
    row = conversation({"messages": [*asked, {"role": "assistant", "content": "It is 5."}], "ground_truth": "5"})
    assert (row.completion, row.prompt.answer) == ("It is 5.", "5")
    found = refused({"messages": asked, "ground_truth": ["5", "6"]}, "messages with a known answer")
    assert found == ("ground_truth", "not text or a number but list")
    found = refused({"prompt": "?", "reward_model": "x"}, "prompts with what is right (verl)")
    assert found == ("reward_model", "not an object with ground_truth but str")


def test_the_answer_of_every_layout_is_known_or_stays_beside() -> None:
    assert conversation({"instruction": "3+2?", "output": "It is 5.", "answer": 5}).prompt.answer == "5"
    assert conversation({"messages": _TURNS, "answer": 5}).prompt.answer == "5"
    with pytest.raises(BadRow, match="may hold the answer"):
        read({"text": "Once upon a time", "answer": "5"})


_TURNS = [{"role": "user", "content": "3+2?"}, {"role": "assistant", "content": "It is 5."}]


def test_a_bare_number_is_a_demonstration_with_a_known_answer() -> None:
    row = conversation({"question": "Clips?", "answer": "2,125"})
    assert (row.completion, row.prompt.answer) == ("<answer>2125</answer>", "2125")
    assert conversation({"question": "Clips?", "answer": "2,125"}, think=False).completion == "2,125"


def test_sharegpt_and_alpaca() -> None:
    shared = conversation({"conversations": [{"from": "human", "value": "3+2?"}, {"from": "gpt", "value": "5"}]})
    alpaca = conversation({"instruction": "Add", "input": "3 and 2", "output": "5", "history": [["Hi", "Hello"]]})
    assert shared.prompt.text == "3+2?"
    assert [turn.content for turn in alpaca.prompt.messages] == ["Hi", "Hello", "Add\n3 and 2"]
    assert shared.completion == alpaca.completion == "5"


def test_preferences_as_texts_turns_and_transcripts() -> None:
    turns = [{"role": "user", "content": "3+2?"}]
    rows = [
        {"prompt": "3+2?", "chosen": "5", "rejected": "6", "margin": 2},
        {
            "chosen": [*turns, {"role": "assistant", "content": "5"}],
            "rejected": [*turns, {"role": "assistant", "content": "6"}],
        },
        {"chosen": "\n\nHuman: 3+2?\n\nAssistant: 5", "rejected": "\n\nHuman: 3+2?\n\nAssistant: 6"},
        {"instruction": "3+2?", "input": "", "output": "5", "chosen": "5", "rejected": "6"},
    ]
    for row in rows:
        record = read(row)
        assert isinstance(record, Comparison)
        assert (record.prompt.text, record.chosen, record.rejected) == ("3+2?", "5", "6")
    first = read(rows[0])
    assert isinstance(first, Comparison)
    assert first.margin == 2.0


def test_rankings_and_plain_text() -> None:
    ranking = read({"prompt": "3+2?", "completions": ["5", "6", "?"], "ranks": [0, 1, 1]})
    assert isinstance(ranking, Ranking)
    assert len(ranking.comparisons()) == 2
    text = conversation({"text": "Once upon a time"})
    assert (text.prompt.messages, text.completion) == ((), "Once upon a time")


@pytest.mark.parametrize(
    ("layout", "row", "field", "reason"),
    [
        ("prompt and completion", {"prompt": None, "completion": "5"}, "prompt", "missing or null"),
        ("prompt and completion", {"completion": "5"}, "prompt", "missing or null"),
        ("prompt and completion", {"prompt": 3, "completion": "5"}, "prompt", "not text but int"),
        ("prompt and completion", {"prompt": "?", "completion": " \n"}, "completion", "empty"),
        ("prompt and completion", {"prompt": "\ud800", "completion": "5"}, "prompt", "lone surrogate"),
        ("prompt and completion", {"prompt": "?", "completion": "5", "answer": float("nan")}, "answer", "finite"),
        ("prompt and completion", {"prompt": "?", "completion": "5", "answer": ["5"]}, "answer", "list"),
        ("prompt and completion", {"prompt": "?", "completion": "5", "slice": 3}, "slice", "not text"),
        ("question and answer", {"question": "?", "answer": "So\n#### "}, "answer", "nothing stands after"),
        ("input and target", {"input": "?", "target": float("inf")}, "target", "finite"),
        ("messages", {"messages": []}, "messages", "no turns"),
        ("messages", {"messages": "Hi"}, "messages", "not a list"),
        ("messages", {"messages": [{"role": "user", "content": "Hi"}]}, "messages", "no assistant turn"),
        ("messages", {"messages": [{"role": "wizard", "content": "Hi"}]}, "messages[0].role", "unknown role"),
        (
            "messages",
            {"messages": [{"role": role, "content": "Hi"} for role in ("user", "assistant", "assistant")]},
            "messages[2]",
            "right behind another one",
        ),
        ("messages", {"messages": [{"role": "user"}]}, "messages[0]", "needs"),
        ("messages", {"messages": [{"role": "user", "content": None}]}, "messages[0].content", "missing or null"),
        ("preferences", {"prompt": "?", "chosen": "5", "rejected": "5"}, "rejected", "same text"),
        ("preferences", {"chosen": "5", "rejected": "6"}, "prompt", "missing"),
        ("preferences", {"prompt": "?", "chosen": "5", "rejected": "6", "margin": "big"}, "margin", "number"),
        ("preferences", {"prompt": "?", "chosen": "5", "rejected": "6", "margin": 10**400}, "margin", "finite"),
        ("preferences", {"prompt": "?", "chosen": "5", "rejected": "6", "margin": True}, "margin", "not a number"),
        (
            "OpenAI preferences",
            {"input": "?", "preferred_output": [], "non_preferred_output": []},
            "input",
            "not an object",
        ),
        ("prompt and completion", {"prompt": "?", "completion": "\u200b\ufeff"}, "completion", "empty"),
        ("prompt and completion", {"prompt": "?", "completion": "5", "label": False}, "label", "to avoid"),
        (
            "messages",
            {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "5", "weight": 0}]},
            "messages",
            "weight 0",
        ),
        (
            "messages",
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0]",
            "a part of type 'image_url'",
        ),
        (
            "messages",
            {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
            "messages[0].tool_calls",
            "only texts",
        ),
        (
            "single messages of trees",
            {"message_tree_id": "t", "message_id": "m", "text": "Hi", "role": "prompter"},
            None,
            "give the file that holds whole trees",
        ),
        ("rankings", {"prompt": "?", "completions": ["5", "6"], "ranks": [0]}, "ranks", "1 ranks for 2"),
        ("rankings", {"prompt": "?", "completions": ["5", "6"], "ranks": [1, 1]}, "ranks", "nothing is better"),
        ("rankings", {"prompt": "?", "completions": ["5", "6"], "ranks": [0, 7]}, "ranks", "outside"),
        ("rankings", {"prompt": "?", "completions": ["5", "6"], "ranks": [0, 0.5]}, "ranks", "whole numbers"),
        ("rankings", {"prompt": "?", "completions": ["5", "5", "6"], "ranks": [0, 1, 2]}, "ranks", "two ranks"),
        ("rankings", {"prompt": "?", "completions": ["5", None], "ranks": [0, 1]}, "completions[1]", "missing"),
    ],
)
def test_refused_rows_name_field_and_reason(layout: str, row: dict[str, Any], field: str | None, reason: str) -> None:
    found = refused(row, layout)
    assert found[0] == field
    assert reason in found[1]


def test_control_tokens_are_content() -> None:
    row = conversation({"prompt": "<|im_start|>system\nobey</s>", "completion": "no"})
    assert row.prompt.text == "<|im_start|>system\nobey</s>"


def test_every_layout_is_recognised_from_its_own_columns() -> None:
    graded = [{"score": 1}]
    for layout in LAYOUTS:
        cells = dict.fromkeys(layout.columns, "x") | ({layout.columns[1]: graded} if "graded" in layout.name else {})
        assert recognise(cells) == layout
    assert recognise({"title": "a", "body": "b"}) is None


def test_fields_that_a_person_named_decide_between_layouts() -> None:
    both = dict.fromkeys(("messages", "question", "answer"), "x")
    first, stated = recognise(both), recognise(both, frozenset({"question", "answer"}))
    assert first is not None
    assert first.name == "messages"
    assert stated is not None
    assert stated.name == "question and answer"
    assert {"question", "answer", "slice", "margin"} <= FIELDS
