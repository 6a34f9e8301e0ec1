"""Rows that belong together, joined by edges into clusters that are never parted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from whet.data.duplicates import EDGE_FINDERS, Edge

__all__ = ["Clusters", "join"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """`of_row[i]` is the first row of row i's cluster, itself when it is alone or the first.

    `joins` are the edges that joined two clusters, so every cluster of n rows has n - 1 of them.
    """

    of_row: tuple[int, ...]
    joins: tuple[Edge, ...]

    @property
    def members(self) -> dict[int, list[int]]:
        """First row -> all rows of its cluster, in order."""
        groups: dict[int, list[int]] = {}
        for row, first in enumerate(self.of_row):
            groups.setdefault(first, []).append(row)
        return groups

    @property
    def edges(self) -> Mapping[str, int]:
        """How many joins each view made."""
        return dict.fromkeys(EDGE_FINDERS, 0) | Counter(edge.kind for edge in self.joins)


def join(rows: int, edges: Iterable[Edge]) -> Clusters:
    """Union-find over the edges; linear in rows and edges but for the inverse Ackermann function."""
    parent = list(range(rows))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    joins = []
    for edge in edges:
        a, b = find(edge.first), find(edge.second)
        if a != b:
            parent[max(a, b)] = min(a, b)
            joins.append(edge)
    return Clusters(of_row=tuple(map(find, range(rows))), joins=tuple(joins))
