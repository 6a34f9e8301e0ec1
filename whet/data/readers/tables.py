"""Tables, .csv and .tsv: rows by the names in the first line."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.readers.lines import Broken, LongLine, Reading, lines_of, too_long

__all__ = ["csv_rows", "refuse_twins", "tsv_rows"]


def csv_rows(path: Path, reading: Reading) -> Iterator[Any]:
    """Cells parted by commas."""
    return _table_rows(path, ",", reading)


def tsv_rows(path: Path, reading: Reading) -> Iterator[Any]:
    """Cells parted by tabs."""
    return _table_rows(path, "\t", reading)


def _table_rows(path: Path, delimiter: str, reading: Reading) -> Iterator[Any]:
    """Rows by the names in the first line; an empty cell is null. Bytes that are not UTF-8 cost only their row.

    A fault in the quoting, or a line that is longer than a row may be, costs the file: where the next row begins can
    only be guessed.
    """
    csv.field_size_limit(reading.max_row_bytes)  # the module's own, 131,072 characters, is less than a long chat
    reader = csv.reader(_lines(path, reading), delimiter=delimiter, strict=True)
    header: list[str] = []
    started, has_rows = 1, False
    try:
        for cells in reader:
            place, started = f"line {started}", reader.line_num + 1
            if not cells:
                continue
            if not header:
                header = _header(path, cells, reading)
                if header == cells:
                    continue
            has_rows = True
            if sum(map(len, cells)) > reading.max_row_bytes:
                yield Broken(place, too_long(reading), _readable(cells[0])[:120])
            elif len(cells) != len(header):
                reason = f"{len(cells)} cells for {len(header)} columns"
                yield Broken(place, reason, _readable(delimiter.join(cells))[:120])
            elif not all(map(_is_utf8, cells)):
                yield Broken(place, "not UTF-8", _readable(delimiter.join(cells))[:120])
            elif any("\0" in cell for cell in cells):
                yield Broken(place, "holds a zero byte", delimiter.join(cells)[:120])
            else:
                yield {name: cell if cell != "" else None for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise DataError(f"{path}: {_table_fault(error, started, reading)}") from error
    if not header:
        raise DataError(f"{path}: empty; its first line must name the columns")
    if not has_rows:
        names = ", ".join(header)[:80]
        raise DataError(f"{path}: no rows; its one line was taken for the names of the columns ({names!r})")


def _lines(path: Path, reading: Reading) -> Iterator[str]:
    for number, line in enumerate(lines_of(path, reading), 1):
        if isinstance(line, LongLine):
            raise DataError(f"{path}, line {number}: {too_long(reading)}")
        yield line.decode("utf-8", "surrogateescape")


def _table_fault(error: csv.Error, line: int, reading: Reading) -> str:
    if "field limit" in str(error):
        return f"in the row that begins in line {line} a quote is not closed, or it is {too_long(reading)}"
    if "new-line character" in str(error):
        return "its lines end in a carriage return alone; write line feeds"
    fault = str(error).replace("\t", "a tab")
    advice = "double the quotes inside a quoted cell, close each one that is opened"
    return f"the row that begins in line {line} is no table row ({fault}); {advice}"


def _header(path: Path, cells: list[str], reading: Reading) -> list[str]:
    """The names of the columns: the first line, or the columns' places when a person called them so."""
    if not all(map(_is_utf8, cells)):
        raise DataError(f"{path}: not UTF-8 (line 1); convert it, for example from Latin-1")
    stated = reading.columns
    by_place = stated and all(name.isascii() and name.isdecimal() for name in stated)
    is_numbered = cells == [str(place) for place in range(len(cells))]  # as some libraries name nameless columns
    if by_place and not is_numbered and not stated <= set(cells) and not reading.fields <= set(cells):
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
