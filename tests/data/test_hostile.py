"""Files of a hostile user: every value in every place, every content under every name.

One line of error that names the file and says what to do, or rows that are counted, and never anything else.
"""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import Prompt, prompt_in
from whet.data.sources.read import Source, read_sources


def read(path: Path, **how: Any) -> list[Source]:
    """The sources, all their rows accounted for; a `DataError` is one printable line that names the file."""
    try:
        sources = read_sources(str(path), DataSettings(**how), seed=0)
    except DataError as error:
        _is_one_line(str(error), path)
        raise
    for source in sources:
        told = (*source.rejected, *source.skipped)
        places = {prompt_in(record).origin.row for record in source.records} | {row.origin.row for row in told}
        assert places == set(range(source.rows))
        assert not {row.origin.row for row in source.rejected} & {prompt_in(r).origin.row for r in source.records}
        assert all(row.reason and row.origin.source == source.name for row in told)
    return sources


def _is_one_line(text: str, path: Path) -> None:
    assert path.name in text
    assert text.isprintable()


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# Every value in every place

VALUES: dict[str, Any] = {
    "null": None,
    "number": 5,
    "fraction": 1.5,
    "true": True,
    "list": [],
    "object": {},
    "empty": "",
    "spaces": " \t\n",
    "invisible": "\u200b",
    "zero": "\0",
    "surrogate": "\ud800",
    "list of null": [None],
    "nested list": [[]],
    "object inside": {"a": {"b": 1}},
    "escape": "\x1b[31mred",
    "long number": 10**400,
    "text": "fine",
}
USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}
TREE = {
    "message_tree_id": "t",
    "prompt": {"text": "q", "role": "prompter", "replies": [{"text": "a", "role": "assistant", "rank": 0}]},
}
# A sound row, and where a value is put into a copy of it.
PLACES: dict[str, tuple[dict[str, Any], tuple[str | int, ...]]] = {
    "prompt": ({"prompt": "a", "completion": "b"}, ("prompt",)),
    "completion": ({"prompt": "a", "completion": "b"}, ("completion",)),
    "answer": ({"prompt": "a", "completion": "b", "answer": "3"}, ("answer",)),
    "slice": ({"prompt": "a", "completion": "b", "slice": "all"}, ("slice",)),
    "other column": ({"prompt": "a", "completion": "b", "more": 1}, ("more",)),
    "messages": ({"messages": [USER, ANSWER]}, ("messages",)),
    "a turn": ({"messages": [USER, ANSWER]}, ("messages", 0)),
    "a role": ({"messages": [USER, ANSWER]}, ("messages", 0, "role")),
    "the third content": ({"messages": [USER, ANSWER, USER, ANSWER]}, ("messages", 2, "content")),
    "a call": ({"messages": [USER, ANSWER]}, ("messages", 1, "tool_calls")),
    "a weight": ({"messages": [USER, ANSWER]}, ("messages", 1, "weight")),
    "a part": (
        {"messages": [USER | {"content": [{"type": "text", "text": "x"}]}, ANSWER]},
        ("messages", 0, "content", 0),
    ),
    "ShareGPT": (
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        ("conversations", 1),
    ),
    "system": ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, ("system",)),
    "instruction": ({"instruction": "a", "input": "", "output": "b"}, ("instruction",)),
    "input": ({"instruction": "a", "input": "", "output": "b"}, ("input",)),
    "history": ({"instruction": "a", "input": "", "output": "b"}, ("history",)),
    "GSM8K": ({"question": "a", "answer": "b #### 3"}, ("answer",)),
    "target": ({"input": "a", "target": "3"}, ("target",)),
    "chosen": ({"prompt": "p", "chosen": "a", "rejected": "b"}, ("chosen",)),
    "margin": ({"prompt": "p", "chosen": "a", "rejected": "b"}, ("margin",)),
    "chosen turns": ({"chosen": [USER, ANSWER], "rejected": [USER, USER | {"role": "assistant"}]}, ("rejected", 1)),
    "ranks": ({"prompt": "p", "completions": ["a", "b"], "ranks": [0, 1]}, ("ranks",)),
    "a rank": ({"prompt": "p", "completions": ["a", "b"], "ranks": [0, 1]}, ("ranks", 1)),
    "completions": ({"prompt": "p", "completions": ["a", "b"], "ranks": [0, 1]}, ("completions",)),
    "OpenAI's input": (
        {
            "input": {"messages": [USER]},
            "preferred_output": [ANSWER],
            "non_preferred_output": [ANSWER | {"content": "No"}],
        },
        ("input",),
    ),
    "text": ({"text": "a"}, ("text",)),
    "thoughts": ({"messages": [USER, ANSWER | {"reasoning_content": "hm"}]}, ("messages", 1, "reasoning_content")),
    "train": ({"messages": [USER, ANSWER]}, ("messages", 1, "train")),
    "an odd key": ({"messages": [USER, ANSWER]}, ("messages", 0, "name")),
    "a part's value": (
        {"messages": [USER | {"content": [{"type": "text", "value": "x"}]}, ANSWER]},
        ("messages", 0, "content", 0, "value"),
    ),
    "kto_tag": ({"messages": [USER, ANSWER]}, ("kto_tag",)),
    "images": ({"messages": [USER, ANSWER]}, ("images",)),
    "options": ({"question": "a", "answer": "b"}, ("options",)),
    "split": ({"question": "a", "answer": "b"}, ("split",)),
    "a solution": ({"prompt": "a", "answer": "3"}, ("solution",)),
    "scores": ({"prompt": "p", "completions": ["a", "b"], "scores": [0, 1]}, ("scores",)),
    "a score": ({"prompt": "p", "completions": ["a", "b"], "scores": [0, 1]}, ("scores", 1)),
    "pairs": ({"prompt": "p", "pairs": [{"chosen": "a", "rejected": "b"}]}, ("pairs",)),
    "a pair": ({"prompt": "p", "pairs": [{"chosen": "a", "rejected": "b"}]}, ("pairs", 0)),
    "a side of a pair": ({"prompt": "p", "pairs": [{"chosen": "a", "rejected": "b"}]}, ("pairs", 0, "rejected")),
    "a graded answer": (
        {"prompt": "p", "answers": [{"answer": "a", "rank": 1}, {"answer": "b", "rank": 2}]},
        ("answers", 1),
    ),
    "a grade": (
        {"prompt": "p", "answers": [{"answer": "a", "rank": 1}, {"answer": "b", "rank": 2}]},
        ("answers", 1, "rank"),
    ),
    "a verdict": ({"input": "p", "output_1": "a", "output_2": "b", "label": 1}, ("label",)),
    "a judged text": ({"input": "p", "output_1": "a", "output_2": "b", "label": 1}, ("output_2",)),
    "a winner": ({"prompt": "p", "response_a": "a", "response_b": "b", "winner": "a"}, ("winner",)),
    "a judged conversation": (
        {"conversation_a": [USER, ANSWER], "conversation_b": [USER, ANSWER | {"content": "No"}], "winner": "model_a"},
        ("conversation_b",),
    ),
    "the turn that was judged": (
        {"conversation_a": [USER, ANSWER], "conversation_b": [USER, ANSWER | {"content": "No"}], "winner": "model_a"},
        ("turn",),
    ),
    "a rejected response": ({"messages": [USER, ANSWER], "rejected_response": "No"}, ("rejected_response",)),
    "chosen as an object": (
        {"conversations": [USER], "chosen": ANSWER, "rejected": ANSWER | {"content": "No"}},
        ("rejected",),
    ),
    "a score of a side": ({"prompt": "p", "chosen": "a", "rejected": "b", "score_rejected": 1}, ("score_chosen",)),
    "what is right": ({"prompt": "p", "reward_model": {"ground_truth": "3"}}, ("reward_model", "ground_truth")),
    "the truth": ({"messages": [USER], "ground_truth": "3"}, ("ground_truth",)),
    "a tree's id": (TREE, ("message_tree_id",)),
    "a tree's reply": (TREE, ("prompt", "replies", 0)),
    "a tree's text": (TREE, ("prompt", "replies", 0, "text")),
    "a tree's rank": (TREE, ("prompt", "replies", 0, "rank")),
    "a tree's replies": (TREE, ("prompt", "replies")),
}


