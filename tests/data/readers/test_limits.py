"""Rows of any size in bounded memory: what is too long is refused by its place, whatever the file is."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.data.readers.files import file_rows
from whet.data.readers.lines import Broken, Reading
from whet.data.sources.read import read_sources

LIMIT = 2000
SMALL = Reading(max_row_bytes=LIMIT)
GOOD, HUGE = {"prompt": "a", "completion": "b"}, {"prompt": "x" * 5000, "completion": '"]}\\'}
ROWS = [GOOD, HUGE, GOOD, HUGE, HUGE, GOOD]


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[Any], **how: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, **how)
    return bytes(sink.getvalue())


def arrow(rows: list[Any]) -> bytes:
    sink, whole = pa.BufferOutputStream(), pa.Table.from_pylist(rows)
    with pa.ipc.new_file(sink, whole.schema) as writer:
        writer.write_table(whole)
    return bytes(sink.getvalue())


FORMATS: dict[str, tuple[Callable[[list[Any]], bytes], str | None]] = {
    "rows.jsonl": (lines, "line"),
    "unended.jsonl": (lambda rows: lines(rows).removesuffix(b"\n"), "line"),
    "rows.jsonl.gz": (lambda rows: gzip.compress(lines(rows)), "line"),
    "rows.jsonl.zst": (lambda rows: bytes(pa.compress(lines(rows), codec="zstd", asbytes=True)), "line"),
    "rows.json": (lambda rows: json.dumps(rows).encode(), "item"),
    "pretty.json": (lambda rows: json.dumps(rows, indent=3, ensure_ascii=False).encode(), "item"),
    "rows.json.gz": (lambda rows: gzip.compress(json.dumps(rows).encode()), "item"),
    "rows.parquet": (parquet, None),
    "plain.parquet": (lambda rows: parquet(rows, use_dictionary=False, row_group_size=2), None),
    "rows.arrow": (arrow, None),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_row_that_is_too_long_costs_only_itself(tmp_path: Path, name: str) -> None:
    write, what = FORMATS[name]
    path = tmp_path / name
    path.write_bytes(write(ROWS))
    rows = list(file_rows(path, SMALL))
    assert [number for number, row in enumerate(rows) if isinstance(row, Broken)] == [1, 3, 4]
    assert [row for row in rows if not isinstance(row, Broken)] == [GOOD] * 3
    first = 1 if what == "line" else 0
    for number, row in enumerate(rows):
        if isinstance(row, Broken):
            assert row.place == (f"{what} {number + first}" if what else None)
            assert row.reason == "a row of more than 2,000 bytes; raise data.max_row_bytes where memory allows it"
    assert len(list(file_rows(path, Reading(max_row_bytes=6000)))) == 6
    assert not any(isinstance(row, Broken) for row in file_rows(path, Reading(max_row_bytes=6000)))


def test_a_long_row_of_a_table(tmp_path: Path) -> None:
    """A row of several lines goes alone; a line or a cell that is too long may be a quote that nobody closed."""
    path = tmp_path / "rows.csv"
    long = f'{"z" * 1500},"{"w" * 200}\n{"w" * 800}"\n'
    path.write_text(f"prompt,completion\na,b\n{long}c,d\n")
    rows = list(file_rows(path, SMALL))
    assert [isinstance(row, Broken) for row in rows] == [False, True, False]
    assert rows[1].place == "line 3"
    assert len(list(file_rows(path, Reading(max_row_bytes=2501)))) == 3
    with pytest.raises(DataError, match=r"rows.csv, line 3: a row of more than 1,600 bytes"):
        list(file_rows(path, Reading(max_row_bytes=1600)))
    path.write_text('prompt,completion\na,"b\n' + "c\n" * 2000)
    unclosed = "in the row that begins in line 2 a quote is not closed, or it is a row of more"
    with pytest.raises(DataError, match=unclosed):
        list(file_rows(path, SMALL))


@pytest.mark.parametrize("limit", [16, 17, 40, 100])
def test_a_list_through_a_small_window_is_the_same_list(tmp_path: Path, limit: int) -> None:
    """Whatever stands at the window's edge: escapes, brackets in strings, numbers, spaces."""
    items = ['"a\\\\\\""', "[1, [2]]", '{"k": "]}"}', "12345", "-1.5e3", "true", "null", '"\\u00e9"', '""', "[]", '"é"']
    text = "[" + ",\n   ".join(items * 7) + " \n]\n"
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert list(file_rows(path, Reading(max_row_bytes=limit))) == json.loads(text)


