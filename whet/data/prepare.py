"""The flow of data preparation: raw rows -> records -> clusters -> purposes -> files and manifest."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, overload

from whet.core.errors import DataError
from whet.core.files import file_sha256, write_json_lines
from whet.core.recipe import DataSettings
from whet.core.recipe.data import SourceSettings, path_of, sources_in
from whet.core.records import (
    EVALUATION_PURPOSES,
    PURPOSES,
    Comparison,
    Conversation,
    Prompt,
    Purpose,
    Ranking,
    Record,
    Rejected,
    prompt_in,
    texts_in,
)
from whet.core.seeds import seed_for
from whet.data.alike.clusters import Clusters, join
from whet.data.alike.views import find
from whet.data.alike.views.found import Found
from whet.data.manifest import FORMAT, UNUSED, Provenance, StoredRow, write_edges, write_manifest, write_rows
from whet.data.out_folder import make_ready
from whet.data.pairs.embed import require_encoder
from whet.data.proof.certify import missed_pairs
from whet.data.sources.mixing import THINNED, mix
from whet.data.sources.rankings import has_own_ranking, ranking_of, without_ranking
from whet.data.sources.read import Source, read_sources
from whet.data.space.distributed import require_ray, working
from whet.data.space.shelf import chained, chosen, resliced
from whet.data.space.where import Where
from whet.data.splits.assign import Assignment, RowPlace, assign, ranking_seed
from whet.data.splits.exclude import excluded_rows
from whet.data.splits.slices import find_slices
from whet.data.texts.row_texts import RowTexts, row_texts

__all__ = ["prepare"]

# Of the largest clusters so many are described.
_CLUSTERS_SHOWN = 10
# Reasons are written by many hands; the manifest counts this many and sums up the rest.
_REASONS_COUNTED = 40
_CONTROL_TOKEN = re.compile(r"<\|[^<>|]{1,40}\|>|</?s>|<(?:bos|eos|pad|start_of_turn|end_of_turn)>|\[/?INST\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What was read: the sources that are split, those of preferences, and those whose purpose is given."""

    main: tuple[Source, ...]
    preferences: tuple[Source, ...]
    pinned: tuple[tuple[Purpose, Source], ...]

    @property
    def all(self) -> tuple[Source, ...]:
        return (*self.main, *self.preferences, *(source for _, source in self.pinned))


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Every row that was read, and how the rows hang together: the demonstrations, the preferences, the pinned ones."""

    records: Sequence[Record]
    is_preference: tuple[bool, ...]  # from the source of preferences
    pinned: tuple[int, ...]  # index into PURPOSES, -1 when the purpose is not given
    thinned: tuple[bool, ...]  # left out to keep `data.weights`
    slices: tuple[str, ...]
    slice_reasons: tuple[str, ...]  # why a slice was found, "" where it is the row's own or the ordinary one
    texts: RowTexts
    found: tuple[Found, ...]
    clusters: Clusters


def prepare(settings: DataSettings, *, seed: int, out: Path) -> dict[str, Any]:
    """Write `manifest.json`, a Parquet file per purpose and `rejected.jsonl` into `out`; returns the manifest.

    The same rows, settings and seed give the same bytes, whatever the folder and wherever the steps run. Raises
    `DataError` when more than `max_rejected_share` of the rows had to be refused; `rejected.jsonl` is written first.
    """
    require_ray(settings.workers)
    require_encoder(settings.paraphrase)
    make_ready(out, map(path_of, (*sources_in(settings), settings.preferences or "", *settings.pinned.values())))
    sources = _read(settings, seed=seed)
    (out / "manifest.json").unlink(missing_ok=True)  # an older one must not vouch for new files
    _refuse(sources.all, settings, out)
    _require_rankings(sources.preferences)
    with working(settings.workers) as where:
        corpus, assigned = _certified(_corpus(sources, settings, seed, where), settings, where, seed=seed)
    carries = [""] * len(corpus.records)
    manifest = {
        "format": FORMAT,
        "seed": seed,
        "settings": _portable(settings, sources),
        "sources": [_source_entry(source) for source in sources.all],
        **_write_files(corpus, assigned, out, seed=seed, carries=carries),
        "rejected": _rejected_entry(sources.all),
        "beyond_limit": _beyond_limit(sources.all, corpus) if settings.limit is not None else 0,
        "edges": dict(corpus.clusters.edges),
        "views": dict(corpus.clusters.views),
        "passages": _passage_entry(corpus.texts),
        "clusters": _cluster_entry(corpus),
        "splits": dict(assigned.report),
        "slices": _slice_entry(corpus),
        "control_tokens": _control_tokens(corpus.records),
        "rows": _Listing(corpus, assigned.places, carries),
    }
    write_manifest(out, manifest)
    return manifest


def _certified(corpus: Corpus, settings: DataSettings, where: Where, *, seed: int) -> tuple[Corpus, Assignment]:
    """The purposes, once no held-out row is near a training row of another cluster: what was missed is joined."""
    while True:
        assigned = _assigned(corpus, settings, seed=seed)
        purposes = [place.purpose for place in assigned.places]
        missed = missed_pairs(corpus.texts, purposes, corpus.clusters.of_row, corpus.clusters.views, where)
        if missed is None:
            return corpus, assigned
        found = (*corpus.found, missed)
        corpus = replace(corpus, found=found, clusters=join(len(corpus.records), found))


def _assigned(corpus: Corpus, settings: DataSettings, *, seed: int) -> Assignment:
    excluded = excluded_rows(corpus.records, corpus.texts, corpus.clusters, settings, pinned=corpus.pinned)
    thinned = RowPlace(purpose=None, category=THINNED)
    return assign(
        corpus.records,
        corpus.is_preference,
        corpus.texts,
        corpus.clusters,
        settings,
        seed=seed,
        pinned=corpus.pinned,
        excluded=excluded | {row: thinned for row, is_thinned in enumerate(corpus.thinned) if is_thinned},
    )


def _read(settings: DataSettings, *, seed: int) -> Sources:
    groups = [read_sources(source, settings, seed=seed) for source in sources_in(settings)]
    if settings.weights is not None:
        groups = mix(groups, settings.weights, seed=seed)
    preferences = read_sources(settings.preferences, settings, seed=seed) if settings.preferences else []
    pinned = [
        (purpose, source)
        for purpose, name in settings.pinned.items()
        for source in read_sources(name, settings, seed=seed, is_held_out=purpose in EVALUATION_PURPOSES)
    ]
    main = [source for group in groups for source in group]
    apart = _apart([*main, *preferences, *(source for _, source in pinned)])
    first_pinned = len(main) + len(preferences)
    return Sources(
        main=tuple(apart[: len(main)]),
        preferences=tuple(apart[len(main) : first_pinned]),
        pinned=tuple((purpose, source) for (purpose, _), source in zip(pinned, apart[first_pinned:], strict=True)),
    )


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
    """Stop when too much was refused. What was skipped in a row that was taken is told, and is no refusal."""
    rejected = [row for source in sources for row in source.rejected]
    skipped = [row for source in sources for row in source.skipped]
    write_json_lines(out / "rejected.jsonl", map(_rejected_row, (*rejected, *skipped)))
    total = sum(source.rows for source in sources)
    is_empty = not any(source.records for source in sources)
    if is_empty or len(rejected) > settings.max_rejected_share * total:
        first = (*rejected, *skipped)[0]
        limit = f"{len(rejected)} of {total} rows were refused, more than data.max_rejected_share = "
        raise DataError(
            f"{f'none of {total} rows can be used' if is_empty else f'{limit}{settings.max_rejected_share:g}'}; the "
            f"first: {first.origin.source}, row {first.origin.row}{f', field {first.field}' if first.field else ''}: "
            f"{first.reason}. All of them: {out / 'rejected.jsonl'}"
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


def _corpus(sources: Sources, settings: DataSettings, seed: int, where: Where) -> Corpus:
    """All rows are clustered together: what one purpose asks must not be asked elsewhere, wherever it came from."""
    main = _limited(chained([source.records for source in sources.main]), settings, seed)
    ranked = _limited(chained([source.records for source in sources.preferences]), settings, seed)
    pinned = [PURPOSES.index(purpose) for purpose, source in sources.pinned for _ in range(len(source.records))]
    thinned = chained([source.thinned for source in sources.main])
    records = chained([main, ranked, *(source.records for _, source in sources.pinned), thinned])
    texts = row_texts(records, settings.group, where)
    slices = find_slices(records, texts, settings)
    found = tuple(find(texts, settings, where))
    return Corpus(
        records=resliced(records, [slice_ for slice_, _ in slices]),
        slices=tuple(slice_ for slice_, _ in slices),
        is_preference=tuple(len(main) <= row < len(main) + len(ranked) for row in range(len(records))),
        pinned=(*(-1 for _ in range(len(main) + len(ranked))), *pinned, *(-1 for _ in range(len(thinned)))),
        thinned=tuple(row >= len(records) - len(thinned) for row in range(len(records))),
        slice_reasons=tuple(reason for _, reason in slices),
        texts=texts,
        found=found,
        clusters=join(len(records), found),
    )


def _limited(records: Sequence[Record], settings: DataSettings, seed: int) -> Sequence[Record]:
    """At most `limit` records, the ones whose hash is smallest, in their old order."""
    if settings.limit is None or len(records) <= settings.limit:
        return records
    order = sorted((seed_for(seed, "limit", record.id), row) for row, record in enumerate(records))
    return chosen(records, sorted(row for _, row in order[: settings.limit]))


def _beyond_limit(sources: Sequence[Source], corpus: Corpus) -> int:
    """How many rows gave nothing but records that `data.limit` leaves out; they are not listed."""
    taken = {(origin.source, origin.row) for origin in (prompt_in(record).origin for record in corpus.records)}
    told = {(row.origin.source, row.origin.row) for source in sources for row in (*source.rejected, *source.skipped)}
    return sum(source.rows for source in sources) - len(taken | told)


def _write_files(corpus: Corpus, assigned: Assignment, out: Path, *, seed: int, carries: list[str]) -> dict[str, Any]:
    """A file for every purpose, one for what serves none, one for the edges; their entries in the manifest.

    `carries` is filled with `StoredRow.carries` of every row.
    """
    rows_of: dict[str, list[int]] = {name: [] for name in (*PURPOSES, UNUSED)}
    for row, place in enumerate(assigned.places):
        rows_of[place.purpose or UNUSED].append(row)

    def stored(rows: Sequence[int], purpose: Purpose | None) -> Iterator[StoredRow]:
        for row in rows:
            cluster = corpus.texts.id[corpus.clusters.of_row[row]]
            made = _stored(corpus.records[row], cluster, purpose, seed=seed)
            carries[row] = made.carries
            yield made

    purposes = {}
    for purpose in PURPOSES:
        path = write_rows(out, purpose, stored(rows_of[purpose], purpose))
        purposes[purpose] = _purpose_entry(corpus, rows_of[purpose], assigned.requested[purpose]) | _file_entry(path)
    unused_rows = write_rows(out, UNUSED, stored(rows_of[UNUSED], None))
    reasons = Counter(place.category for place in assigned.places if place.purpose is None)
    unused = {"rows": sum(reasons.values()), "reasons": dict(sorted(reasons.items()))}
    edges = write_edges(out, [asdict(edge) | {"evidence": edge.evidence[:200]} for edge in corpus.clusters.joins])
    return {
        "purposes": purposes,
        "unused": unused | _file_entry(unused_rows),
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


def _purpose_entry(corpus: Corpus, rows: Sequence[int], requested: int) -> dict[str, Any]:
    slices = Counter(corpus.slices[row] for row in rows)
    return {
        "rows": len(rows),
        "requested": requested,
        "clusters": len({corpus.clusters.of_row[row] for row in rows}),
        "slices": dict(sorted(slices.items())),
    }


def _file_entry(path: Path) -> dict[str, Any]:
    return {"file": path.name, "sha256": file_sha256(path)}


def _cluster_entry(corpus: Corpus) -> dict[str, Any]:
    """How many there are, and of the largest what holds them together: chains and giants are told, never cut."""
    sizes = [len(rows) for rows in corpus.clusters.members.values()]
    largest = [
        {
            "cluster": corpus.texts.id[links.rows[0]],
            "rows": len(links.rows),
            "kinds": dict(links.kinds),
            "lowest_score": round(links.lowest_score, 4),
            "longest_chain": links.longest_chain,
        }
        for links in corpus.clusters.largest(_CLUSTERS_SHOWN)
    ]
    return {"count": len(sizes), "largest": max(sizes), "straddling": 0, "the largest": largest}


def _passage_entry(texts: RowTexts) -> dict[str, Any]:
    """How many rows were compared without a passage that very many share, and which; and how many by system turns."""
    return {
        "rows": texts.own.cut,
        "by system turns": texts.asked.with_system,
        "the commonest": [
            asdict(passage) | {"text": passage.text[:300]} for passage in texts.own.passages(_CLUSTERS_SHOWN)
        ],
    }


def _slice_entry(corpus: Corpus) -> dict[str, Any]:
    """How many rows are of each slice, and why the rare ones were found."""
    counts = Counter(corpus.slices)
    reasons = Counter(re.sub(r" \(.*\)$", "", reason) for reason in corpus.slice_reasons if reason)
    return {"rows": dict(sorted(counts.items())), "found": dict(sorted(reasons.items()))}


class _Listing(Sequence[dict[str, Any]]):
    """The manifest's entry of each row, made when it is looked at."""

    def __init__(self, corpus: Corpus, places: Sequence[RowPlace], carries: Sequence[str]) -> None:
        self._corpus = corpus
        self._places = places
        self._carries = carries

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, row: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, row: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, row: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(row, slice):
            return [self[number] for number in range(*row.indices(len(self)))]
        corpus, place = self._corpus, self._places[row]
        origin = prompt_in(corpus.records[row]).origin
        return {
            "id": corpus.texts.id[row],
            "carries": self._carries[row],
            "source": origin.source,
            "row": origin.row,
            "cluster": corpus.texts.id[corpus.clusters.of_row[row]],
            "purpose": place.purpose,
            "reason": place.reason,
        }


