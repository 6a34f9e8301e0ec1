"""A JSON list to raw rows, one item at a time through a window, so that memory holds no more than a few rows."""

import json
import re
from collections.abc import Iterator
from typing import Any

from whet.core.errors import DataError
from whet.data.readers.json_text import STRICT, TOO_DEEP, Window, is_shallow, json_fault, line_of
from whet.data.readers.lines import Broken, Reading, too_long

__all__ = ["list_rows"]

# How far a value goes is found by its brackets outside of strings, where a string ends, and what may follow a number.
_OUTSIDE = re.compile(r'"|[\[{]+|[\]}]+')
_IN_STRING = re.compile(r'["\\]')
_BEHIND_SCALAR = re.compile(r"[,\]\s]")


def list_rows(window: Window, reading: Reading) -> Iterator[Any]:
    """The items of the list at which the window stands; one with a NaN, a repeated key or too many bytes goes alone."""
    window.at += 1
    number = 0
    while window.sign() != "]" or number:
        yield _item(window, number, reading)
        number += 1
        sign = window.sign()
        if sign == "]":
            break
        if sign != ",":
            what = "a comma was expected" if sign else "the file is cut off before its list ends"
            raise DataError(f"{window.path}: not valid JSON ({what}) in line {window.line}, row {number}")
        window.at += 1
    window.at += 1
    if window.sign():
        raise DataError(f"{window.path}: not valid JSON (something follows the list)")


def _item(window: Window, number: int, reading: Reading) -> Any:
    """The item at which the window stands, or why it cannot be taken; the window stands behind it afterwards."""
    window.fill()
    start = window.at
    place, excerpt, was_whole = f"item {number}", window.text[start : start + 120], window.is_whole
    try:
        value, end = STRICT.raw_decode(window.text, start)
        if end < len(window.text) or was_whole:
            window.at = end
            brackets = window.text.count("[", start, end) + window.text.count("{", start, end)
            if end - start <= reading.max_row_bytes:
                return value if is_shallow(value, brackets) else Broken(place, TOO_DEEP, excerpt)
        else:
            _skip(window)
        return Broken(place, too_long(reading), excerpt)
    except json.JSONDecodeError as error:
        where = f"{line_of(error, before=window.lines_before)}, row {number}"
        if not was_whole and _skip(window) > reading.max_row_bytes:
            return Broken(place, too_long(reading), excerpt)
        raise DataError(f"{window.path}: {json_fault(error)}{where}") from error
    except (ValueError, RecursionError) as error:
        _skip(window)
        return Broken(place, json_fault(error), excerpt)


def _skip(window: Window) -> int:
    """Go behind the value at which the window stands, without decoding it; how many characters it has.

    A value that the file is cut off in leaves the window at the file's end.
    """
    passed = depth = 0
    is_scalar = window.text[window.at : window.at + 1] not in ("[", "{", '"')
    in_string = False
    while True:
        pattern = _BEHIND_SCALAR if is_scalar else _IN_STRING if in_string else _OUTSIDE
        mark = pattern.search(window.text, window.at)
        if mark is None or (mark.group() == "\\" and mark.end() == len(window.text)):  # what it escapes is not read yet
            end = len(window.text) if mark is None or window.is_whole else mark.start()
            passed, window.at = passed + end - window.at, end
            if window.is_whole:
                return passed
            window.fill()
            continue
        end, sign = mark.end(), mark.group()
        if is_scalar:
            end = mark.start()
        elif sign == "\\":
            end += 1
        elif sign == '"':
            in_string = not in_string
        elif not in_string:
            closed = len(sign) if sign[0] in "]}" else 0
            end -= max(0, closed - depth)
            depth += len(sign) if not closed else -min(closed, depth)
        passed, window.at = passed + end - window.at, end
        if is_scalar or (depth == 0 and not in_string):
            return passed