def put(row: Any, place: tuple[str | int, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(row))
    inner = copy
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return copy


@pytest.mark.parametrize("place", PLACES)
def test_any_value_in_any_place_is_a_record_or_a_refusal(tmp_path: Path, place: str) -> None:
    good, steps = PLACES[place]
    path = lines(tmp_path / "rows.jsonl", [good, *(put(good, steps, value) for value in VALUES.values()), good])
    (source,) = read(path)
    taken = {prompt_in(record).origin.row for record in source.records}
    assert {0, len(VALUES) + 1} <= taken
    assert all(re.split(r"[.\[]", row.field or "")[0] in {*good, steps[0]} for row in source.rejected)
    for record in source.records:  # what was taken can be written
        prompt_in(record).text.encode()


_REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a history of numbers": (
        {"instruction": "a", "output": "b", "history": 5},
        "history",
        "not a list of pairs but int",
    ),
    "an input that is no text": ({"instruction": "a", "output": "b", "input": []}, "input", "not text but list"),
    "a system turn that is no text": ({"conversations": [], "system": 0}, "conversations", "no turns"),
    "nothing but controls": ({"prompt": "\x00\x01", "completion": "b"}, "prompt", "empty"),
    "a margin below 0": ({"prompt": "p", "chosen": "a", "rejected": "b", "margin": -1}, "margin", "below 0"),
    "a picture": (
        {"messages": [USER | {"content": [{"type": "image_url"}]}, ANSWER]},
        "messages[0].content[0]",
        "'image_url'",
    ),
    "a call of a tool": (
        {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": [{}]}]},
        "messages[1].tool_calls",
        "only texts",
    ),
    "chosen under another prompt": (
        {"chosen": [USER, ANSWER], "rejected": [USER | {"content": "?"}, USER | {"role": "assistant"}]},
        "rejected",
        "differ from chosen",
    ),
    "a rank that is no whole number": (
        {"prompt": "p", "completions": ["a", "b"], "ranks": [0, 1.5]},
        "ranks",
        "whole numbers",
    ),
}


