"""What `data.columns` may say of a field: a column, a place inside one, or a text made of several. No code, no formats.

Solution                      the column of that name
question.text  turns[0]       a key or an item inside a column
{Body} {Question}             a text with columns in it
{instruction}\\n{input?}       a column that may be missing or empty; {{ and }} stand for braces
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ColumnText", "Place", "read_column"]

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([0-9]{1,9})\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value is in a row: `question.text` is `Place(name="question.text", steps=("question", "text"))`."""

    name: str
    steps: tuple[str | int, ...]
    may_be_missing: bool = False

    def column_in(self, columns: Any) -> str:
        """The column that is read: the one of the whole name where there is such, as flattened tables have them."""
        return self.name if self.name in columns else str(self.steps[0])

    def value_in(self, row: Mapping[str, Any]) -> Any:
        """The value; None where a key or an item is not there."""
        if self.name in row:
            return row[self.name]
        value: Any = row
        for step in self.steps:
            if isinstance(step, int) and isinstance(value, list):
                value = value[step] if step < len(value) else None
            elif isinstance(step, str) and isinstance(value, Mapping):
                value = value.get(step)
            else:
                return None
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnText:
    """A value of `data.columns`: one place whose value is the field's, or pieces that are joined to a text."""

    text: str
    pieces: tuple[str | Place, ...]
    is_template: bool

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(piece for piece in self.pieces if isinstance(piece, Place))


def read_column(text: str) -> ColumnText:
    """The parts of a value of `data.columns`; `ValueError` says what is not understood in it."""
    if "{" not in text and "}" not in text:
        return ColumnText(text=text, pieces=(_place(text),), is_template=False)
    pieces = tuple(_piece(match, text) for match in _PIECE.finditer(text))
    if not any(isinstance(piece, Place) for piece in pieces):
        raise ValueError(f"{text!r} names no column; write one in braces, such as '{{question}}'")
    return ColumnText(text=text, pieces=pieces, is_template=True)


def _piece(match: re.Match[str], text: str) -> str | Place:
    piece = match.group()
    if piece in ("{{", "}}"):
        return piece[0]
    if piece in ("{", "}"):
        raise ValueError(f"{text!r} has a single {piece!r}; write {piece * 2!r} for the sign, '{{name}}' for a column")
    inside = match.group(1)
    if inside is None:
        return piece
    if any(mark in inside for mark in "!:()'\"@"):
        raise ValueError(f"{text!r}: {piece!r} is more than a column's name; formats and calls are not taken")
    name = inside.removesuffix("?")
    return _place(name, may_be_missing=name != inside)


def _place(name: str, *, may_be_missing: bool = False) -> Place:
    if not name.strip():
        raise ValueError("a column has no name; write the column's name")
    steps: list[str | int] = []
    at = 0
    while (match := _STEP.match(name, at)) is not None:
        steps.append(int(match[2]) if match[2] is not None else match[1])
        at = match.end()
    if at < len(name) or isinstance(steps[0], int):
        steps = [name]  # no place inside a column, but a name with such signs in it
    return Place(name=name, steps=tuple(steps), may_be_missing=may_be_missing)
