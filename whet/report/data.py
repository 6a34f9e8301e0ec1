"""What the page says of the data: how it was read, where it went, what was left out, what binds it, with examples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.difference import Piece, differences, shortened
from whet.core.errors import DataError
from whet.core.files import read_json_lines
from whet.core.records import Message, Origin, Prompt
from whet.core.told import told_lines

__all__ = ["DataSection", "PairCard", "read_data_section"]

Entry = Mapping[str, Any]
# What each kind of edge says of two rows.
MEANING = {
    "exact": "the same prompt and completion but for appearance",
    "shared_prompt": "the same prompt, whatever the completion",
    "group": "the same document, author or conversation tree",
    "near": "prompts that share most of their runs of three words",
    "stop": "the same without the runs that very many rows share",
    "template": "the same prompt but for names and numbers",
    "paraphrase": "the same question in other words",
}
_METHODS = {"join": "exact join: every pair", "minhash": "MinHash, then counted", "tf-idf": "rare words and numbers"}
_SOURCES, _REASONS, _PAIRS, _IN_BENCHMARKS = 6, 12, 3, 20
_MOST, _ENDS = 900, 160
_BENCHMARK = "in a benchmark"
_NEEDED = ("sources", "settings", "purposes", "unused", "rejected", "edges", "clusters", "rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A row of a pair, its texts in pieces of which those are marked that the other side reads otherwise."""

    name: str
    went_to: str
    texts: tuple[tuple[str, tuple[Piece, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCard:
    """Two rows that an edge joins, and why."""

    score: float
    evidence: str
    sides: tuple[Side, Side]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSection:
    """The manifest, and what the page shows beside it.

    `pairs` are the weakest of each kind; `note` says which file could not be read.
    """

    manifest: Entry
    sources: tuple[Entry, ...]
    more_sources: tuple[Entry, ...]
    refused: tuple[tuple[str, int, str], ...]  # reason, rows, the first of them
    unused: tuple[tuple[str, int, str], ...]
    views: tuple[Entry, ...]
    facts: tuple[tuple[str, str], ...]
    in_benchmarks: tuple[tuple[str, str], ...]  # row, reason
    pairs: Mapping[str, tuple[PairCard, ...]]
    note: str | None

    @property
    def read(self) -> int:
        """Rows of all sources."""
        return sum(source["rows"] for source in self.manifest["sources"])

    def example(self, source: Entry) -> list[tuple[str, str]]:
        """The source's first row as it was understood, the known answer last."""
        texts = [(name, text) for name, text in source["example"].items() if text]
        return sorted(texts, key=lambda pair: pair[0] == "answer")

    def told(self, source: Entry) -> list[str]:
        """What was not read of the source, and what changes nothing here though elsewhere it would."""
        return list(told_lines(source))


def read_data_section(data_dir: Path, manifest: Entry) -> DataSection:
    """The section from the files of a run's `data/` alone; a damaged file costs its part, and the page says so."""
    missing = [name for name in _NEEDED if name not in manifest]
    if missing:
        raise DataError(
            f"{data_dir / 'manifest.json'}: has no {missing[0]!r}; it was damaged or edited after it was written"
        )
    rejected: dict[str, str] = {}
    pairs: dict[str, tuple[PairCard, ...]] = {}
    note = None
    try:
        rejected = _first_places(data_dir / "rejected.jsonl")
        pairs = _pairs(data_dir, manifest)
    except DataError as error:
        note = str(error)
    sources = manifest["sources"]
    return DataSection(
        manifest=manifest,
        sources=tuple(sources[:_SOURCES]),
        more_sources=tuple(sources[_SOURCES:]),
        refused=tuple(_reasons(manifest["rejected"]["reasons"], rejected)),
        unused=tuple(_reasons(manifest["unused"]["reasons"], _first_unused(manifest))),
        views=tuple(_views(manifest)),
        facts=tuple(_facts(manifest)),
        in_benchmarks=tuple(_in_benchmarks(manifest)),
        pairs=pairs,
        note=note,
    )


def _name(row: Entry) -> str:
    return f"{row['source']} row {row['row']}"


def _first_places(path: Path) -> dict[str, str]:
    """For each reason the first row that was refused for it, and the field."""
    places: dict[str, str] = {}
    for row in read_json_lines(path) if path.is_file() else ():
        field = f", field {row['field']}" if row["field"] else ""
        places.setdefault(row["reason"], f"{_name(row)}{field}")
    return places


def _first_unused(manifest: Entry) -> dict[str, str]:
    places: dict[str, str] = {}
    reasons = sorted(manifest["unused"]["reasons"], key=len, reverse=True)
    for row in manifest["rows"]:
        if row["purpose"] is None:
            reason = next((reason for reason in reasons if row["reason"].startswith(reason)), row["reason"])
            places.setdefault(reason, _name(row))
    return places


def _reasons(reasons: Entry, places: Mapping[str, str]) -> Iterator[tuple[str, int, str]]:
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    for reason, count in ordered[:_REASONS]:
        yield reason, count, places.get(reason, "")
    if rest := ordered[_REASONS:]:
        yield f"{len(rest)} other reasons", sum(count for _, count in rest), ""


def _views(manifest: Entry) -> Iterator[Entry]:
    for kind, view in manifest.get("views", {}).items():
        capped = view["capped"]
        note = f"{capped['buckets']:,} groups of up to {capped['largest']:,} rows" if capped["buckets"] else ""
        yield {
            "kind": kind,
            "meaning": MEANING.get(kind, ""),
            "joins": manifest["edges"].get(kind, 0),
            "pairs": view["pairs"],
            "method": _METHODS.get(view["method"], view["method"]),
            "capped": note,
        }


def _facts(manifest: Entry) -> Iterator[tuple[str, str]]:
    """Rules that were used, in words."""
    splits, found = manifest.get("splits", {}), manifest.get("slices", {}).get("found", {})
    if time := splits.get("time"):
        yield (
            "time",
            f"{time['column']}: training until {time['training_until']}, evaluation from {time['evaluation_from']}",
        )
    if strata := splits.get("strata"):
        off = strata["largest_deviation"]
        where = f"{abs(off['rows']):g} rows ({abs(off['points']):g} points) of {off['stratum']} in {off['purpose']}"
        yield "strata", f"{', '.join(strata['columns'])}; at most {where} from its share"
    if pinned := splits.get("pinned", {}).get("rows"):
        yield "pinned", f"{pinned:,} rows; {splits['pinned']['unused beside them']:,} like them are not used"
    if manifest["settings"].get("earlier"):
        yield "earlier", f"{splits['earlier']['rows']:,} rows keep the purpose that they had"
    if found:
        yield "long tail", "found by " + ", ".join(f"{reason} ({count:,})" for reason, count in found.items())
    thinned = sum(source.get("thinned", 0) for source in manifest["sources"])
    if beyond := manifest.get("beyond_limit"):
        yield "limit", f"{beyond:,} rows beyond it are left out"
    if thinned:
        yield "thinned", f"{thinned:,} rows left out to keep the weights of the sources"
    tokens = manifest.get("control_tokens", {})
    if tokens.get("rows"):
        names = ", ".join(f"{token} ({count:,})" for token, count in tokens.items() if token != "rows")
        held = f"{tokens['rows']:,} row{'s hold' if tokens['rows'] > 1 else ' holds'} text that looks like one"
        yield "control tokens", f"{held}, kept as text: {names}"


def _in_benchmarks(manifest: Entry) -> Iterator[tuple[str, str]]:
    """Rows that were left out because a benchmark asks the same; the reason names the benchmark's row."""
    rows = (row for row in manifest["rows"] if row["purpose"] is None and row["reason"].startswith(_BENCHMARK))
    for _, row in zip(range(_IN_BENCHMARKS), rows, strict=False):
        yield _name(row), row["reason"].removeprefix(_BENCHMARK).strip()


def _pairs(data_dir: Path, manifest: Entry) -> dict[str, tuple[PairCard, ...]]:
    """The weakest edges of each kind, which are the ones that might be wrong, with the rows that they join."""
    edges: dict[str, list[Entry]] = {}
    for edge in _read(data_dir / "edges.parquet"):
        edges.setdefault(edge["kind"], []).append(edge)
    chosen = {kind: sorted(found, key=lambda edge: edge["score"])[:_PAIRS] for kind, found in edges.items()}
    rows = manifest["rows"]
    places = sorted({edge[end] for found in chosen.values() for edge in found for end in ("first", "second")})
    wanted: dict[str, list[str]] = {}
    for place in places:
        wanted.setdefault(rows[place]["purpose"] or "unused", []).append(rows[place]["id"])
    stored = {
        (row["id"], row["source"], row["row"]): row
        for name, ids in wanted.items()
        for row in _read(data_dir / f"{name}.parquet", ids)
    }
    kinds = [kind for kind in (*MEANING, *sorted(chosen)) if kind in chosen]
    return {kind: tuple(_card(edge, rows, stored) for edge in chosen[kind]) for kind in dict.fromkeys(kinds)}


def _read(path: Path, ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        if ids is not None:
            table = table.filter(pc.is_in(table["id"], pa.array(ids)))
        return list(table.to_pylist())
    except (pa.ArrowException, OSError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).partition("\n")[0]
        raise DataError(f"{path.name} cannot be read ({reason}), so no pair is shown") from error


def _card(edge: Entry, rows: Sequence[Entry], stored: Mapping[tuple[str, str, int], Entry]) -> PairCard:
    entries = [rows[edge[end]] for end in ("first", "second")]
    first, second = (dict(_texts(stored.get((entry["id"], entry["source"], entry["row"])))) for entry in entries)
    left, right = [], []
    for label in dict.fromkeys((*first, *second)):
        before, after = differences(first.get(label, ""), second.get(label, ""))
        left.append((label, shortened(before, most=_MOST, ends=_ENDS)))
        right.append((label, shortened(after, most=_MOST, ends=_ENDS)))
    sides = [
        Side(name=_name(entry), went_to=f"{entry['purpose'] or 'unused'}: {entry['reason']}", texts=tuple(texts))
        for entry, texts in zip(entries, (left, right), strict=True)
    ]
    return PairCard(score=edge["score"], evidence=edge["evidence"], sides=(sides[0], sides[1]))


def _texts(row: Entry | None) -> Iterator[tuple[str, str]]:
    """The prompt and the best completion of a stored row; its file may have been altered since."""
    if row is None:
        yield "prompt", "(not in its file any more)"
        return
    messages = tuple(Message(role=turn["role"], content=turn["content"]) for turn in row["messages"])
    yield "prompt", Prompt(messages=messages, origin=Origin(source="", row=0)).text
    if row["completion"] is not None:
        yield "completion", row["completion"]
    elif row["completions"]:
        ranks = row["ranks"] or range(len(row["completions"]))
        yield "best", row["completions"][min(range(len(ranks)), key=lambda place: ranks[place])]
    if row["answer"] is not None:
        yield "answer", row["answer"]
