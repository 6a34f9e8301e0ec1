"""The flow of data preparation: raw rows -> records -> clusters -> purposes -> files and manifest."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.files import file_sha256, write_json_lines
from whet.core.recipe import DataSettings
from whet.core.records import (
    PURPOSES,
    Comparison,
    Conversation,
    Origin,
    Prompt,
    Purpose,
    Ranking,
    Record,
    Rejected,
    prompt_in,
)
from whet.core.seeds import seed_for
from whet.data.assign import Assignment, RowPlace, assign, ranking_seed
from whet.data.clusters import Clusters, join
from whet.data.duplicates import RowText, find, row_texts
from whet.data.manifest import FORMAT, UNUSED, Provenance, StoredRow, write_edges, write_manifest, write_rows
from whet.data.rankings import has_own_ranking, ranking_of, without_ranking
from whet.data.sources import Source, read_sources

__all__ = ["prepare"]

# Reasons are written by many hands; the manifest counts this many and sums up the rest.
_REASONS_COUNTED = 40
_CONTROL_TOKEN = re.compile(r"<\|[^<>|]{1,40}\|>|</?s>|<(?:bos|eos|pad|start_of_turn|end_of_turn)>|\[/?INST\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Every row that was read, the demonstrations before the preferences, and how the rows hang together."""

    records: tuple[Record, ...]
    is_preference: tuple[bool, ...]  # from the source of preferences
    texts: tuple[RowText, ...]
    clusters: Clusters


def prepare(settings: DataSettings, *, seed: int, out: Path) -> dict[str, Any]:
    """Write `manifest.json`, a Parquet file per purpose and `rejected.jsonl` into `out`; returns the manifest.

    The same rows, settings and seed give the same bytes, whatever the folder. Raises `DataError` when more than
    `max_rejected_share` of the rows had to be refused; `rejected.jsonl` is written first.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)  # an older one must not vouch for new files
    names = (settings.source,) if isinstance(settings.source, str) else settings.source
    sources = _apart([source for name in names for source in read_sources(name, settings, seed=seed)])
    preferences = read_sources(settings.preferences, settings, seed=seed) if settings.preferences else []
    preferences = _apart([*sources, *preferences])[len(sources) :]
    _refuse([*sources, *preferences], settings, out)
    _require_rankings(preferences)
    corpus = _corpus(sources, preferences, settings, seed)
    assigned = assign(corpus.records, corpus.is_preference, corpus.texts, corpus.clusters, settings, seed=seed)
    manifest = {
        "format": FORMAT,
        "seed": seed,
        "settings": _portable(settings, sources, preferences),
        "sources": [_source_entry(source) for source in (*sources, *preferences)],
        **_write_files(corpus, assigned, out, seed=seed),
        "rejected": _rejected_entry([*sources, *preferences]),
        "edges": dict(corpus.clusters.edges),
        "views": dict(corpus.clusters.views),
        "clusters": _cluster_entry(corpus.clusters),
        "control_tokens": _control_tokens(corpus.records),
        "rows": [
            _row_entry(text.id, prompt_in(record).origin, corpus.texts[first].id, place)
            for record, text, first, place in zip(
                corpus.records, corpus.texts, corpus.clusters.of_row, assigned.places, strict=True
            )
        ],
    }
    write_manifest(out, manifest)
    return manifest


def _apart(sources: Sequence[Source]) -> list[Source]:
    """Two files of the same name get different names, so that a row's origin is one place."""
    seen: Counter[str] = Counter()
    named = []
    for source in sources:
        seen[source.name] += 1
        name = source.name if seen[source.name] == 1 else f"{source.name} ({seen[source.name]})"
        named.append(source if name == source.name else source.renamed(name))
    return named


def _refuse(sources: Sequence[Source], settings: DataSettings, out: Path) -> None:
    rejected = [row for source in sources for row in source.rejected]
    write_json_lines(out / "rejected.jsonl", map(_rejected_row, rejected))
    total = sum(source.rows for source in sources)
    if len(rejected) == total:
        raise DataError(f"none of {total} rows can be used; the reasons stand in {out / 'rejected.jsonl'}")
    if len(rejected) > settings.max_rejected_share * total:
        first = rejected[0]
        raise DataError(
            f"{len(rejected)} of {total} rows were refused, more than data.max_rejected_share = "
            f"{settings.max_rejected_share:g}; the first: {first.origin.source}, row {first.origin.row}"
            f"{f', field {first.field}' if first.field else ''}: {first.reason}. All of them: {out / 'rejected.jsonl'}"
        )


def _require_rankings(preferences: Sequence[Source]) -> None:
    for source in preferences:
        example = source.example
        if isinstance(example, Prompt) or (isinstance(example, Conversation) and not has_own_ranking(example.prompt)):
            raise DataError(
                f"data.preferences: {source.name} holds rows of {source.layout.name}; "
                "chosen and rejected, or completions and ranks, were expected"
            )


def _rejected_row(row: Rejected) -> dict[str, Any]:
    return asdict(row.origin) | {"field": row.field, "reason": row.reason, "excerpt": row.excerpt}


def _corpus(sources: Sequence[Source], preferences: Sequence[Source], settings: DataSettings, seed: int) -> Corpus:
    """Preference rows are clustered together with all others: their prompts must not be asked elsewhere."""
    main = _limited([record for source in sources for record in source.records], settings, seed)
    ranked = _limited([record for source in preferences for record in source.records], settings, seed)
    records = (*main, *ranked)
    texts = tuple(row_texts(records, settings.group))
    return Corpus(
        records=records,
        is_preference=(False,) * len(main) + (True,) * len(ranked),
        texts=texts,
        clusters=join(len(records), find(texts, settings)),
    )


