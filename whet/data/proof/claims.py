"""What a manifest claims beside its list of rows, held against the rows: its seal, pins, time, edges and rankings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from whet.core.errors import DataError
from whet.core.records import PURPOSES, TRAINING_PURPOSES, Conversation, prompt_in
from whet.data.alike.clusters import Clusters
from whet.data.layouts.trees import TREE_LAYOUT
from whet.data.manifest import UNUSED, StoredRow, is_sealed, read_edges
from whet.data.sources.rankings import ranking_of
from whet.data.splits.assign import ranking_seed
from whet.data.splits.serving import row_name
from whet.data.splits.times import times_of

__all__ = ["claim_problems", "require_shape"]

Rows = Sequence[tuple[str, StoredRow]]  # a purpose or `unused`, and a row of its file
# Rows that have their purpose whatever their time.
_KEPT = ("pinned", "the same as earlier")


def require_shape(path: Path, manifest: Mapping[str, Any]) -> None:
    """`DataError` when the manifest lacks what the proof reads, or has it in another type."""
    mappings = {name: manifest.get(name) for name in ("purposes", "unused", "files", "settings")}
    lists = {name: manifest.get(name) for name in ("sources", "rows")}
    is_whole = (
        all(isinstance(value, dict) for value in mappings.values())
        and all(isinstance(value, list) for value in lists.values())
        and all(type(manifest.get(name)) is int for name in ("seed", "beyond_limit"))
        and set(manifest["purposes"]) == set(PURPOSES)
        and all(map(_is_file_entry, (*manifest["purposes"].values(), manifest["unused"])))
        and _are_texts(*manifest["files"].values())
        and _are_settings(manifest["settings"])
        and all(map(_is_source_entry, manifest["sources"]))
        and all(map(_is_row_entry, manifest["rows"]))
    )
    if not is_whole:
        raise DataError(f"{path}: not whole; it was damaged or edited after it was written, prepare the data again")


def _is_file_entry(entry: object) -> bool:
    return isinstance(entry, dict) and _are_texts(entry.get("file"), entry.get("sha256"))


def _is_source_entry(entry: object) -> bool:
    return isinstance(entry, dict) and _are_texts(entry.get("name")) and type(entry.get("rows")) is int


def _are_settings(settings: Mapping[str, Any]) -> bool:
    pinned = settings.get("pinned")
    return (
        all(isinstance(settings.get(name, 0), str | None) for name in ("group", "paraphrase", "time"))
        and isinstance(pinned, dict)
        and all(isinstance(names, list) and _are_texts(*names) for names in pinned.values())
    )


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_row_entry(row: object) -> bool:
    return (
        isinstance(row, dict)
        and _are_texts(*(row.get(name) for name in ("id", "carries", "source", "cluster", "reason")))
        and type(row.get("row")) is int
        and row.get("purpose", "") in (*PURPOSES, None)
    )


def claim_problems(data_dir: Path, manifest: Mapping[str, Any], stored: Rows, clusters: Clusters) -> Iterator[str]:
    """A line for everything that is claimed and is not so. `clusters` are those computed again over `stored`."""
    if not is_sealed(data_dir):
        yield "manifest.json: altered since it was written"
    yield from _listed_twice(manifest)
    yield from _parted_from_pins(manifest)
    yield from _edge_problems(data_dir, manifest["rows"])
    yield from _later_in_training(manifest, stored)
    yield from _forged_rankings(manifest["seed"], stored)
    yield from _near_unseen(manifest, stored, clusters)


def _listed_twice(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Every row is in one place; only a conversation tree is many records of one row."""
    trees = {source["name"] for source in manifest["sources"] if source.get("mapping") == TREE_LAYOUT}
    places = Counter((row["source"], row["row"]) for row in manifest["rows"] if row["source"] not in trees)
    for (source, row), count in places.items():
        if count > 1:
            yield f"{source} row {row}: listed {count} times"