@pytest.mark.parametrize("kind", _REFUSED)
def test_what_is_refused_says_where_and_why(tmp_path: Path, kind: str) -> None:
    row, field, reason = _REFUSED[kind]
    (source,) = read(lines(tmp_path / "rows.jsonl", [row]))
    (rejected,) = source.rejected
    assert (rejected.origin.row, rejected.field) == (0, field)
    assert reason in rejected.reason


def test_turns_behind_the_last_answer_are_told(tmp_path: Path) -> None:
    (source,) = read(lines(tmp_path / "rows.jsonl", [{"messages": [USER, ANSWER, USER]}, {"messages": [USER, ANSWER]}]))
    assert len(source.records) == 2
    (skipped,) = source.skipped
    assert (skipped.origin.row, skipped.field, skipped.reason) == (0, "messages", "turns behind the last answer: 1")


def test_a_null_answer_does_not_hide_the_target(tmp_path: Path) -> None:
    (source,) = read(lines(tmp_path / "rows.jsonl", [{"input": "2+2?", "target": 4, "answer": None}]))
    (record,) = source.records
    assert isinstance(record, Prompt)
    assert record.answer == "4"


def test_commas_leave_numbers_alone(tmp_path: Path) -> None:
    rows = [{"question": "?", "answer": f"so #### {text}"} for text in ("1,234", "red, blue", "(1, 2)")]
    (source,) = read(lines(tmp_path / "rows.jsonl", rows))
    assert [prompt_in(record).answer for record in source.records] == ["1234", "red, blue", "(1, 2)"]


def test_decimals_of_a_table_are_answers(tmp_path: Path) -> None:
    import decimal

    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    answers = pa.array([decimal.Decimal("1.50"), decimal.Decimal("72.00"), None])
    pq.write_table(pa.table({"prompt": ["a", "b", "c"], "completion": ["x", "y", "z"], "answer": answers}), path)
    (source,) = read(path)
    assert [prompt_in(record).answer for record in source.records] == ["1.5", "72", None]


