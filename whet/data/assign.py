"""Which purposes a row can serve, where its cluster went, and therefore where the row goes and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES, Comparison, Conversation, Purpose, Ranking, Record, prompt_in
from whet.core.seeds import seed_for
from whet.data.clusters import Clusters
from whet.data.duplicates import Edge, RowText
from whet.data.rankings import has_own_ranking, ranking_of
from whet.data.sizes import FINAL_KINDS
from whet.data.splits import REASONS, ClusterTable, Placement, place

__all__ = ["Assignment", "RowPlace", "Serving", "assign", "ranking_seed"]

# R row, C cluster, P purpose
Flags = npt.NDArray[np.bool_]
_DEMONSTRATED: tuple[Purpose, ...] = ("ft_train", "ft_validation", "ft_test")
_RANKED: tuple[Purpose, ...] = ("rm_train", "rm_test")
_PROMPTED: tuple[Purpose, ...] = ("rl_train", "rl_test", "final")
# Purposes whose rows are scored by their answer, so rows without one are of no use there when others have one.
_ANSWERED: tuple[Purpose, ...] = ("ft_test", "rl_train", "rl_test", "final")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlace:
    """Where a row went: `RowPlace(purpose=None, category="exact duplicate", detail="of train.jsonl row 17")`."""

    purpose: Purpose | None
    category: str  # few different ones, to be counted
    detail: str = ""

    @property
    def reason(self) -> str:
        return f"{self.category} {self.detail}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A place for every row, and how many rows each purpose was to have."""

    places: tuple[RowPlace, ...]
    requested: Mapping[Purpose, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """`can[r, p]`: row r can serve purpose p, in PURPOSES' order. A row that can serve none says why in `why_not`."""

    can: Flags
    why_not: dict[int, RowPlace]


def ranking_seed(seed: int, record: Record) -> int:
    """The seed of a ranking derived from a record."""
    return seed_for(seed, "ranking", record.id)


def assign(
    records: Sequence[Record],
    is_preference: Sequence[bool],
    texts: Sequence[RowText],
    clusters: Clusters,
    sizes: SizeSettings,
    *,
    seed: int,
) -> Assignment:
    """Whole clusters to purposes, then each row to its cluster's purpose if it can serve it, else to none."""
    first_R, cluster_R = np.unique(np.array(clusters.of_row, dtype=np.int64), return_inverse=True)
    serving = _serving(records, is_preference, texts, seed=seed)
    slices = [prompt_in(record).slice for record in records]
    kind_R = np.array([FINAL_KINDS.index(name) if name in FINAL_KINDS else 0 for name in slices], dtype=np.int8)
    kind_C = np.zeros(len(first_R), dtype=np.int8)
    np.maximum.at(kind_C, cluster_R, kind_R)
    # A row that only resembles out-of-distribution rows is neither for training nor for their slice.
    unseen = FINAL_KINDS.index("out_of_distribution")
    for row in map(int, np.flatnonzero((kind_C[cluster_R] == unseen) & (kind_R != unseen))):
        serving.can[row] = False
        serving.why_not.setdefault(row, RowPlace(purpose=None, category="its cluster is out of distribution"))
    usable = np.zeros((len(first_R), len(PURPOSES)), dtype=np.int64)
    np.add.at(usable, cluster_R, serving.can)
    key = np.array([int(texts[row].id, 16) for row in first_R], dtype=np.uint64)
    placement = place(ClusterTable(key=key, usable=usable, kind=kind_C), sizes, seed=seed)
    places = tuple(_places(records, clusters, cluster_R, placement, serving))
    return Assignment(places=places, requested=placement.requested)


def _serving(
    records: Sequence[Record], is_preference: Sequence[bool], texts: Sequence[RowText], *, seed: int
) -> Serving:
    has_answers = any(prompt_in(record).answer is not None for record in records)
    has_preferences = any(is_preference)
    duplicates = _exact_duplicates(records, texts)
    can = np.zeros((len(records), len(PURPOSES)), dtype=np.bool_)
    why_not: dict[int, RowPlace] = {}
    for row, record in enumerate(records):
        if row in duplicates:
            detail = f"of {_name(records[duplicates[row]])}"
            why_not[row] = RowPlace(purpose=None, category="exact duplicate", detail=detail)
            continue
        purposes = _purposes_of(
            record, has_answers=has_answers, is_ranked=is_preference[row] or not has_preferences, seed=seed
        )
        if is_preference[row]:
            purposes = tuple(purpose for purpose in purposes if purpose in _RANKED)
        if not purposes:
            why_not[row] = RowPlace(purpose=None, category="no purpose can use it")
        can[row, [PURPOSES.index(purpose) for purpose in purposes]] = True
    _once_per_prompt(records, can, texts, why_not)
    return Serving(can=can, why_not=why_not)


def _purposes_of(record: Record, *, has_answers: bool, is_ranked: bool, seed: int) -> tuple[Purpose, ...]:
    if isinstance(record, Ranking | Comparison):
        return _RANKED
    prompt = prompt_in(record)
    purposes: tuple[Purpose, ...] = _PROMPTED if prompt.messages else ()
    if isinstance(record, Conversation):
        # Deriving is cheap, but reading a row's own ranking is cheaper.
        can_rank = is_ranked and prompt.messages and (has_own_ranking(prompt) or ranking_of(record, seed=seed))
        purposes = (*_DEMONSTRATED, *(_RANKED if can_rank else ()), *purposes)
    if has_answers and prompt.answer is None:
        return tuple(purpose for purpose in purposes if purpose not in _ANSWERED)
    return purposes


def _exact_duplicates(records: Sequence[Record], texts: Sequence[RowText]) -> dict[int, int]:
    """Row -> the row that says the same and is kept: one with an answer if there is one, then the smallest id."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for row, text in enumerate(texts):
        groups.setdefault((type(records[row]).__name__, text.prompt, text.completion), []).append(row)
    duplicates: dict[int, int] = {}
    for rows in groups.values():
        if len(rows) > 1:
            kept = min(rows, key=lambda row: (prompt_in(records[row]).answer is None, texts[row].id, row))
            duplicates |= {row: kept for row in rows if row != kept}
    return duplicates


def _once_per_prompt(
    records: Sequence[Record], can: Flags, texts: Sequence[RowText], why_not: dict[int, RowPlace]
) -> None:
    """A purpose made of prompts takes each of them once, however many completions or answers it came with."""
    for column in map(PURPOSES.index, _PROMPTED):
        seen: dict[str, int] = {}
        for row in map(int, np.flatnonzero(can[:, column])):
            first = seen.setdefault(texts[row].prompt, row)
            if first != row:
                can[row, column] = False
                if not can[row].any():
                    detail = f"as {_name(records[first])}"
                    why_not[row] = RowPlace(purpose=None, category="the same prompt", detail=detail)


def _name(record: Record) -> str:
    origin = prompt_in(record).origin
    return f"{origin.source} row {origin.row}"


def _places(
    records: Sequence[Record],
    clusters: Clusters,
    cluster_R: npt.NDArray[np.int64],
    placement: Placement,
    serving: Serving,
) -> Iterator[RowPlace]:
    neighbours = _neighbours(clusters.joins)
    room = placement.room.copy()
    for row in range(len(records)):
        cluster = cluster_R[row]
        number, rule = int(placement.purpose[cluster]), REASONS[placement.reason[cluster]]
        if row in serving.why_not:
            yield serving.why_not[row]
        elif number < 0:
            yield RowPlace(purpose=None, category=rule)
        elif not serving.can[row, number]:
            yield RowPlace(purpose=None, category="of no use where its cluster is", detail=f"({PURPOSES[number]})")
        elif room[cluster] <= 0:
            yield RowPlace(purpose=None, category="its cluster is larger than its purpose")
        else:
            room[cluster] -= 1
            first = clusters.of_row[row]
            if row == first:
                yield RowPlace(purpose=PURPOSES[number], category=rule)
            else:
                edge = neighbours[row]
                other = edge.first if edge.second == row else edge.second
                detail = f"{_name(records[other])} ({edge.kind})"
                yield RowPlace(purpose=PURPOSES[number], category="cluster with", detail=detail)


def _neighbours(joins: Sequence[Edge]) -> dict[int, Edge]:
    """For each row that was joined to others, an edge that did it, to an earlier row if there is one."""
    found: dict[int, Edge] = {}
    for edge in joins:
        found.setdefault(edge.second, edge)
    for edge in joins:
        found.setdefault(edge.first, edge)
    return found
