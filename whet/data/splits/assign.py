"""Which purposes the clusters go to, and therefore where each row goes and why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError, did_you_mean
from whet.core.recipe import DataSettings
from whet.core.records import PURPOSES, Purpose, Record, prompt_in
from whet.core.seeds import seed_for
from whet.data.alike.clusters import Clusters
from whet.data.alike.views.found import Edge
from whet.data.splits.contested import find_contested
from whet.data.splits.pins import Pins, earlier_purposes, find_pins, indices
from whet.data.splits.place import REASONS, ClusterTable, Placement, place
from whet.data.splits.places import RowPlace
from whet.data.splits.serving import Serving, row_name, serving_of
from whet.data.splits.sizes import FINAL_KINDS, Needs, needs_of
from whet.data.splits.strata import deviations, strata_of
from whet.data.splits.times import EVALUATION, TRAINING, Border, Times, border_of, oldest_of, times_of
from whet.data.texts.row_texts import RowTexts

__all__ = ["Assignment", "RowPlace", "assign", "ranking_seed"]

# R row, C cluster, P purpose
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
_FINAL = PURPOSES.index("final")
_UNSEEN = FINAL_KINDS.index("out_of_distribution")
# Rows that the border leaves out change the sizes, and these the border; it settles at once or nearly so.
_BORDER_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A place for every row, how many rows each purpose was to have, and for the manifest what came of it."""

    places: tuple[RowPlace, ...]
    requested: Mapping[Purpose, int]
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """The rows and their clusters as arrays; `first_C[c]` is the first row of cluster c."""

    cluster_R: Integers
    first_C: Integers
    kind_C: npt.NDArray[np.int8]
    pins: Pins
    serving: Serving

    def counted(self, can: Flags) -> Integers:
        """How many rows of each cluster can serve each purpose."""
        count = len(self.first_C)
        return np.array([np.bincount(self.cluster_R[serves], minlength=count) for serves in can.T])


def ranking_seed(seed: int, record: Record) -> int:
    """The seed of a ranking derived from a record."""
    return seed_for(seed, "ranking", record.id)


