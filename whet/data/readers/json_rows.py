"""JSON to raw rows, strictly: lines of objects, a list, an object that holds a list."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.layouts.recognise import recognise
from whet.data.readers.lines import Broken, lines_of, opened, refuse_wide

__all__ = ["json_line_rows", "json_rows"]

# Python's own limit is near 1,000 levels, which writing a row's columns again would reach sooner than reading them.
_DEEPEST = 100
_CUT = "the last line is cut off before its object ends"
_TOO_DEEP = "nested too deeply"


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


# JSON as its standard has it; the module's own decoder takes NaN, infinities and repeated keys silently.
_STRICT = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite_float, object_pairs_hook=_unique, strict=True
)
_LENIENT = json.JSONDecoder()


def json_line_rows(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[Any]:
    """A row for each line that is not blank."""
    for number, raw in enumerate(lines_of(path), 1):
        if raw.isspace():
            continue
        fault = _TOO_DEEP
        try:
            row = _STRICT.decode(raw.decode("utf-8"))
            if _is_shallow(row, raw.count(b"[") + raw.count(b"{")):
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
    return _json_fault(error)


def _is_shallow(row: Any, brackets: int) -> bool:
    """Whether lists and objects stand at most `_DEEPEST` in each other; few brackets in its text settle it quickly."""
    if brackets <= _DEEPEST:
        return True
    level, depth = [row] if isinstance(row, dict | list) else [], 0
    while level and depth <= _DEEPEST:
        depth += 1
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
    return not level


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _json_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        if error.msg == "Extra data":
            follows_object = error.doc[error.pos : error.pos + 1] == "{"
            return "two objects on a line" if follows_object else "something follows the object on its line"
        return f"not valid JSON ({error.msg})"
    if "integer string conversion" in str(error):  # how Python says it, with an advice for programmers
        return "not valid JSON (a number of more than 4,300 digits)"
    return _TOO_DEEP if isinstance(error, RecursionError) else f"not valid JSON ({error})"


def json_rows(path: Path, columns: Mapping[str, str] | None = None) -> Iterator[Any]:
    """A list of rows, an object that holds one list of rows, one object, or lines of objects under the wrong name."""
    if _holds_json_lines(path):
        yield from json_line_rows(path)
        return
    with opened(path) as stream:
        content = stream.read()
    refuse_wide(path, content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); convert it, for example from Latin-1") from error
    if text.lstrip()[:1] == "[":
        yield from _list_rows(path, text)
        return
    try:
        value = _STRICT.decode(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] == "{" and "\n" in text.strip():
            yield from json_line_rows(path)
            return
        raise DataError(f"{path}: {_json_fault(error)}{_line_of(error)}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: a list of rows was expected (got {type(value).__name__})")
    if _holds_columns(value):
        raise DataError(
            f"{path}: an object of columns ({', '.join(map(repr, value))[:200]}); write the rows, an object each "
            '(pandas: to_json(path, orient="records", lines=True))'
        )
    yield from _rows_inside(text, value)


def _holds_columns(value: dict[str, Any]) -> bool:
    """Whether the object has a list for each column, or a row's place and cell as pandas writes it, and no turns."""
    cells = list(value.values())
    if len(cells) < 2:
        return False
    if all(isinstance(column, dict) for column in cells):
        return all(set(column) == set(map(str, range(len(column)))) and column for column in cells)
    is_list = all(isinstance(column, list) and column for column in cells) and len(set(map(len, cells))) == 1
    return is_list and not any(isinstance(cell, dict) for column in cells for cell in column)


def _rows_inside(text: str, value: dict[str, Any]) -> Iterator[Any]:
    """The rows of the one list that an object holds (`{"version": 1, "data": [...]}`), else the object as a row."""
    lists = [inner for inner in value.values() if isinstance(inner, list)]
    is_row = recognise(frozenset(value)) is not None or len(lists) != 1
    brackets = text.count("[") + text.count("{")
    for row in [value] if is_row else lists[0]:
        yield row if _is_shallow(row, brackets) else Broken(None, _TOO_DEEP, "")


def _holds_json_lines(path: Path) -> bool:
    """Whether the first line is an object by itself and another line follows, as no pretty-printed file has it."""
    lines = lines_of(path)
    try:
        first = next((line for line in lines if not line.isspace()), b"")
        if not first.lstrip().startswith(b"{") or not isinstance(_LENIENT.decode(first.decode("utf-8")), dict):
            return False
        return any(not line.isspace() for line in lines)
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        return False


def _list_rows(path: Path, text: str) -> Iterator[Any]:
    """The items of a JSON list, one at a time; one with a NaN or a repeated key is refused alone."""
    at = _after_space(text, text.index("[") + 1)
    number = 0
    while text[at : at + 1] != "]" or number:
        place = f"item {number}"
        try:
            value, end = _STRICT.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}: {_json_fault(error)}{_line_of(error)}, row {number}") from error
        except (ValueError, RecursionError) as error:
            try:
                _, end = _LENIENT.raw_decode(text, at)
            except (ValueError, RecursionError):
                raise DataError(f"{path}: {_json_fault(error)}, row {number}") from error
            yield Broken(place, _json_fault(error), text[at : at + 120])
        else:
            brackets = text.count("[", at, end) + text.count("{", at, end)
            yield value if _is_shallow(value, brackets) else Broken(place, _TOO_DEEP, text[at : at + 120])
        number += 1
        at = _after_space(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            what = "the file is cut off before its list ends" if at == len(text) else "a comma was expected"
            raise DataError(f"{path}: not valid JSON ({what}) in line {text.count(chr(10), 0, at) + 1}, row {number}")
        at = _after_space(text, at + 1)
    if _after_space(text, at + 1) != len(text):
        raise DataError(f"{path}: not valid JSON (something follows the list)")


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _line_of(error: Exception) -> str:
    return f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
