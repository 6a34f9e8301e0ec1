"""Looking at prepared data: rows, clusters and pairs with the difference marked, what was left out and refused."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from whet.core.difference import Piece, differences
from whet.core.errors import DataError, did_you_mean
from whet.core.files import read_json_lines
from whet.core.records import PURPOSES, Comparison, Conversation, Ranking, prompt_in
from whet.data.manifest import UNUSED, StoredRow, read_edges, read_manifest, read_rows

__all__ = [
    "ClusterView",
    "EdgeView",
    "PairView",
    "Prepared",
    "RowView",
    "cluster_view",
    "pair_views",
    "purpose_view",
    "rejected_rows",
    "unused_views",
]

Pieces = tuple[Piece, ...]
# An id may be given by so many of its first digits.
FEWEST_DIGITS = 6
_SUGGESTED = 3
# What is read of a manifest and of each of its rows.
_NEEDED = {"clusters", "passages", "rows", "unused", "views"}
_ROW = {"id", "source", "row", "cluster", "purpose", "reason"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowView:
    """A row as it is shown. Its texts are in pieces, of which those are marked that a row beside it reads otherwise.

    `purpose` is None for a row that serves none; `completions` are the best first.
    """

    id: str
    source: str
    row: int
    cluster: str
    purpose: str | None
    reason: str
    slice: str
    prompt: Pieces
    completions: tuple[Pieces, ...]
    answer: str | None
    prompt_id: str

    def as_json(self) -> dict[str, Any]:
        """Plain values, the texts whole."""
        texts = {"prompt": joined(self.prompt), "completions": [joined(text) for text in self.completions]}
        return {name: getattr(self, name) for name in self.__slots__} | texts


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeView:
    """Why two rows belong together: `EdgeView(kind="near", score=0.83, evidence="0.83 of their runs of 3 words", ...)`.

    `first` and `second` are places in the manifest's list of rows.
    """

    kind: str
    first: int
    second: int
    score: float
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """Two rows that an edge joins, each marked against the other."""

    edge: EdgeView
    first: RowView
    second: RowView

    def as_json(self) -> dict[str, Any]:
        edge = asdict(self.edge)
        return {name: edge[name] for name in ("kind", "score", "evidence")} | {
            "first": self.first.as_json(),
            "second": self.second.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """A cluster's rows, those after the first marked against it, and for each of them an edge that ties it to another.

    `others` names the row at the other end of that edge.
    """

    id: str
    size: int
    rows: tuple[RowView, ...]
    edges: tuple[EdgeView | None, ...]
    others: tuple[str, ...]


def joined(pieces: Iterable[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


class Prepared:
    """A prepared folder: the manifest read at once, rows and edges when they are asked for."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.manifest = read_manifest(data_dir)
        rows: Any = self.manifest.get("rows")
        are_rows = isinstance(rows, list) and all(isinstance(row, dict) and row.keys() >= _ROW for row in rows)
        if not are_rows or not self.manifest.keys() >= _NEEDED:
            raise DataError(f"{data_dir / 'manifest.json'}: not whole; it was damaged or edited after it was written")
        self.rows: list[dict[str, Any]] = rows

    def views(self, places: Sequence[int]) -> list[RowView]:
        """The rows at these places of the manifest's list, read from their files."""
        wanted: dict[str, set[str]] = {}
        for place in places:
            wanted.setdefault(self.rows[place]["purpose"] or UNUSED, set()).add(self.rows[place]["id"])
        found: dict[tuple[str, int, str], StoredRow] = {}
        for name, ids in wanted.items():
            for stored in read_rows(self.data_dir, name, ids=ids):
                origin = prompt_in(stored.record).origin
                found[origin.source, origin.row, stored.id] = stored
        return [self._view(self.rows[place], found) for place in places]

    def _view(self, entry: dict[str, Any], found: dict[tuple[str, int, str], StoredRow]) -> RowView:
        stored = found.get((entry["source"], entry["row"], entry["id"]))
        if stored is None:
            raise DataError(
                f"{self.data_dir}: {entry['source']} row {entry['row']} is not in its file as the manifest says; "
                f"prove the folder with: whet data check {self.data_dir}"
            )
        prompt = prompt_in(stored.record)
        return RowView(
            id=stored.id,
            source=prompt.origin.source,
            row=prompt.origin.row,
            cluster=stored.cluster,
            purpose=entry["purpose"],
            reason=entry["reason"],
            slice=prompt.slice,
            prompt=_unmarked(prompt.text),
            completions=tuple(map(_unmarked, _completions(stored))),
            answer=prompt.answer,
            prompt_id=prompt.id,
        )

    @cached_property
    def edges(self) -> list[EdgeView]:
        """What joined the clusters."""
        return [EdgeView(**edge) for edge in read_edges(self.data_dir)]

    def cluster(self, cluster: str) -> str:
        """The cluster's whole id, from it or from its first digits; what it is not is told with the largest ones."""
        ids: set[str] = {row["cluster"] for row in self.rows if row["cluster"].startswith(cluster)}
        if cluster in ids:
            return cluster
        if len(ids) == 1 and len(cluster) >= FEWEST_DIGITS:
            return ids.pop()
        largest = [f"{entry['cluster']} ({entry['rows']} rows)" for entry in self.manifest["clusters"]["the largest"]]
        known = f"; the largest are {', '.join(largest[:_SUGGESTED])}" if largest else "; no cluster has two rows"
        if len(ids) > 1:
            raise DataError(
                f"{self.data_dir}: {len(ids)} clusters begin with {cluster!r}; give its 16 digits, or more of them"
            )
        raise DataError(f"{self.data_dir}: no cluster {cluster!r}{known}")