def assign(
    records: Sequence[Record],
    is_preference: Sequence[bool],
    texts: RowTexts,
    clusters: Clusters,
    settings: DataSettings,
    *,
    seed: int,
    pinned: Sequence[int] | npt.NDArray[np.int8] | None = None,
    earlier: Mapping[str, Purpose] | None = None,
    excluded: Mapping[int, RowPlace] | None = None,
) -> Assignment:
    """Whole clusters to purposes, then each row to its cluster's purpose if it can serve it, else to none.

    `pinned[r]` indexes PURPOSES for the rows of pinned sources, -1 for the others; `earlier` gives the purposes of rows
    by their ids, by default those in the folder `settings.earlier`; rows in `excluded` serve nothing, for the reason
    given there.
    """
    if earlier is None and settings.earlier is not None:
        earlier = earlier_purposes(Path(settings.earlier).expanduser())
    if settings.group is not None:
        _require_column(records, settings.group)
    of_row = np.asarray(clusters.of_row, dtype=np.int64)
    is_first = of_row == np.arange(len(of_row))
    first_C, cluster_R = np.flatnonzero(is_first), (np.cumsum(is_first) - 1)[of_row]
    known = earlier or {}
    pins = find_pins(
        cluster_R,
        pinned_R=np.full(len(records), -1, dtype=np.int8) if pinned is None else np.asarray(pinned, dtype=np.int8),
        earlier_R=indices([known.get(id_) for id_ in texts.id]),
    )
    contested = find_contested(records, texts)
    serving = serving_of(
        records,
        is_preference,
        texts,
        pins=pins,
        cluster_R=cluster_R,
        excluded=excluded or {},
        contested=contested.by,
        seed=seed,
    )
    kind_C = _kinds(records, cluster_R, pins, serving, len(first_C))
    rows = _Rows(cluster_R=cluster_R, first_C=first_C, kind_C=kind_C, pins=pins, serving=serving)
    time: dict[str, Any] = {}
    if settings.time is None:
        needs = _needs(rows, serving.can, settings)
    else:
        rows, needs, time = _timed(rows, times_of(records, settings.time), settings)
    firsts = first_C.tolist()
    strata = strata_of([records[row] for row in firsts], texts.words_R[first_C], settings.stratify)
    kept_R = pins.kept_R & rows.serving.can[np.arange(len(records)), pins.purpose_C[cluster_R]]
    table = ClusterTable(
        key=np.array([int(texts.id[row], 16) for row in firsts], dtype=np.uint64),
        usable_PC=rows.counted(rows.serving.can),
        kind=kind_C,
        stratum=strata.number,
        kept=pins.purpose_C,
        kept_rows=np.bincount(cluster_R[kept_R], minlength=len(first_C)),
    )
    placement = place(table, needs, seed=seed)
    places = tuple(_places(records, clusters.joins, rows, placement))
    if all(place.purpose is None for place in places):
        reasons = Counter(place.category for place in places).most_common(3)
        why = ", ".join(f"{category}: {count}" for category, count in reasons)
        raise DataError(
            f"none of {len(places)} rows has a purpose ({why}); look at data.sizes and at what keeps rows out"
        )
    report = _report(rows, placement, places) | time | {"contested": contested.as_json(records)}
    if settings.stratify:
        columns = {"columns": list(settings.stratify)}
        report["strata"] = columns | deviations(strata, table.usable_PC, kind_C, placement.purpose, placement.room)
    if earlier is not None:
        report["earlier"] |= {"not here": len(known.keys() - set(texts.id))}
    return Assignment(places=places, requested=needs.requested, report=report)


def _require_column(records: Sequence[Record], column: str) -> None:
    """`DataError` when no row has a value in the column whose rows are to stay together."""
    if any(prompt_in(record).columns.get(column) is not None for record in records):
        return
    names = sorted({name for record in records for name in prompt_in(record).columns})
    what = "is empty in every row" if column in names else f"is in no row{did_you_mean(column, names)}"
    raise DataError(f"data.group: column {column!r} {what}")


def _kinds(
    records: Sequence[Record], cluster_R: Integers, pins: Pins, serving: Serving, count: int
) -> npt.NDArray[np.int8]:
    """The kind of each cluster for `final`; rows that must not be trained on lose what they must not serve."""
    slices = [prompt_in(record).slice for record in records]
    kind_R = np.array([FINAL_KINDS.index(name) if name in FINAL_KINDS else 0 for name in slices], dtype=np.int8)
    kind_C = np.zeros(count, dtype=np.int8)
    np.maximum.at(kind_C, cluster_R, kind_R)
    # A cluster that is pinned, or kept for another purpose, fills no slice of `final`.
    has_pin_C = np.zeros(count, dtype=np.bool_)
    has_pin_C[cluster_R[pins.pinned_R]] = True
    kind_C[has_pin_C | ((pins.purpose_C >= 0) & (pins.purpose_C != _FINAL))] = 0
    serving.can[kind_R == _UNSEEN, :_FINAL] = False
    # A row that only resembles out-of-distribution rows is neither for training nor for their slice.
    alike = (kind_C[cluster_R] == _UNSEEN) & (kind_R != _UNSEEN) & ~pins.kept_R
    serving.can[alike] = False
    for row in np.flatnonzero(alike).tolist():
        serving.why_not.setdefault(row, RowPlace(purpose=None, category="its cluster is out of distribution"))
    return kind_C


