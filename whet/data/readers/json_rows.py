"""JSON to raw rows, strictly: lines of objects, a list, an object that holds a list."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.layouts.recognise import is_a_row
from whet.data.readers.json_list import list_rows
from whet.data.readers.json_text import LENIENT, STRICT, TOO_DEEP, Window, is_shallow, json_fault, line_of
from whet.data.readers.lines import Broken, LongLine, Reading, lines_of, opened, refuse_wide, too_long

__all__ = ["json_line_rows", "json_rows"]

_CUT = "the last line is cut off before its object ends"
# An object that holds the rows is read whole, so it may be so many rows large.
_ROWS_IN_AN_OBJECT = 16


def json_line_rows(path: Path, reading: Reading) -> Iterator[Any]:
    """A row for each line that is not blank."""
    for number, raw in enumerate(lines_of(path, reading), 1):
        if isinstance(raw, LongLine):
            yield Broken(f"line {number}", too_long(reading), raw.head[:120].decode("utf-8", "replace"))
            continue
        if raw.isspace():
            continue
        fault = TOO_DEEP
        try:
            row = STRICT.decode(raw.decode("utf-8"))
            if is_shallow(row, raw.count(b"[") + raw.count(b"{")):
                yield row
                continue
        except (ValueError, RecursionError) as error:
            fault = _line_fault(error, is_last=not raw.endswith(b"\n"))
        yield Broken(f"line {number}", fault, raw[:120].decode("utf-8", "replace"))


def _line_fault(error: Exception, *, is_last: bool) -> str:
    match error:
        case UnicodeDecodeError():
            return _CUT if is_last and error.reason == "unexpected end of data" else "not UTF-8"
        case json.JSONDecodeError() if is_last and error.msg != "Extra data":
            return _CUT
    return json_fault(error)


def json_rows(path: Path, reading: Reading) -> Iterator[Any]:
    """A list of rows, an object that holds one list of rows, one object, or lines of objects under the wrong name."""
    if _holds_json_lines(path, reading):
        yield from json_line_rows(path, reading)
        return
    with opened(path) as stream:
        refuse_wide(path, stream.peek(4096))
        window = Window(path, stream, reading.max_row_bytes)
        if window.sign() == "[":
            yield from list_rows(window, reading)
            return
        text = window.whole(_ROWS_IN_AN_OBJECT * reading.max_row_bytes)
    yield from _object_rows(path, text, reading)


def _object_rows(path: Path, text: str, reading: Reading) -> Iterator[Any]:
    try:
        value = STRICT.decode(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] == "{" and "\n" in text.strip():
            yield from json_line_rows(path, reading)
            return
        raise DataError(f"{path}: {json_fault(error)}{line_of(error)}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: a list of rows was expected (got {type(value).__name__})")
    if _holds_columns(value):
        raise DataError(
            f"{path}: an object of columns ({', '.join(map(repr, value))[:200]}); write the rows, an object each "
            '(pandas: to_json(path, orient="records", lines=True))'
        )
    lists = [inner for inner in value.values() if isinstance(inner, list)]
    brackets = text.count("[") + text.count("{")
    for row in [value] if is_a_row(value) or len(lists) != 1 else lists[0]:
        yield row if is_shallow(row, brackets) else Broken(None, TOO_DEEP, "")


def _holds_columns(value: dict[str, Any]) -> bool:
    """Whether the object has a list for each column, or a row's place and cell as pandas writes it, and no turns."""
    cells = list(value.values())
    if len(cells) < 2:
        return False
    if all(isinstance(column, dict) for column in cells):
        return all(set(column) == set(map(str, range(len(column)))) and column for column in cells)
    is_list = all(isinstance(column, list) and column for column in cells) and len(set(map(len, cells))) == 1
    return is_list and not any(isinstance(cell, dict) for column in cells for cell in column)


def _holds_json_lines(path: Path, reading: Reading) -> bool:
    """Whether the first line is an object by itself and another line follows, as no pretty-printed file has it."""
    lines = (b"" if isinstance(line, LongLine) else line for line in lines_of(path, reading))
    try:
        first = next((line for line in lines if not line.isspace()), b"")
        if not first.lstrip().startswith(b"{") or not isinstance(LENIENT.decode(first.decode("utf-8")), dict):
            return False
        return any(not line.isspace() for line in lines)
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        return False