def _portable(settings: DataSettings, sources: Sources) -> dict[str, Any]:
    """The settings without the paths of this machine, and without what changes no bit of the result."""
    pinned: dict[str, list[str]] = {}
    for purpose, source in sources.pinned:
        pinned.setdefault(purpose, []).append(source.name)
    return settings.model_dump(mode="json", exclude={"workers"}) | {
        "source": [source.name for source in sources.main],
        "preferences": [source.name for source in sources.preferences] or None,
        "pinned": pinned,
        "earlier": settings.earlier and Path(settings.earlier).name,
        "benchmarks": [_portable_source(source) for source in settings.benchmarks],
    }


def _portable_source(source: str | SourceSettings) -> str | dict[str, Any]:
    """A source without the folders that it lies in, with the way in which it is read."""
    name = Path(path_of(source)).name
    return name if isinstance(source, str) else source.model_dump(mode="json", exclude_none=True) | {"path": name}


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
        "stated": dict(source.columns),
        "ignored": list(source.ignored),
        "kept": dict(source.kept),
        "told": dict(source.told),
        "left_out": list(source.left_out),
        "skipped": len(source.skipped),
        "thinned": len(source.thinned),
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
        here = set(_CONTROL_TOKEN.findall("\n".join(texts_in(record))))
        found.update(here)
        rows += bool(here)
    common = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:_REASONS_COUNTED]
    return {"rows": rows, **dict(common)}