def purpose_view(data_dir: Path, purpose: str, *, count: int) -> list[RowView]:
    """The first `count` rows of a purpose, or of `unused`."""
    if purpose not in (*PURPOSES, UNUSED):
        raise DataError(f"no purpose {purpose!r}{did_you_mean(purpose, (*PURPOSES, UNUSED))}")
    prepared = Prepared(data_dir)
    wanted = None if purpose == UNUSED else purpose
    return prepared.views([place for place, row in enumerate(prepared.rows) if row["purpose"] == wanted][:count])


def unused_views(data_dir: Path, *, count: int) -> dict[str, tuple[int, list[RowView]]]:
    """For each reason why rows serve nothing, the most frequent first: how many they are, and the first `count`."""
    prepared = Prepared(data_dir)
    reasons = sorted(prepared.manifest["unused"]["reasons"], key=len, reverse=True)
    places: dict[str, list[int]] = {}
    for place, row in enumerate(prepared.rows):
        if row["purpose"] is None:
            reason = next((reason for reason in reasons if row["reason"].startswith(reason)), row["reason"])
            places.setdefault(reason, []).append(place)
    order = sorted(places, key=lambda reason: (-len(places[reason]), reason))
    shown = iter(prepared.views([place for reason in order for place in places[reason][:count]]))
    return {reason: (len(places[reason]), [next(shown) for _ in places[reason][:count]]) for reason in order}


def cluster_view(data_dir: Path, cluster: str, *, count: int | None = None) -> ClusterView:
    """The rows of a cluster, at most `count`, wherever they are, each compared word by word with the first."""
    prepared = Prepared(data_dir)
    id_ = prepared.cluster(cluster)
    places = [place for place, row in enumerate(prepared.rows) if row["cluster"] == id_]
    places.sort(key=lambda place: (prepared.rows[place]["id"] != id_, place))
    shown = places[:count]
    first, *others = prepared.views(shown)
    pairs = [marked(first, other) for other in others]
    by_second: dict[int, EdgeView] = {}
    by_first: dict[int, EdgeView] = {}
    for edge in prepared.edges:
        by_second.setdefault(edge.second, edge)
        by_first.setdefault(edge.first, edge)
    # Of two rows each is marked against the other; of several the first is what the others are compared with.
    rows = pairs[0] if len(places) == 2 and pairs else (first, *(other for _, other in pairs))
    edges = (None, *(by_second.get(place) or by_first.get(place) for place in shown[1:]))
    ends = tuple(_other_end(prepared.rows, place, edge) for place, edge in zip(shown, edges, strict=True))
    return ClusterView(id=id_, size=len(places), rows=tuple(rows), edges=edges, others=ends)


def _other_end(rows: Sequence[dict[str, Any]], place: int, edge: EdgeView | None) -> str:
    if edge is None:
        return ""
    other = rows[edge.first if edge.second == place else edge.second]
    return f"{other['source']} row {other['row']}"


def pair_views(data_dir: Path, kind: str, *, count: int, strongest: bool = False) -> tuple[int, list[PairView]]:
    """How many edges of a kind there are, and `count` of them as pairs of rows: the weakest first, or the strongest.

    Kind `all` is every kind. Only the edges that joined two clusters are recorded, n - 1 for a cluster of n rows.
    """
    prepared = Prepared(data_dir)
    kinds = tuple(prepared.manifest["views"])
    if kind not in (*kinds, "all"):
        raise DataError(f"no pairs of kind {kind!r}{did_you_mean(kind, (*kinds, 'all'))}")
    edges = [edge for edge in prepared.edges if kind in (edge.kind, "all")]
    edges.sort(key=lambda edge: -edge.score if strongest else edge.score)
    shown = edges[:count]
    rows = prepared.views([place for edge in shown for place in (edge.first, edge.second)])
    pairs = []
    for edge, first, second in zip(shown, rows[::2], rows[1::2], strict=True):
        left, right = marked(first, second)
        pairs.append(PairView(edge=edge, first=left, second=right))
    return len(edges), pairs


def rejected_rows(data_dir: Path, *, count: int | None = None) -> tuple[int, list[dict[str, Any]]]:
    """How many rows were refused or skipped, and the first `count`: `source`, `row`, `field`, `reason`, `excerpt`."""
    read_manifest(data_dir)
    path = data_dir / "rejected.jsonl"
    if not path.is_file():
        raise DataError(f"{path}: no such file; prepare the data again")
    rows = list(read_json_lines(path))
    return len(rows), rows[:count]


def marked(first: RowView, second: RowView) -> tuple[RowView, RowView]:
    """Both rows with what differs marked: their prompts, and completion by completion as far as both have one."""
    before, after = differences(joined(first.prompt), joined(second.prompt))
    left, right = list(first.completions), list(second.completions)
    for place in range(min(len(left), len(right))):
        left[place], right[place] = differences(joined(left[place]), joined(right[place]))
    return (
        replace(first, prompt=before, completions=tuple(left)),
        replace(second, prompt=after, completions=tuple(right)),
    )


def _unmarked(text: str) -> Pieces:
    return (Piece(text=text, is_changed=False),)


def _completions(row: StoredRow) -> tuple[str, ...]:
    """What a stage learns from it, the best first."""
    record = row.ranking or row.record
    match record:
        case Conversation():
            return (record.completion,)
        case Comparison():
            return (record.chosen, record.rejected)
        case Ranking():
            order = sorted(range(len(record.ranks)), key=lambda place: record.ranks[place])
            return tuple(record.completions[place] for place in order)
        case _:
            return ()
