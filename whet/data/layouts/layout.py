"""What a layout is: its name, the columns that mark it, and the function that reads a row of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from whet.core.records import Origin, Record
from whet.data.layouts.fields import (
    Row,
    Skipped,
    Told,
)

__all__ = ["Layout", "Part"]

Part = Record | Skipped | Told


def _any_row(row: Row) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A recognised layout: `columns` must all be there; `read(row, origin, think)` makes the record, or several.

    `reads` are columns that it also understands; neither they nor `columns` stay beside the record, but those that it
    `keeps` and a `target` that is read as the known answer. `fits` looks at the cells where names alone say too little.
    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[Row, Origin, bool], Record | Sequence[Part]]
    reads: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    fits: Callable[[Row], bool] = _any_row
    has_turns: bool = True  # whether its cells may hold turns, whose keys are then looked at
    imitates: bool = True  # whether its completion is to be imitated, and is not one side of a comparison
    understands: frozenset[str] = field(init=False)  # every column that is read, or refused, by the layout itself
    uses: frozenset[str] = field(init=False)  # the columns that are no longer needed beside the record

    def __post_init__(self) -> None:
        understands = frozenset((*self.columns, *self.reads))
        kept = (frozenset({"target"}) - frozenset(self.columns)) | frozenset(self.keeps)
        object.__setattr__(self, "understands", understands)
        object.__setattr__(self, "uses", understands - kept)