# Every content under every name

GOOD = b"".join(json.dumps({"prompt": f"What is {n}?", "completion": f"{n}."}).encode() + b"\n" for n in range(6))
CONTENTS: dict[str, bytes] = {
    "nothing": b"",
    "a line end": b"\n\n",
    "a mark alone": b"\xef\xbb\xbf",
    "zeros": b"\0" * 64,
    "null": b"null",
    "NaN": b"NaN",
    "a brace": b"{",
    "empty objects": b"{}\n{}\n",
    "a list of lists": b"[[1]]",
    "text": b"hello world, this is it",
    "gzip": gzip.compress(GOOD, mtime=0),
    "half gzip": gzip.compress(GOOD, mtime=0)[:-9],
    "zstd": bytes(pa.compress(GOOD, codec="zstd", asbytes=True)),
    "zip": b"PK\x03\x04abc",
    "xz": b"\xfd7zXZ\0abc",
    "HTML": b"<html>404</html>",
    "a pointer of Git LFS": b"version https://git-lfs\nsize 5\n",
    "no line feeds": GOOD.replace(b"\n", b"\r"),
    "objects without an end": GOOD.replace(b"}\n{", b"}{"),
    "commas behind": GOOD.replace(b"}\n", b"},\n"),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "UTF-16 unmarked": GOOD.decode().encode("utf-16-le"),
    "too deep": b"[" * 5000,
    "Python's quotes": GOOD.replace(b'"', b"'"),
    "columns": b'{"prompt": ["a", "b"], "completion": ["c", "d"]}',
    "pandas's columns": b'{"prompt": {"0": "a", "1": "b"}, "completion": {"0": "c", "1": "d"}}',
    "names alone": b"prompt,completion\n",
    "semicolons": b"prompt;completion\na;b\n",
    "names twice": b"prompt,prompt\na,b\n",
    "no names": b",,\n,,\n",
    "an open quote": b'prompt,completion\n"a,b\n',
    "other names": b"Prompt,Completion\na,b\n",
    "an escape in a name": b"prompt\x1b[31m,x\na,b\n",
    "Parquet's marks": b"PAR1" + b"\0" * 40 + b"PAR1",
}
NAMES = (
    "jsonl",
    "json",
    "csv",
    "tsv",
    "parquet",
    "arrow",
    "jsonl.gz",
    "json.zst",
    "csv.gz",
    "parquet.gz",
    "txt",
    "jsonl.bz2",
    "JSONL",
)


@pytest.mark.parametrize("ending", NAMES)
def test_any_content_under_any_name_is_one_line_or_refusals(tmp_path: Path, ending: str) -> None:
    for kind, content in CONTENTS.items():
        path = tmp_path / f"{kind}.{ending}"
        path.write_bytes(content)
        try:
            (source,) = read(path)
        except DataError:
            continue
        assert source.rows, kind


@pytest.mark.parametrize(
    ("name", "kind", "advice"),
    [
        ("a.json", "columns", "an object of columns"),
        ("a.json", "pandas's columns", 'orient="records"'),
        ("a.csv", "names alone", "its one line was taken for the names of the columns"),
        ("a.csv", "semicolons", "columns are parted by commas (.csv) or tabs (.tsv)"),
        ("a.csv", "names twice", "two columns are called 'prompt'"),
        ("a.csv", "no line feeds", "its lines end in a carriage return alone"),
        ("a.csv", "other names", "for example data.columns: {prompt: Prompt, completion: Completion}"),
        ("a.csv", "an escape in a name", "prompt\\x1b[31m"),
        ("a.jsonl", "a list of lists", 'write {"prompt": "...", "completion": "..."}'),
        ("a.jsonl.bz2", "text", "unknown ending '.bz2'"),
    ],
)
def test_an_error_says_what_to_do(tmp_path: Path, name: str, kind: str, advice: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENTS[kind])
    with pytest.raises(DataError) as caught:
        read(path)
    assert advice in str(caught.value)
