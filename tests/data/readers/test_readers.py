"""Bytes to raw rows: every format and compression, in bounded pieces, and what a damaged file says."""

import gzip
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whet.core.errors import DataError
from whet.data.readers.files import file_rows, is_data_file
from whet.data.readers.lines import Broken, Reading

ROWS = [{"prompt": f"What is {n}+{n}?", "completion": str(2 * n)} for n in range(2500)]


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows: list[dict[str, str]], mark: str) -> bytes:
    return "\n".join(mark.join(cells) for cells in [list(rows[0]), *(list(row.values()) for row in rows)]).encode()


def parquet(rows: list[Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=700)
    return bytes(sink.getvalue())


def arrow(rows: list[Any], *, as_file: bool) -> bytes:
    sink, whole = pa.BufferOutputStream(), pa.Table.from_pylist(rows)
    with (pa.ipc.new_file if as_file else pa.ipc.new_stream)(sink, whole.schema) as writer:
        writer.write_table(whole, max_chunksize=1700)
    return bytes(sink.getvalue())


FORMATS: dict[str, Callable[[list[Any]], bytes]] = {
    "rows.jsonl": lines,
    "rows.jsonl.gz": lambda rows: gzip.compress(lines(rows)),
    "two_members.jsonl.gz": lambda rows: gzip.compress(lines(rows[:9])) + gzip.compress(lines(rows[9:])),
    "rows.jsonl.zst": lambda rows: zstd(lines(rows)),
    "two_frames.jsonl.zst": lambda rows: zstd(lines(rows[:9])) + zstd(lines(rows[9:])),
    "marked.jsonl": lambda rows: b"\xef\xbb\xbf" + lines(rows),
    "windows.jsonl": lambda rows: lines(rows).replace(b"\n", b"\r\n") + b"\r\n \n",
    "unended.jsonl": lambda rows: lines(rows).removesuffix(b"\n"),
    "ROWS.JSONL": lines,
    "rows.json": lambda rows: json.dumps(rows).encode(),
    "pretty.json": lambda rows: b"\n" + json.dumps(rows, indent=2).encode() + b"\n",
    "rows.json.zst": lambda rows: zstd(json.dumps(rows).encode()),
    "wrapped.json": lambda rows: json.dumps({"version": 1, "data": rows}).encode(),
    "lines.json": lines,
    "lines.json.gz": lambda rows: gzip.compress(lines(rows)),
    "rows.csv": lambda rows: table(rows, ","),
    "rows.csv.zst": lambda rows: zstd(table(rows, ",")),
    "rows.tsv": lambda rows: table(rows, "\t"),
    "rows.tsv.gz": lambda rows: gzip.compress(table(rows, "\t")),
    "windows.csv": lambda rows: b"\xef\xbb\xbf" + table(rows, ",").replace(b"\n", b"\r\n") + b"\r\n\r\n",
    "rows.parquet": parquet,
    "file.arrow": lambda rows: arrow(rows, as_file=True),
    "stream.arrow": lambda rows: arrow(rows, as_file=False),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMATS[name](ROWS))
    assert is_data_file(path)
    assert list(file_rows(path)) == ROWS


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "lines.json", "rows.csv"])
def test_memory_holds_a_piece_of_the_file(tmp_path: Path, name: str) -> None:
    rows = [{"prompt": f"{n} " + "word " * 400, "completion": "x"} for n in range(6000)]
    path = tmp_path / name
    path.write_bytes(FORMATS[name](rows))  # 12 MB as text
    del rows
    tracemalloc.start()
    try:
        assert sum(1 for _ in file_rows(path)) == 6000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize(("name", "pack"), [("rows.jsonl.gz", gzip.compress), ("rows.jsonl.zst", zstd)])
