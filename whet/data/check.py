"""The proof that nothing leaks, from the files alone: every key is computed again, nothing is taken on trust."""

from dataclasses import dataclass
from pathlib import Path

from whet.core.files import file_sha256
from whet.core.records import PURPOSES, prompt_in
from whet.data.clusters import VIEWS, views_of
from whet.data.manifest import StoredRow, read_manifest, read_purpose

__all__ = ["Proof", "check"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was checked, and every problem as one line; no problem means proven."""

    rows: int
    clusters: int
    keys: int
    problems: tuple[str, ...]

    @property
    def is_proven(self) -> bool:
        return not self.problems


def check(data_dir: Path) -> Proof:
    """Read the manifest and the purposes' files and prove: unaltered, complete, and no cluster or key on two sides."""
    manifest = read_manifest(data_dir)
    problems: list[str] = []
    stored: list[tuple[str, StoredRow]] = []
    for purpose in PURPOSES:
        path = data_dir / f"{purpose}.parquet"
        if not path.is_file():
            problems.append(f"{path.name}: missing")
        elif file_sha256(path) != manifest["purposes"][purpose]["sha256"]:
            problems.append(f"{path.name}: altered since the manifest was written")
        else:
            stored += [(purpose, row) for row in read_purpose(data_dir, purpose)]
    if not problems:
        problems += _listing_problems(manifest["rows"], stored)
    where: dict[str, tuple[str, str]] = {}
    for place, row in stored:
        seen, first = where.setdefault(row.cluster, (place, row.record.id))
        if seen != place:
            problems.append(f"cluster {row.cluster} straddles {seen} (row {first}) and {place} (row {row.record.id})")
    keys: dict[tuple[str, str], tuple[str, str]] = {}
    problems += _key_problems(stored, manifest["names"], keys)
    return Proof(rows=len(stored), clusters=len(where), keys=len(keys), problems=tuple(dict.fromkeys(problems)))


def _listing_problems(listed: list[dict[str, str]], stored: list[tuple[str, StoredRow]]) -> list[str]:
    """Rows of the manifest against rows of the files, by origin: the one must be the other."""

    def origin(row: StoredRow) -> tuple[str, int]:
        found = prompt_in(row.record).origin
        return found.source, found.row

    expected = {(row["purpose"], row["source"], row["row"], row["cluster"]) for row in listed if row["purpose"]}
    found = {(purpose, *origin(row), row.cluster) for purpose, row in stored}
    missing = [
        f"{place[1]}, row {place[2]}: in the manifest for {place[0]}, but not in its file" for place in expected - found
    ]
    extra = [
        f"{place[1]}, row {place[2]}: in the file of {place[0]}, but not in the manifest" for place in found - expected
    ]
    return sorted(missing) + sorted(extra)


def _key_problems(
    stored: list[tuple[str, StoredRow]], names: dict[str, float], keys: dict[tuple[str, str], tuple[str, str]]
) -> list[str]:
    """Every view's key of every row: the same key must not stand in two purposes."""
    problems = []
    views = views_of([row.record for _, row in stored], names)
    for (purpose, row), view in zip(stored, views, strict=True):
        for name, key_of in VIEWS.items():
            key = key_of(view)
            if key is None:
                continue
            seen, first = keys.setdefault((name, key), (purpose, row.record.id))
            if seen != purpose:
                problems.append(
                    f"{name}: row {first} of {seen} and row {row.record.id} of {purpose} are the same by it"
                )
    return problems
