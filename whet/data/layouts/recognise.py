"""Which layout some columns make, and a row of a known layout as records."""

from collections.abc import Sequence

from whet.core.records import Origin, Record
from whet.data.layouts import LAYOUTS
from whet.data.layouts.fields import BadRow, Row, Skipped
from whet.data.layouts.layout import Layout

__all__ = ["FIELDS", "read_row", "recognise"]

# What `data.columns` can name: what marks a layout, and what is read beside it.
FIELDS = frozenset(column for layout in LAYOUTS for column in layout.columns) | {
    "answer",
    "history",
    "input",
    "instruction",
    "label",
    "margin",
    "question",
    "slice",
    "system",
}


def recognise(columns: frozenset[str], stated: frozenset[str] = frozenset()) -> Layout | None:
    """The layout whose columns are all present, None when there is none.

    Of several the one that is marked by most of the `stated` fields, which a person named; then the first.
    """
    present = [layout for layout in LAYOUTS if columns >= set(layout.columns)]
    return max(present, key=lambda layout: len(stated & set(layout.columns)), default=None)


def read_row(layout: Layout, row: Row, origin: Origin, *, think: bool) -> tuple[Record | Skipped, ...]:
    """The records in a row of a known layout, one but for trees; `BadRow` names the field that is absent or wrong."""
    for column in layout.columns:
        if row.get(column) is None:
            raise BadRow(column, "missing or null")
    read = layout.read(row, origin, think)
    return tuple(read) if isinstance(read, Sequence) else (read,)
