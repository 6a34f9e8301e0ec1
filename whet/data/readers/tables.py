"""Tables, .csv and .tsv: rows by the names in the first line."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.readers.lines import Broken, lines_of

__all__ = ["csv_rows", "refuse_twins", "tsv_rows"]

# The csv module's own limit, 131,072 characters, is less than a long chat; none would let an open quote take it all.
_LONGEST_CELL = 1 << 26


def csv_rows(path: Path, columns: Mapping[str, str]) -> Iterator[Any]:
    """Cells parted by commas."""
    return _table_rows(path, ",", columns)


def tsv_rows(path: Path, columns: Mapping[str, str]) -> Iterator[Any]:
    """Cells parted by tabs."""
    return _table_rows(path, "\t", columns)


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
    refuse_twins(path, cells)
    return cells


def refuse_twins(path: Path, names: Sequence[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {twice!r}; each needs a name of its own")


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
