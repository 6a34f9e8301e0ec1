"""Rows that belong together, joined by edges into clusters that are never parted."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from whet.data.alike.views import VIEWS
from whet.data.alike.views.found import Edge, Found

__all__ = ["Clusters", "Links", "join"]


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """`of_row[i]` is the first row of row i's cluster, itself when it is alone or the first.

    `joins` are the edges that joined two clusters, so every cluster of n rows has n - 1 of them. `views` says for each
    view how many pairs it found, by which method, and which buckets were too large to try all pairs of.
    """

    of_row: tuple[int, ...]
    joins: tuple[Edge, ...]
    views: Mapping[str, Any]

    @cached_property
    def members(self) -> dict[int, list[int]]:
        """First row -> all rows of its cluster, in order."""
        groups: dict[int, list[int]] = {}
        for row, first in enumerate(self.of_row):
            groups.setdefault(first, []).append(row)
        return groups

    @property
    def edges(self) -> Mapping[str, int]:
        """How many joins each view made."""
        return dict.fromkeys(VIEWS, 0) | Counter(edge.kind for edge in self.joins)

    def largest(self, count: int) -> list["Links"]:
        """The largest clusters of several rows, the largest first."""
        firsts = sorted(self.members, key=lambda first: (-len(self.members[first]), first))[:count]
        joins_of: dict[int, list[Edge]] = {first: [] for first in firsts}
        for edge in self.joins:
            if self.of_row[edge.first] in joins_of:
                joins_of[self.of_row[edge.first]].append(edge)
        return [_links(self.members[first], joins_of[first]) for first in firsts if len(self.members[first]) > 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """How a cluster hangs together: its kinds of edges, the weakest of them, and the longest chain from row to row."""

    rows: Sequence[int]
    kinds: Mapping[str, int]
    lowest_score: float
    longest_chain: int  # edges between the two rows that are furthest apart


def _links(rows: Sequence[int], joins: Sequence[Edge]) -> Links:
    neighbours: dict[int, list[int]] = defaultdict(list)
    for edge in joins:
        neighbours[edge.first].append(edge.second)
        neighbours[edge.second].append(edge.first)
    # In a tree, the row that is furthest from any row is one end of the longest path.
    end, _ = _furthest(neighbours, rows[0])
    _, longest = _furthest(neighbours, end)
    return Links(
        rows=rows,
        kinds=dict(Counter(edge.kind for edge in joins)),
        lowest_score=min(edge.score for edge in joins),
        longest_chain=longest,
    )


def _furthest(neighbours: Mapping[int, Sequence[int]], start: int) -> tuple[int, int]:
    distance = {start: 0}
    queue = [start]
    for row in queue:
        for other in neighbours[row]:
            if other not in distance:
                distance[other] = distance[row] + 1
                queue.append(other)
    return queue[-1], distance[queue[-1]]


def join(rows: int, found: Iterable[Found]) -> Clusters:
    """Union-find over the pairs; linear in rows and pairs but for the inverse Ackermann function."""
    parent = list(range(rows))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    joins = []
    views: dict[str, Any] = {}
    for view in found:
        for first, second, score in view.pairs:
            a, b = find(first), find(second)
            if a != b:
                parent[max(a, b)] = min(a, b)
                evidence = view.evidence(first, second, score)
                joins.append(Edge(kind=view.kind, first=first, second=second, score=score, evidence=evidence))
        capped = {"buckets": len(view.capped), "largest": max((bucket.rows for bucket in view.capped), default=0)}
        pairs = views.get(view.kind, {"pairs": 0})["pairs"] + len(view.pairs)
        views[view.kind] = {"pairs": pairs, "method": view.method, "capped": capped}
    return Clusters(of_row=tuple(map(find, range(rows))), joins=tuple(joins), views=views)
