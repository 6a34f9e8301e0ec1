"""The proof that nothing leaks, from the files alone: every key is computed again, nothing is taken on trust."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.files import file_sha256, read_json_lines
from whet.core.recipe import DataSettings
from whet.core.records import PURPOSES, TRAINING_PURPOSES, prompt_in
from whet.data.alike.clusters import Clusters, join
from whet.data.alike.views import find
from whet.data.manifest import UNUSED, StoredRow, read_manifest, read_rows
from whet.data.proof.certify import missed_pairs
from whet.data.proof.claims import claim_problems, require_shape
from whet.data.texts.row_texts import row_texts

__all__ = ["Proof", "check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was checked, and every problem as one line; no problem means proven."""

    rows: int  # in the eight purposes
    clusters: int  # as computed again over all rows, the unused ones too
    edges: Mapping[str, int]  # joins by each view, computed again
    problems: tuple[str, ...]

    @property
    def is_proven(self) -> bool:
        return not self.problems


def check(data_dir: Path) -> Proof:
    """Prove that the files are unaltered and complete, and that no cluster, prompt or template is in two purposes.

    Ids, edges and clusters are computed again from the rows in the files; only the words that count as names are taken
    from the manifest. A folder without a readable manifest is a `DataError`.
    """
    manifest = read_manifest(data_dir)
    require_shape(data_dir / "manifest.json", manifest)
    problems = list(_file_problems(data_dir, manifest))
    stored: list[tuple[str, StoredRow]] = []
    for name in (*PURPOSES, UNUSED):
        try:
            stored += [(name, row) for row in read_rows(data_dir, name)]
        except DataError as error:
            if not any(line.startswith(f"{name}.parquet") for line in problems):
                problems.append(f"{name}.parquet: {error}")
    problems += _listing_problems(data_dir, manifest, stored)
    problems += _cluster_problems(stored)
    clusters, straddling = _straddling(stored, manifest)
    problems += [*straddling, *claim_problems(data_dir, manifest, stored, clusters)]
    return Proof(
        rows=sum(name != UNUSED for name, _ in stored),
        clusters=len(clusters.members),
        edges=dict(clusters.edges),
        problems=tuple(dict.fromkeys(problems)),
    )


def _file_problems(data_dir: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    entries = {entry["file"]: entry["sha256"] for entry in (*manifest["purposes"].values(), manifest["unused"])}
    for name, sha256 in sorted((entries | manifest["files"]).items()):
        path = data_dir / name
        if path.is_symlink():
            yield f"{name}: a link, and what it leads to may change; the file itself was expected"
        if not path.is_file():
            yield f"{name}: missing"
        elif file_sha256(path) != sha256:
            yield f"{name}: altered since the manifest was written"
    for file in sorted(data_dir.glob("*.parquet")):
        if file.name not in entries and file.name not in manifest["files"]:
            yield f"{file.name}: not in the manifest"


def _listing_problems(
    data_dir: Path, manifest: Mapping[str, Any], stored: Sequence[tuple[str, StoredRow]]
) -> Iterator[str]:
    """The manifest's list against the rows in the files, with their ids computed again: the one must be the other."""
    listed = Counter(
        (row["purpose"] or UNUSED, row["source"], row["row"], row["id"], row["carries"], row["cluster"])
        for row in manifest["rows"]
    )
    there: Counter[tuple[str, str, int, str, str, str]] = Counter()
    for name, row in stored:
        origin = prompt_in(row.record).origin
        there[name, origin.source, origin.row, row.record.id, row.carries, row.cluster] += 1
    for name, source, number, *_ in sorted(listed - there):
        yield f"{source} row {number}: listed for {name}, but not in its file as it was then"
    for name, source, number, *_ in sorted(there - listed):
        yield f"{source} row {number}: in the file of {name}, but not listed so"
    yield from _unaccounted(data_dir, manifest)


def _unaccounted(data_dir: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Every row of every source is listed, refused or skipped; a conversation tree is one row of several records."""
    path = data_dir / "rejected.jsonl"
    try:
        refused = [(row["source"], row["row"]) for row in read_json_lines(path)] if path.is_file() else []
    except (DataError, KeyError, TypeError, UnicodeDecodeError) as error:
        yield f"rejected.jsonl: damaged or altered ({error})"
        return
    places = {*((row["source"], row["row"]) for row in manifest["rows"]), *refused}
    read, beyond = sum(source["rows"] for source in manifest["sources"]), manifest["beyond_limit"]
    if len(places) + beyond != read:
        yield f"manifest.json: {read} rows were read, but {len(places) + beyond} are accounted for"


def _cluster_problems(stored: Sequence[tuple[str, StoredRow]]) -> Iterator[str]:
    """The clusters as recorded, and what may never be trained on."""
    where: dict[str, tuple[str, StoredRow]] = {}
    for name, row in stored:
        if name in TRAINING_PURPOSES and prompt_in(row.record).slice == "out_of_distribution":
            yield f"{_name(row)}: out of distribution, but in {name}"
        if name == UNUSED:
            continue
        seen, first = where.setdefault(row.cluster, (name, row))
        if seen != name:
            yield f"cluster {row.cluster} straddles {seen} ({_name(first)}) and {name} ({_name(row)})"


def _straddling(stored: Sequence[tuple[str, StoredRow]], manifest: Mapping[str, Any]) -> tuple[Clusters, list[str]]:
    """Edges and clusters computed again; a line for every cluster with rows of two purposes."""
    how = {name: manifest["settings"][name] for name in ("group", "paraphrase")}
    settings = DataSettings.model_validate(how)
    texts = row_texts([row.record for _, row in stored], settings.group)
    clusters = join(len(stored), find(texts, settings))
    purposes: list[Any] = [name if name != UNUSED else None for name, _ in stored]
    missed = missed_pairs(texts, purposes, clusters.of_row, clusters.views)
    problems = [
        f"{_name(stored[first][1])} ({stored[first][0]}) is near {_name(stored[second][1])} ({stored[second][0]})"
        for first, second, _ in (missed.pairs if missed else ())
    ]
    for members in clusters.members.values():
        placed: dict[str, int] = {}
        for member in members:
            if stored[member][0] != UNUSED:
                placed.setdefault(stored[member][0], member)
        if len(placed) > 1:
            kinds = sorted({edge.kind for edge in clusters.joins if clusters.of_row[edge.first] == members[0]})
            sides = " and ".join(f"{name} ({_name(stored[member][1])})" for name, member in placed.items())
            problems.append(f"rows that belong together by {', '.join(kinds)} straddle {sides}")
    return clusters, problems


def _name(row: StoredRow) -> str:
    origin = prompt_in(row.record).origin
    return f"{origin.source} row {origin.row}"
