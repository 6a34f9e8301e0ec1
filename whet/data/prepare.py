"""The flow of data preparation: raw rows -> records -> clusters -> purposes -> files and manifest."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.files import file_sha256, write_json, write_json_lines
from whet.core.recipe import DataSettings
from whet.core.records import PURPOSES, Comparison, Conversation, Prompt, Purpose, Ranking, Record, Rejected, prompt_in
from whet.core.seeds import seed_for
from whet.data.clusters import Clusters, cluster, exact_key, names_of, views_of
from whet.data.manifest import StoredRow, write_purpose
from whet.data.rankings import ranking_of
from whet.data.sources import Source, read_sources
from whet.data.splits import Placement, Unit, place
from whet.data.text import canonical

__all__ = ["prepare"]

_PREFERENCE: tuple[Purpose, ...] = ("rm_train", "rm_test")
_PROMPTED: tuple[Purpose, ...] = ("rl_train", "rl_test", "final")
_DEMONSTRATED: tuple[Purpose, ...] = ("ft_train", "ft_validation", "ft_test")


def prepare(settings: DataSettings, *, seed: int, out: Path) -> dict[str, Any]:
    """Write `manifest.json`, a Parquet file per purpose and `rejected.jsonl` into `out`; returns the manifest.

    The same rows, settings and seed give the same bytes, whatever the folder. Raises `DataError` when more than
    `max_rejected_share` of the rows had to be refused; `rejected.jsonl` is written first.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = [settings.source] if isinstance(settings.source, str) else list(settings.source)
    sources = [source for name in names for source in read_sources(name, settings, seed=seed)]
    preferences = read_sources(settings.preferences, settings, seed=seed) if settings.preferences else []
    everything = [*sources, *preferences]
    _refuse(everything, settings, out)
    records = _limited([record for source in everything for record in source.records], settings, seed)
    word_names = names_of([prompt_in(record).text for record in records])
    views = views_of(records, word_names)
    clusters = cluster(views)
    duplicates = _exact_duplicates([exact_key(row) or "" for row in views])
    units, firsts = _units(records, clusters, duplicates, has_preferences=bool(preferences))
    placements = dict(zip(firsts, place(units, settings.sizes, seed=seed), strict=True))
    kept, rows = _assign(records, clusters, duplicates, placements, seed=seed)
    files = {}
    for purpose in PURPOSES:
        path = out / f"{purpose}.parquet"
        write_purpose(path, kept[purpose])
        files[purpose] = _purpose_entry(path, kept[purpose])
    unused = Counter(row["reason"] for row in rows if row["purpose"] is None)
    members = clusters.members
    portable = {
        "source": [source.name for source in sources],
        "preferences": [source.name for source in preferences] or None,
    }
    manifest = {
        "format": 1,
        "seed": seed,
        "settings": settings.model_dump(mode="json") | portable,
        "sources": [_source_entry(source) for source in everything],
        "purposes": files,
        "rejected": _rejected_entry(everything),
        "edges": dict(clusters.edges),
        "clusters": {"count": len(members), "largest": max(map(len, members.values())), "straddling": 0},
        "unused": {"rows": sum(unused.values()), "reasons": dict(sorted(unused.items()))},
        "names": word_names,
        "rows": rows,
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def _refuse(sources: Sequence[Source], settings: DataSettings, out: Path) -> None:
    rejected = [row for source in sources for row in source.rejected]
    write_json_lines(out / "rejected.jsonl", map(_rejected_row, rejected))
    total = sum(source.rows for source in sources)
    if len(rejected) > settings.max_rejected_share * total:
        first = rejected[0]
        raise DataError(
            f"{len(rejected)} of {total} rows were refused, more than data.max_rejected_share = "
            f"{settings.max_rejected_share:g}; the first: {first.origin.source}, row {first.origin.row}"
            f"{f', field {first.field}' if first.field else ''}: {first.reason}. All of them: {out / 'rejected.jsonl'}"
        )


def _rejected_row(row: Rejected) -> dict[str, Any]:
    return asdict(row.origin) | {"field": row.field, "reason": row.reason, "excerpt": row.excerpt}


def _limited(records: list[Record], settings: DataSettings, seed: int) -> list[Record]:
    """At most `limit` records, the ones whose hash is smallest, in their old order."""
    if settings.limit is None or len(records) <= settings.limit:
        return records
    order = sorted(range(len(records)), key=lambda index: seed_for(seed, "limit", records[index].id))
    return [records[index] for index in sorted(order[: settings.limit])]


def _exact_duplicates(keys: Sequence[str]) -> dict[int, int]:
    """Row -> the earlier row that says the same."""
    first: dict[str, int] = {}
    return {row: first[key] for row, key in enumerate(keys) if first.setdefault(key, row) != row}


def _allowed(record: Record, *, has_preferences: bool, has_answers: bool) -> tuple[Purpose, ...]:
    """Which purposes a record can serve."""
    if isinstance(record, Ranking | Comparison):
        return _PREFERENCE
    prompt = prompt_in(record)
    prompted = _PROMPTED if prompt.answer is not None or not has_answers else ()
    if isinstance(record, Prompt):
        return prompted
    ranked = () if has_preferences or ranking_of(record, seed=0) is None else _PREFERENCE
    return (*_DEMONSTRATED, *ranked, *prompted)


def _units(
    records: Sequence[Record], clusters: Clusters, duplicates: dict[int, int], *, has_preferences: bool
) -> tuple[list[Unit], list[int]]:
    """The clusters to place; one whose rows can serve different purposes may go where any of its rows can."""
    has_answers = any(prompt_in(record).answer is not None for record in records)
    units, firsts = [], []
    for first, rows in clusters.members.items():
        fresh = [row for row in rows if row not in duplicates]
        can = [_allowed(records[row], has_preferences=has_preferences, has_answers=has_answers) for row in fresh]
        allowed = tuple(purpose for purpose in PURPOSES if any(purpose in purposes for purposes in can))
        slices = {prompt_in(records[row]).slice for row in fresh}
        rarest = next((name for name in ("out_of_distribution", "long_tail") if name in slices), "ordinary")
        units.append(Unit(key=records[first].id, rows=len(fresh), slice=rarest, allowed=allowed))
        firsts.append(first)
    return units, firsts


def _assign(
    records: Sequence[Record],
    clusters: Clusters,
    duplicates: dict[int, int],
    placements: dict[int, Placement],
    *,
    seed: int,
) -> tuple[dict[Purpose, list[StoredRow]], list[dict[str, Any]]]:
    """Every record with its place and the reason; the records of each purpose in the form it needs."""
    kept: dict[Purpose, list[StoredRow]] = {purpose: [] for purpose in PURPOSES}
    prompts_of: dict[Purpose, set[str]] = {purpose: set() for purpose in PURPOSES}
    rows = []
    for index, record in enumerate(records):
        first = clusters.of_row[index]
        placement = placements[first]
        purpose, reason = placement.purpose, placement.reason
        if index != first:
            reason = f"cluster of row {first} by {clusters.joined_by.get(index, 'its members')}"
        if purpose is None:
            reason = placement.reason if placement.reason.endswith("may use it") else "left over by the sizes"
        elif index in duplicates:
            purpose, reason = None, f"exact duplicate of row {duplicates[index]}"
        else:
            stored = _in_form(record, purpose, seed=seed)
            key = canonical(prompt_in(record).text)
            if stored is None:
                purpose, reason = None, f"cannot serve {purpose}, where its cluster is"
            elif purpose in _PROMPTED and key in prompts_of[purpose]:
                purpose, reason = None, "the same prompt stands there already"
            else:
                prompts_of[purpose].add(key)
                kept[purpose].append(StoredRow(record=stored, cluster=records[first].id))
        origin = prompt_in(record).origin
        rows.append(
            {
                "id": record.id,
                "source": origin.source,
                "row": origin.row,
                "cluster": records[first].id,
                "purpose": purpose,
                "reason": reason,
            }
        )
    return kept, rows


def _in_form(record: Record, purpose: Purpose, *, seed: int) -> Record | None:
    """The record as the purpose needs it: conversations, rankings, or prompts."""
    if purpose in _PREFERENCE:
        if isinstance(record, Conversation):
            return ranking_of(record, seed=seed_for(seed, "ranking", record.id))
        return record if isinstance(record, Ranking | Comparison) else None
    if purpose in _PROMPTED:
        if isinstance(record, Conversation):
            return record.prompt
        return record if isinstance(record, Prompt) else None
    return record if isinstance(record, Conversation) else None


def _purpose_entry(path: Path, rows: Sequence[StoredRow]) -> dict[str, Any]:
    slices = Counter(prompt_in(row.record).slice for row in rows)
    return {
        "rows": len(rows),
        "clusters": len({row.cluster for row in rows}),
        "slices": dict(sorted(slices.items())),
        "file": path.name,
        "sha256": file_sha256(path),
    }


def _source_entry(source: Source) -> dict[str, Any]:
    example = source.records[0]
    shown = {"prompt": prompt_in(example).text[:300]}
    if isinstance(example, Conversation):
        shown["completion"] = example.completion[:300]
    return {
        "name": source.name,
        "sha256": source.sha256,
        "rows": source.rows,
        "mapping": source.layout.name,
        "example": shown,
    }


def _rejected_entry(sources: Sequence[Source]) -> dict[str, Any]:
    reasons = Counter(
        f"{row.field}: {row.reason}" if row.field else row.reason for source in sources for row in source.rejected
    )
    return {"rows": sum(reasons.values()), "reasons": dict(sorted(reasons.items()))}
