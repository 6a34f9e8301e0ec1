"""What a manifest says of a source beside its rows, in words for the terminal, the progress line and the report."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from whet.core.runlog import printable

__all__ = ["told_lines"]

_LINES, _NAMES = 4, 8


def told_lines(source: Mapping[str, Any]) -> Iterator[str]:
    """What of a source was not read, what changes nothing here though elsewhere it would, what is beside its rows."""
    if left_out := source.get("left_out"):
        yield f"not read, by their names: {_list(left_out)}"
    if ignored := source.get("ignored"):
        yield f"ignored, as was asked: {_list(ignored)}"
    told = sorted(source.get("told", {}).items(), key=lambda pair: (-pair[1], pair[0]))
    for what, rows in told[:_LINES]:
        yield printable(f"{rows:,} rows have {what}")
    if len(told) > _LINES:
        yield f"and {len(told) - _LINES} more such keys and columns; manifest.json names them"
    if kept := source.get("kept"):
        yield f"beside the rows, for rewards: {_list(kept)}"


def _list(names: Iterable[str]) -> str:
    shown = list(names)
    return printable(", ".join(shown[:_NAMES]) + (f" and {len(shown) - _NAMES} more" if len(shown) > _NAMES else ""))
