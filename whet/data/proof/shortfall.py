"""What a preparation fell short of: purposes that were asked for and have no row, rows that mostly went as copies."""

from collections.abc import Mapping
from typing import Any

from whet.core.records import PURPOSES, Purpose

__all__ = ["empty_purposes", "shortfalls"]

Entry = Mapping[str, Any]
_COPIES = ("exact duplicate", "near duplicate", "the same prompt")
_MOST_SHARE = 0.5


def empty_purposes(manifest: Entry) -> list[Purpose]:
    """The purposes for which rows were asked and that have none."""
    return [name for name in PURPOSES if (entry := manifest["purposes"][name])["requested"] and not entry["rows"]]


def shortfalls(manifest: Entry) -> list[str]:
    """One line each, the gravest first; none where nothing is to be said."""
    lines = []
    if empty := empty_purposes(manifest):
        asked = ", ".join(f"{manifest['purposes'][name]['requested']:,}" for name in empty)
        have = "has no row" if len(empty) == 1 else "have no row"
        lines.append(f"{', '.join(empty)} {have}, and {asked} were asked for: {_cause(manifest)}")
    copies = _copies(manifest)
    if sum(copies.values()) > _MOST_SHARE * len(manifest["rows"]):
        lines.append(f"{_told(copies, len(manifest['rows']))}; look at them with whet data view DIR unused")
    return lines


def _copies(manifest: Entry) -> dict[str, int]:
    return {name: count for name, count in manifest["unused"]["reasons"].items() if name in _COPIES}


def _told(copies: Mapping[str, int], rows: int) -> str:
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(copies.items(), key=lambda pair: -pair[1]))
    return f"{sum(copies.values()):,} of {rows:,} rows went as copies ({kinds})"


def _cause(manifest: Entry) -> str:
    """The one thing that explains most: copies, one cluster, what else kept rows out, or that there are few."""
    rows, copies = len(manifest["rows"]), _copies(manifest)
    largest = next(iter(manifest["clusters"]["the largest"]), None)
    if sum(copies.values()) > _MOST_SHARE * rows:
        return _told(copies, rows)
    if largest is not None and largest["rows"] > _MOST_SHARE * rows:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in largest["kinds"].items())
        where = f"whet data view DIR --cluster {largest['cluster']}"
        return f"{largest['rows']:,} of {rows:,} rows are one cluster ({kinds}), which is never parted; see {where}"
    reasons = sorted(manifest["unused"]["reasons"].items(), key=lambda pair: -pair[1])
    why = "".join(f", {count:,} of them serve nothing ({reason})" for reason, count in reasons[:1])
    return f"there are {rows:,} rows in {manifest['clusters']['count']:,} clusters{why}"
