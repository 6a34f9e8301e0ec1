"""Which layout some columns make, and a row of a known layout as records."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from whet.core.records import Conversation, Origin, Prompt, prompt_in
from whet.data.layouts import LAYOUTS
from whet.data.layouts.examine import examine
from whet.data.layouts.fields import BadRow, Row, Skipped, Told, text_in
from whet.data.layouts.layout import Layout, Part

__all__ = ["FIELDS", "is_a_row", "read_row", "recognise"]

# What `data.columns` can name: what marks a layout, and what is read beside it.
FIELDS = frozenset(column for layout in LAYOUTS for column in layout.understands) | {"label", "slice"}


def recognise(row: Row, stated: Set[str] = frozenset()) -> Layout | None:
    """The layout whose columns are all there, with values that fit; None when there is none.

    Of several the one that is marked by most of the `stated` fields, which a person named; then the first.
    """
    there = {name for name, value in row.items() if value is not None}
    present = [layout for layout in LAYOUTS if there >= set(layout.columns) and layout.fits(row)]
    return max(present, key=lambda layout: len(stated & set(layout.columns)), default=None)


def is_a_row(value: Row) -> bool:
    """Whether an object has the columns of some layout."""
    return recognise(value) is not None


def read_row(
    layout: Layout,
    row: Row,
    origin: Origin,
    *,
    think: bool,
    named: Set[str] = frozenset(),
    beside: Mapping[str, Any] | None = None,
    strict: bool = True,
) -> tuple[Part, ...]:
    """What is in a row of a known layout: records, one but for trees and pairs, what was left out, what is to be told.

    `BadRow` names the field that is absent, wrong, or changes the row's meaning, unless a person named or ignored it.
    The columns that the layout does not use stay beside each record, with those of `beside`, which nobody looks at. Not
    strict, what changes the meaning is told and refuses nothing.
    """
    for column in layout.columns:
        if row.get(column) is None:
            raise BadRow(column, "missing or null")
    told = _told(row, layout, named, strict=strict)
    slice_ = "all" if row.get("slice") is None else text_in(row, "slice")
    unused = {name: cell for name, cell in row.items() if name not in layout.uses and name != "slice"}
    read = layout.read(row, origin, think)
    parts = read if isinstance(read, Sequence) else (read,)
    if beside:
        unused |= beside
    return (*(_complete(part, slice_, unused) for part in parts), *told)


def _told(row: Row, layout: Layout, named: Set[str], *, strict: bool) -> tuple[Told, ...]:
    """What is to be told of the row, each thing once; not strict, also that for which it would be refused."""
    told: list[Told] = []
    try:
        told += examine(row, layout, named)
    except BadRow as bad:
        if strict:
            raise
        told.append(Told(f"{bad.field}: {bad.reason}"))
    return tuple(dict.fromkeys(told)) if told else ()


def _complete(part: Part, slice_: str, beside: Row) -> Part:
    """The record with its row's slice and the columns that stay beside it."""
    if isinstance(part, Skipped | Told):
        return part
    bare = prompt_in(part)
    prompt = Prompt(messages=bare.messages, origin=bare.origin, answer=bare.answer, slice=slice_, columns=beside)
    match part:
        case Prompt():
            return prompt
        case Conversation():
            return Conversation(prompt=prompt, completion=part.completion)
        case _:
            return replace(part, prompt=prompt)
