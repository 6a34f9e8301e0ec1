"""What a view of likeness gives: pairs of rows, each with its kind, its score and its evidence."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from whet.core.recipe import DataSettings
from whet.data.pairs.near import Capped, Pairs
from whet.data.space.where import HERE, Where
from whet.data.texts.row_texts import RowTexts

__all__ = ["RUN", "SIMILAR", "Edge", "Found", "View", "by_key", "similar"]

# Two prompts are alike when this share of their runs of so many words is common to both.
SIMILAR, RUN = 0.7, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Rows `first` < `second` belong together: `Edge(kind="template", first=3, second=17, score=1.0, ...)`."""

    kind: str
    first: int
    second: int
    score: float
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The pairs that one view found; `evidence(first, second, score)` says in words why."""

    kind: str
    pairs: Sequence[tuple[int, int, float]]
    evidence: Callable[[int, int, float], str]
    method: str = "every row by its key"
    capped: tuple[Capped, ...] = ()


class View(Protocol):
    """What finds rows that belong together."""

    def __call__(self, rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found: ...


def by_key(kind: str, keys: Iterable[tuple[int, Hashable]], evidence: Callable[[int], str]) -> Found:
    """Every row with the first of its key; `evidence(second)` says what both are."""
    first_with: dict[Hashable, int] = {}
    pairs = []
    for row, key in keys:
        first = first_with.setdefault(key, row)
        if first != row:
            pairs.append((first, row, 1.0))
    return Found(kind=kind, pairs=pairs, evidence=lambda _first, second, _score: evidence(second))


def similar(kind: str, pairs: Pairs, told: Callable[[float], str]) -> Found:
    order = np.lexsort((pairs.second, pairs.first, -pairs.score))
    columns = (pairs.first[order].tolist(), pairs.second[order].tolist(), pairs.score[order].tolist())
    return Found(
        kind=kind,
        pairs=list(zip(*columns, strict=True)),
        evidence=lambda _first, _second, score: told(score),
        method=pairs.method,
        capped=pairs.capped,
    )