def test_a_cut_file_is_not_taken_for_a_shorter_one(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    path, rows = tmp_path / name, ROWS * 30  # 3 MB as text
    path.write_bytes(pack(lines(rows))[:-30])
    read: list[Any] = []
    with pytest.raises(DataError, match="stream is cut or damaged"):
        read.extend(file_rows(path))
    assert 0 < len(read) < len(rows)
    assert read == rows[: len(read)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.jsonl.gz", b"", "named .gz, but not gzip-compressed"),
        ("rows.jsonl.zst", b"{}\n", "named .zst, but not zstd-compressed"),
        ("rows.jsonl.zst", gzip.compress(b"{}\n", mtime=0), "named .zst, but not zstd-compressed"),
        ("rows.jsonl", gzip.compress(b"{}\n", mtime=0), "gzip-compressed, but its name does not end in .gz"),
        ("rows.csv", zstd(b"a,b\n"), "zstd-compressed, but its name does not end in .zst"),
        ("rows.csv", b"PK\x03\x04....", "a .zip archive; unpack it"),
        ("rows.jsonl.gz", gzip.compress(lines(ROWS)) + b"more", "cut or damaged"),
        ("rows.jsonl", '{"a": 1}\n'.encode("utf-16"), "UTF-16"),
        ("rows.jsonl", '{"a": 1}\n'.encode("utf-16-le"), "holds zero bytes: UTF-16 without its mark"),
        ("rows.csv", "a,b\n1,2\n".encode("utf-16-be"), "holds zero bytes"),
        ("rows.json", '[{"a": 1}]'.encode("utf-16"), "UTF-16"),
        ("rows.json", b'[{"a": 1}, {"a": 2}', "cut off before its list ends) in line 1, row 2"),
        ("rows.json", b'[{"a": 1},\n{"a": 2},\n{"a": ', "not valid JSON (Expecting value) in line 3, row 2"),
        ("rows.json", b'[{"a": 1}\n{"a": 2}]', "a comma was expected) in line 2, row 1"),
        ("rows.json", b'[{"a": 1}] [', "something follows the list"),
        ("rows.json", b'[{"a": 1},]', "not valid JSON"),
        ("rows.json", b'[{"a": "caf\xe9"}]', "not UTF-8 (byte 11)"),
        ("rows.json", b"", "not valid JSON"),
        ("rows.json", b'"text"', "a list of rows was expected (got str)"),
        ("rows.csv", b'a,b\n1,2\n"open,3\n4,5\n', "the row that begins in line 3 is no table row"),
        ("rows.csv", b'a,b\n1,"x"y\n', "double the quotes"),
        ("rows.csv", b"caf\xe9,b\n1,2\n", "not UTF-8 (line 1)"),
        ("rows.csv", b"a,a\n1,2\n", "two columns are called 'a'"),
        ("rows.csv", b"\n\n", "empty"),
        ("rows.parquet", b"", "not a readable parquet file"),
        ("rows.parquet", parquet(ROWS)[:-100], "not a readable parquet file"),
        ("rows.arrow", b"", "not a readable arrow file"),
        ("rows.arrow", arrow(ROWS, as_file=True)[:-100], "not a readable arrow file"),
        ("rows.arrow", arrow(ROWS, as_file=False)[:-900], "not a readable arrow file"),
        ("rows.arrow", arrow(ROWS, as_file=False)[:-8], "without its end mark"),
        ("rows.arrow", b"FEA1 nonsense, not arrow at all", "not a readable arrow file"),
        ("rows.parquet.gz", b"", "compressed inside; unpack the .gz"),
        ("rows.txt.gz", b"", "unknown ending '.txt'"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(file_rows(path))
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def faults(path: Path) -> list[tuple[int, str | None, str]]:
    rows = enumerate(file_rows(path))
    return [(number, row.place, row.reason) for number, row in rows if isinstance(row, Broken)]


def test_broken_lines_cost_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    deep = b'{"a": ' + b"[" * 120 + b"]" * 120 + b"}"
    deeper = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    bad = [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'{"a": 1}{"a": 2}',
        b'{"a": 1},',
        b'{"a": "caf\xe9"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "tab\tinside"}',
        b"{'a': 1}",
        b'{"a": 1' + b"0" * 5000 + b"}",
        deep,
        deeper,
        b"\xef\xbb\xbf{}",
    ]
    path.write_bytes(b"\n".join([b'{"a": 0}', *bad, b'{"a": 3}', b'{"a": "caf\xc3']))
    found = faults(path)
    assert [number for number, *_ in found] == [*range(1, len(bad) + 1), len(bad) + 2]
    assert [place for _, place, _ in found] == [f"line {number + 1}" for number, *_ in found]
    reasons = [reason for *_, reason in found]
    assert reasons[:7] == [
        "not valid JSON (NaN is not JSON)",
        "not valid JSON (-Infinity is not JSON)",
        "not valid JSON (1e999 is too large a number)",
        "not valid JSON (a key stands twice in one object)",
        "two objects on a line",
        "something follows the object on its line",
        "not UTF-8",
    ]
    assert reasons[11:13] == ["nested too deeply"] * 2
    assert reasons[-1] == "the last line is cut off before its object ends"


def test_items_of_a_list_cost_only_themselves(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, {"a": NaN},\n {"a": 1, "a": 2}, 3, {"a": ' + "[" * 120 + "]" * 120 + "}]")
    assert faults(path) == [
        (1, "item 1", "not valid JSON (NaN is not JSON)"),
        (2, "item 2", "not valid JSON (a key stands twice in one object)"),
        (4, "item 4", "nested too deeply"),
    ]
    path.write_text("[ ]")
    assert list(file_rows(path)) == []


def test_cells_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'a,b\n"two\nlines",2\n1\n\n1,2,3\ncaf\xe9,2\n"3 ""x""",4\nz\0ro,5\n6,\n"7\n8",9,10\n')
    rows = list(file_rows(path))
    good = [{"a": "two\nlines", "b": "2"}, {"a": '3 "x"', "b": "4"}, {"a": "6", "b": None}]
    assert [row for row in rows if not isinstance(row, Broken)] == good
    assert [row.excerpt for row in rows if isinstance(row, Broken)][2] == "caf\ufffd,2"
    assert faults(path) == [
        (1, "line 4", "1 cells for 2 columns"),
        (2, "line 6", "3 cells for 2 columns"),
        (3, "line 7", "not UTF-8"),
        (5, "line 9", "holds a zero byte"),
        (7, "line 11", "3 cells for 2 columns"),
    ]


def test_a_table_without_a_header_goes_by_places(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("3+2?\t5\n3+3?\t6\n")
    places = Reading(fields={"question", "answer"}, columns={"1", "2"})
    assert list(file_rows(path, places)) == [{"1": "3+2?", "2": "5"}, {"1": "3+3?", "2": "6"}]
    # A header is taken for one where it holds the stated names, our own, or a library's numbers from 0.
    for header in ("2\t1", "question\tanswer", "0\t1"):
        path.write_text(f"{header}\n3+2?\t5\n")
        assert [list(row) for row in file_rows(path, places)] == [header.split("\t")]


def test_columns_that_python_cannot_hold_cost_only_their_row(tmp_path: Path) -> None:
    offsets, bytes_ = (
        pa.py_buffer(bytes(pa.array([0, 4, 8, 10], pa.int32()).buffers()[1])),
        pa.py_buffer(b"goodcaf\xe9ok"),
    )
    broken = pa.Array.from_buffers(pa.string(), 3, [None, offsets, bytes_])
    years = pa.array([0, 10**18, 1], pa.timestamp("s"))
    for name, column, reason in (("text.arrow", broken, "not UTF-8"), ("year.arrow", years, "unreadable")):
        path = tmp_path / name
        with pa.ipc.new_file(path, pa.schema([("prompt", column.type)])) as writer:
            writer.write_batch(pa.record_batch([column], names=["prompt"]))
        (fault,) = faults(path)
        assert fault[:2] == (1, None)
        assert fault[2].startswith(reason)


def test_two_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    batch = pa.record_batch([pa.array(["a"]), pa.array(["b"])], names=["prompt", "prompt"])
    with pa.ipc.new_stream(path, batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(DataError, match="two columns are called 'prompt'"):
        list(file_rows(path))


def test_a_damaged_arrow_file_does_not_end_the_process(tmp_path: Path) -> None:
    """Offsets that lead outside the file, in a process of its own because following them would end it."""
    offsets = pa.array([0, 2_000_000_000, 3], pa.int32()).buffers()[1]
    column = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"abc")])
    path = tmp_path / "rows.arrow"
    with pa.ipc.new_file(path, pa.schema([("prompt", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([column], names=["prompt"]))
    script = (
        "import sys, pathlib; from whet.data.readers.files import file_rows; list(file_rows(pathlib.Path(sys.argv[1])))"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "DataError" in ended.stderr
