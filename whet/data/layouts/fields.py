"""What a layout is read with: fields of a row as texts, numbers and answers, and the reason when they are not."""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from whet.core.records import Message, Origin, Prompt

__all__ = [
    "BadRow",
    "Row",
    "Skipped",
    "Told",
    "answer_in",
    "answer_of",
    "as_text",
    "differ_visibly",
    "finite",
    "optional_text",
    "prompt_of",
    "text_in",
    "visible",
]

Row = Mapping[str, Any]
# Categories of characters that show nothing: controls, formats (zero width, the byte order mark), spaces, separators.
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}


class BadRow(ValueError):  # noqa: N818 - it is a verdict on a row, caught where rows are read
    """Why a row cannot be taken, and which field is at fault."""

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part of a row that is left out while the rest of it is taken, or a sound row that is not wanted."""

    field: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """Something in a row that was taken which changes nothing, though elsewhere it would; rows are counted by it."""

    what: str


def text_in(row: Row, field: str, *, may_be_empty: bool = False) -> str:
    """The text in a field of the row."""
    return as_text(row.get(field), field, may_be_empty=may_be_empty)


def as_text(value: object, field: str, *, may_be_empty: bool = False) -> str:
    """The value, when it is text that has a visible character and can be written as UTF-8."""
    if value is None:
        raise BadRow(field, "missing or null")
    if not isinstance(value, str):
        raise BadRow(field, f"not text but {type(value).__name__}")
    if not may_be_empty and all(map(_is_invisible, value)):
        raise BadRow(field, "empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRow(field, "holds a lone surrogate, which is no character") from None
    return value


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _INVISIBLE


def differ_visibly(first: str, second: str) -> bool:
    """Whether two texts differ in more than blanks and other characters that show nothing."""
    start, end = 0, min(len(first), len(second))  # the first place where they differ, by halving
    while start < end:
        middle = (start + end + 1) // 2
        if first[start:middle] == second[start:middle]:
            start = middle
        else:
            end = middle - 1
    here = first[start : start + 1], second[start : start + 1]
    if all(here) and not any(map(_is_invisible, here)):
        return True
    return visible(first[start:]) != visible(second[start:])


def visible(text: str) -> str:
    """The text without what shows nothing: two texts that differ only in blanks are equal by it."""
    without_blanks = "".join(text.split())
    if without_blanks.isascii() and without_blanks.isprintable():
        return without_blanks
    return "".join(character for character in without_blanks if not _is_invisible(character))


def optional_text(row: Row, field: str) -> str:
    """The text in a field of the row, empty when it is absent."""
    return "" if row.get(field) is None else text_in(row, field, may_be_empty=True)


def finite(value: object, field: str) -> int | float | Decimal:
    """The value, when it is a number that is finite as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadRow(field, f"not a number but {type(value).__name__}")
    try:
        is_finite = math.isfinite(value)
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise BadRow(field, "not a finite number")
    return value


def answer_in(row: Row) -> str | None:
    """The known answer of a row, in its `answer` or its `target`."""
    field = "answer" if row.get("answer") is not None else "target"
    return answer_of(row.get(field), field)


def answer_of(value: object, field: str) -> str | None:
    """A known answer: text or a finite number, whole numbers without a point; None when it is null or blank."""
    if value is None:
        return None
    if isinstance(value, str):
        return as_text(value, field, may_be_empty=True).strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadRow(field, f"not text or a number but {type(value).__name__}")
    number = finite(value, field)
    if number == int(number):
        return str(int(number))
    return f"{number.normalize():f}" if isinstance(number, Decimal) else repr(number)


def prompt_of(messages: tuple[Message, ...], origin: Origin, answer: str | None) -> Prompt:
    """The prompt of a row; its slice, and the columns that no layout uses, are put to it where rows are read."""
    return Prompt(messages=messages, origin=origin, answer=answer)
