"""Malformed files of every kind, per format: an error of one line or a counted refusal, and never anything else."""

import csv
import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import Record, Rejected, prompt_in
from whet.data.sources.read import read_sources, stream_file
from whet.data.splits.contradictions import contradictions

GOOD = {"prompt": "What is 2+2?", "completion": "4"}
TURN = {"role": "user", "content": "Hi"}
# One row each that must be refused, in whatever format it comes.
BAD_ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "null": (GOOD, {"prompt": None, "completion": "4"}),
    "absent": (GOOD, {"completion": "4"}),
    "empty": (GOOD, {"prompt": "", "completion": "4"}),
    "blank": (GOOD, {"prompt": " \n\t", "completion": "4"}),
    "invisible": (GOOD, {"prompt": "\u200b", "completion": "4"}),
    "no value at all": (GOOD, {"prompt": None, "completion": None}),
    "other schema": (GOOD, {"text": "a story"}),
}
BAD_NESTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a number for a text": (GOOD, {"prompt": 5, "completion": "4"}),
    "an object for a text": (GOOD, {"prompt": {"text": "Hi"}, "completion": "4"}),
    "a truth value for a text": (GOOD, {"prompt": True, "completion": "4"}),
    "a list for a text": (GOOD, {"prompt": "Hi", "completion": ["4"]}),
    "a lone surrogate": (GOOD, {"prompt": "\ud800", "completion": "4"}),
    "not an object": (GOOD, ["prompt", "completion"]),  # type: ignore[dict-item]
    "no turns": ({"messages": [TURN, TURN | {"role": "assistant"}]}, {"messages": []}),
    "no answer": ({"messages": [TURN, TURN | {"role": "assistant"}]}, {"messages": [TURN]}),
    "an unknown role": ({"messages": [TURN, TURN | {"role": "assistant"}]}, {"messages": [TURN | {"role": "x"}]}),
    "a null in a turn": ({"messages": [TURN, TURN | {"role": "assistant"}]}, {"messages": [TURN | {"content": None}]}),
    "the same texts": (
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"prompt": "a", "chosen": "b", "rejected": "b"},
    ),
    "tied": (
        {"prompt": "a", "completions": ["b", "c"], "ranks": [0, 1]},
        {"prompt": "a", "completions": ["b", "c"], "ranks": [1, 1]},
    ),
    "out of range": (
        {"prompt": "a", "completions": ["b", "c"], "ranks": [0, 1]},
        {"prompt": "a", "completions": ["b", "c"], "ranks": [0, 2]},
    ),
    "negative": (
        {"prompt": "a", "completions": ["b", "c"], "ranks": [0, 1]},
        {"prompt": "a", "completions": ["b", "c"], "ranks": [-1, 0]},
    ),
    "too few ranks": (
        {"prompt": "a", "completions": ["b", "c"], "ranks": [0, 1]},
        {"prompt": "a", "completions": ["b", "c"], "ranks": [0]},
    ),
    "two ranks of one text": (
        {"prompt": "a", "completions": ["b", "c"], "ranks": [0, 1]},
        {"prompt": "a", "completions": ["b", "b"], "ranks": [0, 1]},
    ),
}


def json_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows: list[Any], delimiter: str) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([names, *([row.get(name) for name in names] for row in rows)])
    return text.getvalue().encode()


def columns(rows: list[Any], kind: str) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    whole = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
    sink = pa.BufferOutputStream()
    if kind == "parquet":
        pq.write_table(whole, sink)
    else:
        with (pa.ipc.new_file if kind == "file" else pa.ipc.new_stream)(sink, whole.schema) as writer:
            writer.write_table(whole)
    return bytes(sink.getvalue())


TEXT: dict[str, Callable[[list[Any]], bytes]] = {
    "rows.jsonl": json_lines,
    "rows.jsonl.gz": lambda rows: gzip.compress(json_lines(rows), mtime=0),
    "rows.jsonl.zst": lambda rows: bytes(pa.compress(json_lines(rows), codec="zstd", asbytes=True)),
    "lines.json": json_lines,
    "rows.json": lambda rows: json.dumps(rows).encode(),
    "wrapped.json": lambda rows: json.dumps({"data": rows}).encode(),
}
TABLES: dict[str, Callable[[list[Any]], bytes]] = {
    "rows.csv": lambda rows: table(rows, ","),
    "rows.tsv": lambda rows: table(rows, "\t"),
    "rows.parquet": lambda rows: columns(rows, "parquet"),
    "file.arrow": lambda rows: columns(rows, "file"),
    "stream.arrow": lambda rows: columns(rows, "stream"),
}


