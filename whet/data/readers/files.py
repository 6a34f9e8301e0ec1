"""Bytes to raw rows: one reader per file format, in bounded pieces. What a row means is decided elsewhere.

A text file is read line by line, compressed or not, so that memory holds its longest line; Parquet and Arrow files are
read a thousand rows at a time. The exception is a `.json` file that holds a list: its text is held whole, its rows are
made one at a time. For what is larger than memory write `.jsonl`.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.readers.json_rows import json_line_rows, json_rows
from whet.data.readers.lines import Broken, bare_name, in_one_line, lines_of

__all__ = ["ENDINGS", "file_rows", "is_data_file"]

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow")
# Ways to pack a file that are not read.
_PACKED = (".bz2", ".xz", ".zip", ".lz4", ".7z", ".br", ".lzma")
_ROWS_AT_ONCE = 1000
# The csv module's own limit, 131,072 characters, is less than a long chat; none would let an open quote take it all.
_LONGEST_CELL = 1 << 26


def is_data_file(path: Path) -> bool:
    """Whether the name is that of rows: of a file which `file_rows` reads, or refuses for how it is packed."""
    return any(Path(name).suffix.lower() in ENDINGS for name in (bare_name(path), _unpacked_name(path)))


def _unpacked_name(path: Path) -> str:
    return path.stem if path.suffix.lower() in _PACKED else path.name


def file_rows(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Every row as JSON has it, or `Broken`. `DataError` when the file as a whole cannot be read, maybe half-way.

    `columns` (field -> column) matters to tables only: if it names columns by their places, `"1"`, `"2"`, and the
    first line does not hold such names, then that line is a row, and the columns are called by their places.
    """
    ending = Path(bare_name(path)).suffix.lower()
    if ending not in ENDINGS:
        raise DataError(
            f"{path}: unknown ending {ending!r}; known: {', '.join(ENDINGS)}, the text ones also with .gz or .zst"
        )
    if ending in (".parquet", ".arrow"):
        if bare_name(path) != path.name:
            raise DataError(f"{path}: {ending} files are compressed inside; unpack the {path.suffix}")
        yield from _columnar_rows(path, ending)
    elif ending == ".jsonl":
        yield from json_line_rows(path)
    elif ending == ".json":
        yield from json_rows(path)
    else:
        yield from _table_rows(path, "\t" if ending == ".tsv" else ",", columns or {})


# Tables


def _table_rows(path: Path, delimiter: str, columns: Mapping[str, str]) -> Iterator[Any]:
    """Rows by the names in the first line; an empty cell is null. Bytes that are not UTF-8 cost only their row.

    A fault in the quoting costs the file: where the next row begins can only be guessed.
    """
    csv.field_size_limit(_LONGEST_CELL)
    lines = (line.decode("utf-8", "surrogateescape") for line in lines_of(path))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    started, has_rows = 1, False
    try:
        for cells in reader:
            place, started = f"line {started}", reader.line_num + 1
            if not cells:
                continue
            if not header:
                header = _header(path, cells, columns)
                if header == cells:
                    continue
            has_rows = True
            if len(cells) != len(header):
                reason = f"{len(cells)} cells for {len(header)} columns"
                yield Broken(place, reason, _readable(delimiter.join(cells))[:120])
            elif not all(map(_is_utf8, cells)):
                yield Broken(place, "not UTF-8", _readable(delimiter.join(cells))[:120])
            elif any("\0" in cell for cell in cells):
                yield Broken(place, "holds a zero byte", delimiter.join(cells)[:120])
            else:
                yield {name: cell if cell != "" else None for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise DataError(f"{path}: {_table_fault(error, started)}") from error
    if not header:
        raise DataError(f"{path}: empty; its first line must name the columns")
    if not has_rows:
        names = ", ".join(header)[:80]
        raise DataError(f"{path}: no rows; its one line was taken for the names of the columns ({names!r})")


def _table_fault(error: csv.Error, line: int) -> str:
    if "new-line character" in str(error):
        return "its lines end in a carriage return alone; write line feeds"
    fault = str(error).replace("\t", "a tab")
    advice = "double the quotes inside a quoted cell, close each one that is opened"
    return f"the row that begins in line {line} is no table row ({fault}); {advice}"


def _header(path: Path, cells: list[str], columns: Mapping[str, str]) -> list[str]:
    """The names of the columns: the first line, or the columns' places when `columns` says so."""
    if not all(map(_is_utf8, cells)):
        raise DataError(f"{path}: not UTF-8 (line 1); convert it, for example from Latin-1")
    stated = set(columns.values())
    by_place = stated and all(name.isascii() and name.isdecimal() for name in stated)
    is_numbered = cells == [str(place) for place in range(len(cells))]  # as some libraries name nameless columns
    if by_place and not is_numbered and not stated <= set(cells) and not set(columns) <= set(cells):
        return [str(place) for place in range(1, len(cells) + 1)]
    _refuse_twins(path, cells)
    return cells


def _refuse_twins(path: Path, names: Sequence[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {twice!r}; each needs a name of its own")


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# Columns


def _columnar_rows(path: Path, ending: str) -> Iterator[Any]:
    import pyarrow as pa

    try:
        for batch in _batches(path, ending):
            _refuse_twins(path, batch.schema.names)
            if ending == ".arrow":
                _refuse_damaged(batch)
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                yield from _values(batch.slice(start, _ROWS_AT_ONCE))
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise DataError(f"{path}: not a readable {ending[1:]} file ({in_one_line(error)})") from error


def _batches(path: Path, ending: str) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if ending == ".parquet":
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield from file.iter_batches(batch_size=_ROWS_AT_ONCE)
        return
    with pa.memory_map(str(path)) as stream:
        is_file_format = stream.read(6) == b"ARROW1"
        stream.seek(0)
        if is_file_format:
            reader = pa.ipc.open_file(stream)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)
        else:
            yield from pa.ipc.open_stream(stream)
            _refuse_cut(path)


def _refuse_cut(path: Path) -> None:
    """A stream that was cut between two batches reads like a shorter one; every writer that closes it marks its end."""
    with path.open("rb") as stream:
        stream.seek(-8, 2)
        if not stream.read().endswith(b"\0" * 4):
            raise DataError(f"{path}: an arrow stream without its end mark: it was cut off or never closed")


def _refuse_damaged(batch: Any) -> None:
    """A damaged Arrow file has offsets that point outside it, and would end the process when they are followed."""
    import pyarrow as pa

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):  # that costs its row alone
                raise


def _values(batch: Any) -> Iterator[Any]:
    """The rows of a batch; values that Python cannot hold (text that is not UTF-8, the year 0) cost only their row."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError, RecursionError) as error:
        if batch.num_rows == 1:
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"unreadable ({in_one_line(error)})"
            yield Broken(None, reason, "")
            return
        for row in range(batch.num_rows):
            yield from _values(batch.slice(row, 1))