def _parted_from_pins(manifest: Mapping[str, Any]) -> Iterator[str]:
    pinned = {name: purpose for purpose, names in manifest["settings"]["pinned"].items() for name in names}
    for row in manifest["rows"]:
        purpose = pinned.get(row["source"])
        if purpose is not None and row["purpose"] not in (purpose, None):
            yield f"{row['source']} row {row['row']}: pinned to {purpose}, but in {row['purpose']}"


def _edge_problems(data_dir: Path, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The recorded edges join the recorded clusters: each two rows of one, and one fewer than it has rows."""
    try:
        edges = read_edges(data_dir)
    except DataError as error:
        yield f"edges.parquet: {error}"
        return
    for edge in edges:
        pair = edge["first"], edge["second"]
        if not all(isinstance(place, int) and 0 <= place < len(rows) for place in pair):
            yield f"edges.parquet: joins rows {pair[0]} and {pair[1]} of a list of {len(rows)}"
            return
        first, second = (rows[place] for place in pair)
        if first["cluster"] != second["cluster"]:
            names = " and ".join(f"{row['source']} row {row['row']}" for row in (first, second))
            yield f"edges.parquet: joins {names}, which are listed in two clusters"
    joined, listed = len(rows) - len(edges), len({row["cluster"] for row in rows})
    if joined != listed:
        yield f"edges.parquet: its edges make {joined} clusters, but {listed} are listed"


def _later_in_training(manifest: Mapping[str, Any], stored: Rows) -> Iterator[str]:
    """With `data.time`: nothing that is trained on is later than what is evaluated, but for rows that are kept."""
    column = manifest["settings"]["time"]
    if column is None:
        return
    kept = {(row["source"], row["row"], row["id"]) for row in manifest["rows"] if row["reason"] in _KEPT}
    times = times_of([row.record for _, row in stored], column)
    sides: dict[bool, list[int]] = {True: [], False: []}
    for place, (name, row) in enumerate(stored):
        origin = prompt_in(row.record).origin
        if name != UNUSED and (origin.source, origin.row, row.id) not in kept:
            if np.isnan(times.time_R[place]):
                yield f"{row_name(row.record)}: has no time, but is in {name}"
            else:
                sides[name in TRAINING_PURPOSES].append(place)
    if sides[True] and sides[False]:
        latest = max(sides[True], key=lambda place: times.time_R[place])
        earliest = min(sides[False], key=lambda place: times.time_R[place])
        if times.time_R[latest] > times.time_R[earliest]:
            here, there = (f"{row_name(row.record)} ({name})" for name, row in (stored[latest], stored[earliest]))
            yield f"{here} is later than {there}"


def _forged_rankings(seed: int, stored: Rows) -> Iterator[str]:
    """What was derived from a demonstration is derived again."""
    for name, row in stored:
        if row.provenance == "derived" and isinstance(row.record, Conversation):
            again = ranking_of(row.record, seed=ranking_seed(seed, row.record))
            if again != row.ranking:
                yield f"{row_name(row.record)}: its ranking in {name} is not the one that its demonstration gives"


def _near_unseen(manifest: Mapping[str, Any], stored: Rows, clusters: Clusters) -> Iterator[str]:
    """What belongs together with out-of-distribution rows is not trained on, unless its cluster was kept for that."""
    kept = {(row["source"], row["row"]) for row in manifest["rows"] if row["reason"] in _KEPT}
    unseen, held = set(), set()
    for place, (_, row) in enumerate(stored):
        origin = prompt_in(row.record).origin
        if prompt_in(row.record).slice == "out_of_distribution":
            unseen.add(clusters.of_row[place])
        if (origin.source, origin.row) in kept:
            held.add(clusters.of_row[place])
    for place, (name, row) in enumerate(stored):
        if name in TRAINING_PURPOSES and clusters.of_row[place] in unseen - held:
            yield f"{row_name(row.record)}: belongs together with out-of-distribution rows, but is in {name}"