def _needs(rows: _Rows, can: Flags, settings: DataSettings) -> Needs:
    """The sizes of rows that are not pinned; a purpose with pinned rows has these alone."""
    pins, cluster_R = rows.pins, rows.cluster_R
    has_pin_C = np.zeros(len(rows.first_C), dtype=np.bool_)
    has_pin_C[cluster_R[pins.pinned_R]] = True
    purpose_R = pins.purpose_C[cluster_R]
    pinned_P = np.zeros(len(PURPOSES), dtype=np.int64)
    for index in np.unique(purpose_R[pins.pinned_R]).tolist():
        asked = pins.pinned_R & (purpose_R == index)
        pinned_P[index] = can[asked, index].sum()
        if not pinned_P[index]:
            raise DataError(
                f"data.pinned.{PURPOSES[index]}: none of its {asked.sum()} rows can serve {PURPOSES[index]}; "
                "ft_* take demonstrations, rm_* rankings, rl_* and final prompts"
            )
    usable_PC = rows.counted(can & ~has_pin_C[cluster_R][:, None])
    return needs_of(settings.sizes, usable_PC, rows.kind_C, pinned=pinned_P)


def _timed(rows: _Rows, times: Times, settings: DataSettings) -> tuple[_Rows, Needs, dict[str, Any]]:
    """The rows with what they may serve on their side of the border, and the sizes without those that it leaves out."""
    can, pins, time_R = rows.serving.can, rows.pins, times.time_R
    pinned_or_timed = pins.kept_R | ~np.isnan(time_R)
    lost = ~pinned_or_timed
    for _ in range(_BORDER_ROUNDS):
        needs = _needs(rows, can & ~lost[:, None], settings)
        border = _border(rows, can & pinned_or_timed[:, None], time_R, needs)
        allowed = border.allowed(can, time_R, rows.cluster_R, kept_R=pins.kept_R)
        was_lost, lost = lost, np.any(can, axis=1) & ~np.any(allowed, axis=1)
        if np.array_equal(lost, was_lost):
            break
    why_not = dict(rows.serving.why_not)
    categories = {"no time": 0, "newer than evaluation begins": 0, "older than evaluation begins": 0}
    for row in np.flatnonzero(lost).tolist():
        category = (
            "no time"
            if np.isnan(time_R[row])
            else f"{'newer' if time_R[row] > border.training_until else 'older'} than evaluation begins"
        )
        why_not[row] = RowPlace(purpose=None, category=category)
        categories[category] += 1
    report = {
        "column": settings.time,
        "training_until": times.shown(border.training_until),
        "evaluation_from": times.shown(border.evaluation_from),
        "unused": categories,
    }
    return replace(rows, serving=Serving(can=allowed, why_not=why_not)), needs, {"time": report}


def _border(rows: _Rows, can: Flags, time_R: npt.NDArray[np.float64], needs: Needs) -> Border:
    """The newest rows that fill evaluation; what keeps its purpose from earlier moves both borders out of its way."""
    pins, cluster_R = rows.pins, rows.cluster_R
    purpose_R = pins.purpose_C[cluster_R]
    kept_P = np.bincount(purpose_R[pins.kept_R], minlength=len(PURPOSES))
    need_P = np.maximum(np.array([needs.requested[purpose] for purpose in PURPOSES]) - kept_P, 0)
    usable_PC = rows.counted(can & (purpose_R < 0)[:, None])
    latest = border_of(oldest_of(time_R, cluster_R, np.any(can, axis=1)), usable_PC, need_P)
    earlier = pins.earlier_R & ~np.isnan(time_R)
    evaluated = time_R[earlier & np.isin(purpose_R, EVALUATION)]
    trained = time_R[earlier & np.isin(purpose_R, TRAINING)]
    return Border(
        training_until=min(latest, float(evaluated.min(initial=np.inf))),
        evaluation_from=max(latest, float(trained.max(initial=-np.inf))),
    )