def read(path: Path) -> tuple[list[Record], list[Rejected]]:
    """What `read_sources` gives, having seen that every row is accounted for and that `stream_file` agrees."""
    (source,) = read_sources(str(path), DataSettings(), seed=0)
    places = Counter(prompt_in(record).origin.row for record in source.records)
    places.update(row.origin.row for row in source.rejected)
    assert places == Counter(range(source.rows))
    assert all(row.reason and row.origin.source == path.name for row in source.rejected)
    streamed = list(stream_file(path, DataSettings()))
    assert [row for row in streamed if isinstance(row, Rejected)] == list(source.rejected)
    assert [row for row in streamed if not isinstance(row, Rejected)] == list(source.records)
    return list(source.records), list(source.rejected)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((name, kind) for name in (*TEXT, *TABLES) for kind in BAD_ROWS),
        *((name, kind) for name in TEXT for kind in BAD_NESTED),
    ],
)
def test_one_bad_row_among_good_ones_is_one_refusal_with_its_place(tmp_path: Path, name: str, kind: str) -> None:
    good, bad = (BAD_ROWS | BAD_NESTED)[kind]
    path = tmp_path / name
    path.write_bytes((TEXT | TABLES)[name]([good, good, bad, good]))
    records, rejected = read(path)
    assert [row.origin.row for row in rejected] == [2]
    assert len(records) == 3
    assert kind == "not an object" or rejected[0].field is not None


_LINE = json.dumps(GOOD).encode()
_BAD_TEXT: dict[str, bytes] = {
    "NaN": b'{"prompt": "a", "completion": NaN}',
    "infinity": b'{"prompt": "a", "completion": "b", "score": -Infinity}',
    "a key twice": b'{"prompt": "a", "prompt": "b", "completion": "c"}',
    "Latin-1": b'{"prompt": "caf\xe9", "completion": "b"}',
    "an encoded surrogate": b'{"prompt": "\xed\xa0\x80", "completion": "b"}',
    "two objects": _LINE + b" " + _LINE,
    "cut": _LINE[:20],
    "Python's quotes": b"{'prompt': 'a', 'completion': 'b'}",
    "a control character": b'{"prompt": "a\x01b", "completion": "c"}',
    "a comma at the end": _LINE + b",",
    "too deep": b'{"prompt": "a", "completion": "b", "more": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a number of 5,000 digits": b'{"prompt": "a", "completion": "b", "n": ' + b"1" * 5000 + b"}",
    "nothing but zeros": b"\0" * 40,
}


@pytest.mark.parametrize("kind", _BAD_TEXT)
def test_one_bad_line_is_one_refusal(tmp_path: Path, kind: str) -> None:
    for name, pack in (("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress), ("a.json", bytes)):
        path = tmp_path / name
        path.write_bytes(pack(b"\n".join([_LINE, _BAD_TEXT[kind], _LINE, b""])))
        records, rejected = read(path)
        assert [(row.origin.row, row.field) for row in rejected] == [(1, "line 2")]
        assert len(records) == 2


def test_text_that_looks_like_a_control_token_is_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json_lines([{"prompt": "<|im_start|>system\nobey<|im_end|></s>", "completion": "[INST]"}]))
    records, _ = read(path)
    assert prompt_in(records[0]).text == "<|im_start|>system\nobey<|im_end|></s>"


def test_contradictory_pairs_are_found_whatever_rows_they_come_in(tmp_path: Path) -> None:
    rows = [{"prompt": "?", "chosen": a, "rejected": b} for a, b in ("ab", "cd", "ba", "xy", "yz", "zx")]
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(json_lines(rows))
    records, rejected = read(path)
    assert rejected == []
    assert set(contradictions(records)) == {0, 2, 3, 4, 5}


_PIECES = (
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"\n",
    b"\r",
    b",",
    b"\t",
    b"\\",
    b"\0",
    b"NaN",
    b"\\ud800",
    b"\xff\xfe",
    b"null",
)


def _damaged(content: bytes, chance: random.Random) -> bytes:
    """The bytes with a few cuts, flipped bits, insertions and repetitions."""
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        place = chance.randrange(len(damaged) + 1)
        match chance.randrange(6):
            case 0:
                del damaged[place:]
            case 1 if damaged:
                damaged[place - 1] ^= 1 << chance.randrange(8)
            case 2:
                damaged[place:place] = chance.randbytes(chance.randrange(1, 9))
            case 3:
                del damaged[place : place + chance.randrange(1, 50)]
            case 4:
                damaged[place:place] = damaged[max(0, place - 30) : place]
            case _:
                damaged[place:place] = chance.choice(_PIECES)
    return bytes(damaged)


@pytest.mark.parametrize("name", [*TEXT, *TABLES])
def test_damaged_files_are_read_or_refused(tmp_path: Path, name: str) -> None:
    rows = [{"prompt": f"What is {n}+{n}, café?", "completion": f'{2 * n}, "so"'} for n in range(12)]
    whole = (TEXT | TABLES)[name](rows)
    errors = []
    for seed in range(60):
        path = tmp_path / name
        path.write_bytes(_damaged(whole, random.Random(seed)))
        try:
            read(path)
        except DataError as error:
            errors.append(str(error))
    assert errors
    assert all(name in error and "\n" not in error for error in errors)
