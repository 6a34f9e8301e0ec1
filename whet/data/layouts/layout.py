"""What a layout is: its name, the columns that mark it, and the function that reads a row of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from whet.core.records import Origin, Record
from whet.data.layouts.fields import (
    Row,
    Skipped,
)

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A recognised layout: `columns` must all be there; `read(row, origin, think)` makes the record, or several."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Row, Origin, bool], Record | Sequence[Record | Skipped]]