def _taken(rows: _Rows, placement: Placement) -> Flags:
    """Rows that serve their cluster's purpose; where only a part of them has room, those that were in it come first."""
    cluster_R, can = rows.cluster_R, rows.serving.can
    purpose_R = placement.purpose[cluster_R]
    taken: Flags = (purpose_R >= 0) & can[np.arange(len(can)), purpose_R]
    is_over_C = np.bincount(cluster_R[taken], minlength=len(rows.first_C)) > placement.room
    over = np.flatnonzero(taken & is_over_C[cluster_R])
    over = over[np.lexsort((over, ~rows.pins.kept_R[over], cluster_R[over]))]
    cluster = cluster_R[over]
    rank = np.arange(len(over)) - np.searchsorted(cluster, cluster, side="left")
    taken[over[rank >= placement.room[cluster]]] = False
    return taken


def _places(records: Sequence[Record], joins: Iterable[Edge], rows: _Rows, placement: Placement) -> Iterator[RowPlace]:
    neighbours = _neighbours(joins)
    taken, pins, serving = _taken(rows, placement), rows.pins, rows.serving
    for row, cluster in enumerate(rows.cluster_R.tolist()):
        number, rule = int(placement.purpose[cluster]), REASONS[placement.reason[cluster]]
        if row in serving.why_not:
            yield serving.why_not[row]
        elif number < 0:
            yield RowPlace(purpose=None, category=rule)
        elif not serving.can[row, number]:
            yield RowPlace(purpose=None, category="of no use where its cluster is", detail=f"({PURPOSES[number]})")
        elif not taken[row]:
            yield RowPlace(purpose=None, category="its cluster is larger than its purpose")
        elif pins.kept_R[row]:
            category = "pinned" if pins.pinned_R[row] else "the same as earlier"
            yield RowPlace(purpose=PURPOSES[number], category=category)
        elif row == rows.first_C[cluster] and rule != "kept":
            yield RowPlace(purpose=PURPOSES[number], category=rule)
        else:
            edge = neighbours[row]
            other = edge.first if edge.second == row else edge.second
            detail = f"{row_name(records[other])} ({edge.kind})"
            yield RowPlace(purpose=PURPOSES[number], category="cluster with", detail=detail)


def _neighbours(joins: Iterable[Edge]) -> dict[int, Edge]:
    """For each row that was joined to others, an edge that did it, to an earlier row if there is one."""
    as_second: dict[int, Edge] = {}
    as_first: dict[int, Edge] = {}
    for edge in joins:
        as_second.setdefault(edge.second, edge)
        as_first.setdefault(edge.first, edge)
    return as_first | as_second


def _report(rows: _Rows, placement: Placement, places: Sequence[RowPlace]) -> dict[str, Any]:
    """What the sizes, the largest cluster, the pins and the earlier purposes came to."""
    sizes = np.bincount(rows.cluster_R)
    largest = int(sizes.argmax())
    purpose = int(placement.purpose[largest])
    given = np.bincount(placement.purpose[placement.purpose >= 0], weights=placement.room[placement.purpose >= 0],
                        minlength=len(PURPOSES)).astype(int)  # fmt: skip
    by_size = placement.reason == REASONS.index("size rule")
    unused = [place.category for place in places if place.purpose is None]
    used = [place.category for place in places if place.purpose is not None]
    return {
        "deviation": {name: int(given[index]) - placement.requested[name] for index, name in enumerate(PURPOSES)},
        "largest_cluster": {
            "rows": int(sizes[largest]),
            "share": round(float(sizes[largest]) / len(places), 4),
            "used": int(placement.room[largest]),
            "purpose": PURPOSES[purpose] if purpose >= 0 else None,
        },
        "clusters_by_size_rule": {"clusters": int(by_size.sum()), "rows": int(placement.room[by_size].sum())},
        "pinned": {"rows": used.count("pinned"), "unused beside them": unused.count("like a pinned row")},
        "earlier": {
            "rows": used.count("the same as earlier"),
            "unused": unused.count("its cluster has another purpose than earlier"),
        },
    }