def _limited(records: list[Record], settings: DataSettings, seed: int) -> list[Record]:
    """At most `limit` records, the ones whose hash is smallest, in their old order."""
    if settings.limit is None or len(records) <= settings.limit:
        return records
    order = sorted(range(len(records)), key=lambda index: seed_for(seed, "limit", records[index].id))
    return [records[index] for index in sorted(order[: settings.limit])]


def _write_files(corpus: Corpus, assigned: Assignment, out: Path, *, seed: int) -> dict[str, Any]:
    """A file for every purpose, one for what serves none, one for the edges; their entries in the manifest."""
    kept: dict[str, list[StoredRow]] = {name: [] for name in (*PURPOSES, UNUSED)}
    for row, (record, place) in enumerate(zip(corpus.records, assigned.places, strict=True)):
        cluster = corpus.texts[corpus.clusters.of_row[row]].id
        kept[place.purpose or UNUSED].append(_stored(record, cluster, place.purpose, seed=seed))
    purposes = {}
    for purpose in PURPOSES:
        path = write_rows(out, purpose, kept[purpose])
        purposes[purpose] = _purpose_entry(kept[purpose], assigned.requested[purpose]) | _file_entry(path)
    reasons = Counter(place.category for place in assigned.places if place.purpose is None)
    unused = {"rows": sum(reasons.values()), "reasons": dict(sorted(reasons.items()))}
    edges = write_edges(out, [asdict(edge) | {"evidence": edge.evidence[:200]} for edge in corpus.clusters.joins])
    return {
        "purposes": purposes,
        "unused": unused | _file_entry(write_rows(out, UNUSED, kept[UNUSED])),
        "files": {path.name: file_sha256(path) for path in (edges, out / "rejected.jsonl")},
    }


def _stored(record: Record, cluster: str, purpose: Purpose | None, *, seed: int) -> StoredRow:
    """A row's own ranking is kept where a reward model learns from it, and nowhere else: it gives answers away."""
    if not isinstance(record, Conversation):
        return StoredRow(record=record, cluster=cluster)
    bare = replace(record, prompt=without_ranking(record.prompt))
    if purpose not in ("rm_train", "rm_test"):
        return StoredRow(record=bare, cluster=cluster)
    ranking = ranking_of(record, seed=ranking_seed(seed, record))
    provenance: Provenance = "row" if has_own_ranking(record.prompt) else "derived"
    return StoredRow(record=bare, cluster=cluster, ranking=ranking, provenance=provenance)


def _purpose_entry(rows: Sequence[StoredRow], requested: int) -> dict[str, Any]:
    slices = Counter(prompt_in(row.record).slice for row in rows)
    return {
        "rows": len(rows),
        "requested": requested,
        "clusters": len({row.cluster for row in rows}),
        "slices": dict(sorted(slices.items())),
    }


def _file_entry(path: Path) -> dict[str, Any]:
    return {"file": path.name, "sha256": file_sha256(path)}


def _cluster_entry(clusters: Clusters) -> dict[str, Any]:
    sizes = [len(rows) for rows in clusters.members.values()]
    return {"count": len(sizes), "largest": max(sizes), "straddling": 0}


def _row_entry(id_: str, origin: Origin, cluster: str, place: RowPlace) -> dict[str, Any]:
    return {
        "id": id_,
        "source": origin.source,
        "row": origin.row,
        "cluster": cluster,
        "purpose": place.purpose,
        "reason": place.reason,
    }


def _portable(settings: DataSettings, sources: Sequence[Source], preferences: Sequence[Source]) -> dict[str, Any]:
    """The settings without the paths of this machine."""
    return settings.model_dump(mode="json") | {
        "source": [source.name for source in sources],
        "preferences": [source.name for source in preferences] or None,
    }


def _source_entry(source: Source) -> dict[str, Any]:
    """How a source was understood, with its first row as it was read."""
    example = source.example
    shown = {}
    if example is not None:
        shown = {"prompt": prompt_in(example).text, "answer": prompt_in(example).answer}
        match example:
            case Conversation():
                shown |= {"completion": example.completion}
            case Comparison():
                shown |= {"chosen": example.chosen, "rejected": example.rejected}
            case Ranking():
                shown |= {"best": example.completions[example.ranks.index(min(example.ranks))]}
    return {
        "name": source.name,
        "sha256": source.sha256,
        "rows": source.rows,
        "rejected": len(source.rejected),
        "mapping": source.layout.name,
        "columns": list(source.layout.columns),
        "example": {key: text if text is None else text[:300] for key, text in shown.items()},
    }


def _rejected_entry(sources: Sequence[Source]) -> dict[str, Any]:
    reasons = Counter(row.reason for source in sources for row in source.rejected)
    counted = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in counted[_REASONS_COUNTED:])
    return {
        "rows": sum(reasons.values()),
        "reasons": dict(counted[:_REASONS_COUNTED]) | ({"other reasons": rest} if rest else {}),
    }


def _control_tokens(records: Sequence[Record]) -> dict[str, int]:
    """How many rows hold text that some tokenizer reads as a control token, and which; templates take it as text."""
    found: Counter[str] = Counter()
    rows = 0
    for record in records:
        here = set(_CONTROL_TOKEN.findall(_everything_in(record)))
        found.update(here)
        rows += bool(here)
    common = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:_REASONS_COUNTED]
    return {"rows": rows, **dict(common)}


def _everything_in(record: Record) -> str:
    match record:
        case Conversation():
            texts: tuple[str, ...] = (record.completion,)
        case Comparison():
            texts = (record.chosen, record.rejected)
        case Ranking():
            texts = record.completions
        case Prompt():
            texts = ()
    return "\n".join((*(turn.content for turn in prompt_in(record).messages), *texts))