def test_a_long_item_of_every_kind_is_skipped(tmp_path: Path) -> None:
    items = ['"' + 'a\\"b[' * 50 + '"', "[" * 60 + "]" * 60, "1" * 90, '{"a": "' + "}" * 90 + '"}', "[[[1]], [2]]", "7"]
    path = tmp_path / "rows.json"
    for most in range(40, 60):  # so that the window's edge falls on every sign
        path.write_text("[" + ", ".join(items) + "]")
        rows = list(file_rows(path, Reading(max_row_bytes=most)))
        assert [isinstance(row, Broken) for row in rows] == [True, True, True, True, False, False]
        assert rows[4:] == [[[[1]], [2]], 7]
        path.write_text("[7," + items[1] + "]")  # the list's own bracket behind the item's
        assert [isinstance(row, Broken) for row in file_rows(path, Reading(max_row_bytes=most))] == [False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1}, {"a": "' + "x" * 200, "not valid JSON"),
        ("[" + "[" * 300, "the file is cut off before its list ends"),
        ('[1, {"a" 1}, "' + "x" * 50 + '"]', r"not valid JSON \(Expecting ':' delimiter\) in line 1, row 1"),
        ("[1,\n2\n3]", r"a comma was expected\) in line 3, row 2"),
        ("[" + "7,\n" * 99 + "8 9]", r"a comma was expected\) in line 100, row 100"),
        ("[" + "7,\n" * 99 + '{"a" 1}, 5' + " " * 99 + "]", r"delimiter\) in line 100, row 99"),
        ("[1]\n\n 2", "something follows the list"),
    ],
)
def test_a_damaged_list_is_one_line_through_a_window_too(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        list(file_rows(path, Reading(max_row_bytes=30)))


def test_an_object_that_would_have_to_be_held_whole_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"data": [GOOD] * 1000}))
    assert len(list(file_rows(path, Reading(max_row_bytes=4000)))) == 1000
    with pytest.raises(DataError, match="an object of more than 32,000 bytes, which would have to be read whole"):
        list(file_rows(path, SMALL))


@pytest.mark.parametrize("ending", ["jsonl.gz", "json.gz", "csv.gz", "jsonl.zst"])
def test_a_bomb_is_refused_by_name_in_bounded_memory(tmp_path: Path, ending: str) -> None:
    """A tenth of a megabyte that unpacks to 90: one line without an end."""
    size, begin = 90 << 20, b'[{"a": "' if ending.startswith("json.") else b'{"a": "'
    path = tmp_path / f"bomb.{ending}"
    if ending.endswith("zst"):
        path.write_bytes(bytes(pa.compress(begin + b"x" * size, codec="zstd", asbytes=True)))
    else:
        with gzip.open(path, "wb", compresslevel=1) as stream:
            stream.write(begin)
            for _ in range(90):
                stream.write(b"x" * (1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="bomb") as caught:
            list(file_rows(path, Reading(max_row_bytes=1 << 20)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert path.name in str(caught.value)
    assert peak < 16 << 20


def test_a_value_that_very_many_rows_point_to_is_not_made_for_each(tmp_path: Path) -> None:
    """Parquet keeps a repeated text once: 3,000 rows of a megabyte in a small file."""
    path = tmp_path / "rows.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), pa.array(["x" * (1 << 20)]))
    pq.write_table(pa.table({"prompt": texts.cast(pa.dictionary(pa.int32(), pa.string()))}), path)
    assert path.stat().st_size < 1 << 21
    tracemalloc.start()
    try:
        rows = sum(isinstance(row, Broken) for row in file_rows(path, Reading(max_row_bytes=1 << 19)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 3000
    assert peak < 16 << 20
    nested = pa.StructArray.from_arrays([texts.slice(0, 9)], names=["text"])
    pq.write_table(pa.table({"a": nested}), path)
    assert all(isinstance(row, Broken) for row in file_rows(path, Reading(max_row_bytes=1 << 19)))
    assert [len(row["a"]["text"]) for row in file_rows(path, Reading(max_row_bytes=1 << 21))] == [1 << 20] * 9


def test_texts_that_stand_in_many_rows_are_read_as_ever(tmp_path: Path) -> None:
    """Together they are larger than a row may be, each is not."""
    texts = [f"{number} " + "x" * 500 for number in range(50)]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"prompt": [texts[row % 50] for row in range(5000)]}), path)
    rows = list(file_rows(path, SMALL))
    assert rows == [{"prompt": texts[row % 50]} for row in range(5000)]


def test_a_long_row_is_refused_with_a_count_and_the_setting_lifts_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines([GOOD, HUGE, GOOD]))
    (source,) = read_sources(str(path), DataSettings(max_row_bytes=LIMIT), seed=0)
    (refused,) = source.rejected
    assert (source.rows, refused.origin.row, refused.field) == (3, 1, "line 2")
    assert refused.excerpt.startswith('{"prompt": "xxx')
    assert len(read_sources(str(path), DataSettings(), seed=0)[0].records) == 3
