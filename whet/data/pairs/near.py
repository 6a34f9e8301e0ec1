"""Pairs of texts whose sets of word runs overlap, every pair verified on the runs themselves.

The Jaccard similarity of two sets is the size of their intersection over that of their union. Candidates come from

- an exact join while it is affordable (`whet.data.pairs.exact_join`);
- MinHash and LSH beyond (Broder 1997; Indyk and Motwani 1998): 4 values a band, so many bands that a pair at the
  threshold is missed with a probability of 2e-4.

What both find must differ in few enough bits of a 256-bit map of the members, an exact filter, and is then counted
member by member. Rows are ordered by size and content first, so the result does not hang on their order.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from whet.data.pairs.exact_join import MOST_ROWS, Bitmaps, Integers, Scores, exact_join, most_meetings, verified
from whet.data.space.where import HERE, Arrays, Where
from whet.data.texts.runs import Columns, RunSets, run_sets
from whet.data.texts.words import Hashes, mixed

__all__ = ["BandPairs", "Bands", "Capped", "Pairs", "in_rounds", "similar_pairs", "similar_sets", "unite"]

# N set, E entry of a bucket
# The exact join is taken when rows meet in its index at most so often, a row or in all.
_MEETINGS_PER_ROW, _MEETINGS = 120, 10_000_000
_VALUES_PER_BAND, _MISSED = 4, 2e-4
# In a bucket of the LSH each row is tried with so many of those after it.
_TRIES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Capped:
    """A bucket with too many rows to try all pairs, which is not one cluster: its rows, and the tries for each."""

    rows: int
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Rows `first[i]` < `second[i]` are similar by `score[i]`.

    A repeated set is paired with its first row alone. By `method` "join" every pair of different sets is there; by
    "minhash" pairs are left out whose rows other pairs join already, so the clusters are the same.
    """

    first: Integers
    second: Integers
    score: npt.NDArray[np.float64]
    method: str = "join"
    capped: tuple[Capped, ...] = field(default=())


def similar_pairs(texts: Sequence[str], *, size: int = 3, threshold: float = 0.7, where: Where = HERE) -> Pairs:
    """The pairs of texts whose sets of runs of `size` words have a Jaccard similarity of at least `threshold`.

    A text shorter than `size` words is one run, so it is similar only to an equal one; a text without words to none.
    """
    return similar_sets(run_sets(texts, size=size, where=where), threshold=threshold, where=where)


def similar_sets(sets: RunSets, *, threshold: float, where: Where = HERE) -> Pairs:
    """The same for sets that are made already; `where` it runs changes no bit."""
    order, copies, originals = _distinct(sets)
    distinct = sets.taken(order)
    del sets  # its memory is needed for the index
    capped: tuple[Capped, ...] = ()
    most = max(_MEETINGS, _MEETINGS_PER_ROW * distinct.rows)
    if distinct.rows <= MOST_ROWS and most_meetings(distinct, threshold) <= most:
        a, b, score = exact_join(distinct, threshold, where)
        method = "join"
    else:
        a, b, score, capped = _minhash(distinct, threshold, where)
        method = "minhash"
    ends = np.concatenate([originals, order[a]]), np.concatenate([copies, order[b]])
    return Pairs(
        first=np.minimum(*ends),
        second=np.maximum(*ends),
        score=np.concatenate([np.ones(len(copies)), score]),
        method=method,
        capped=capped,
    )


def _distinct(sets: RunSets) -> tuple[Integers, Integers, Integers]:
    """One row of each set, by size and content; the rows that repeat one, and the first row that they repeat."""
    content = sets.fingerprints()
    rows = np.flatnonzero(sets.size_N > 0)
    rows = rows[np.lexsort((rows, content[rows], sets.size_N[rows]))]
    if not len(rows):
        return rows, rows, rows
    repeats = np.append(False, (content[rows[1:]] == content[rows[:-1]]) & (np.diff(sets.size_N[rows]) == 0))
    leader = rows[~repeats]
    return leader, rows[repeats], leader[np.cumsum(~repeats)[repeats] - 1]


def bands_for(threshold: float) -> int:
    """So many bands that a pair at the threshold is missed by all of them with a probability of 2e-4 at most."""
    if threshold >= 1:
        return 1
    return math.ceil(math.log(_MISSED) / math.log1p(-(threshold**_VALUES_PER_BAND)))


def _rounds(bands: int) -> list[range]:
    """1, 1, 2, 4, 8, ... bands: those of a round know what earlier rounds joined, and nothing of each other.

    So they can be tried side by side, and most pairs are found before many bands could find them again.
    """
    rounds, done = [], 0
    while done < bands:
        end = min(bands, max(done + 1, 2 * done))
        rounds.append(range(done, end))
        done = end
    return rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class BandPairs:
    """The pairs that a band found, verified, and the buckets it could not try in full."""

    a: Integers
    b: Integers
    score: npt.NDArray[np.float64]
    capped: tuple[Capped, ...]


class Bands:
    """The rows of a corpus, ready for the bands of the LSH."""

    def __init__(self, sets: RunSets, threshold: float) -> None:
        self.sets = sets
        self.threshold = threshold
        self._bitmaps = Bitmaps(sets)
        self._columns = Columns(sets)

    def pairs(self, band: int, label_N: Integers) -> BandPairs:
        """What this band finds beyond the rows that `label_N` says are joined already; a pure function of the two.

        Rows that it joins itself are not compared again, so a giant cluster costs what its rows do.
        """
        rows = np.uint64(self.sets.rows)
        key = np.zeros(self.sets.rows, dtype=np.uint64)
        for value in range(_VALUES_PER_BAND):
            key = mixed(key + self._columns.minima(band * _VALUES_PER_BAND + value).astype(np.uint64))
        row_bits = np.uint64(max(1, int(rows).bit_length()))
        low = (np.uint64(1) << row_bits) - np.uint64(1)
        entry_E = np.sort(_not_alone((key & ~low) | np.arange(self.sets.rows, dtype=np.uint64)))
        row, bucket = (entry_E & low).astype(np.int64), entry_E >> row_bits
        label_N = label_N.copy()
        found = _try_buckets(self.sets, self._bitmaps, row, bucket, self.threshold, label_N)
        return BandPairs(
            a=np.concatenate([row[:0], *(part[0] for part in found)]),
            b=np.concatenate([row[:0], *(part[1] for part in found)]),
            score=np.concatenate([np.zeros(0), *(part[2] for part in found)]),
            capped=_capped(row, bucket, label_N),
        )


def _minhash(sets: RunSets, threshold: float, where: Where) -> tuple[Integers, Integers, Scores, tuple[Capped, ...]]:
    bands = where.put(Bands(sets, threshold))

    def try_round(round_: range, label_N: Integers) -> Iterator[BandPairs]:
        numbers = where.blocks({"band": np.array([band])} for band in round_)
        return map(_told, numbers.map(_tried, bands, where.put(label_N)))

    return in_rounds(sets.rows, threshold, try_round)


def _tried(bands: Bands, label_N: Integers, block: Arrays) -> Iterator[Arrays]:
    """A step: what a band finds."""
    found = bands.pairs(int(block["band"][0]), label_N)
    yield {"a": found.a, "b": found.b, "score": found.score, "capped": np.array([part.rows for part in found.capped])}


def _told(found: Arrays) -> BandPairs:
    capped = tuple(Capped(rows=rows, tries=_TRIES) for rows in found["capped"].astype(np.int64).tolist())
    return BandPairs(a=found["a"], b=found["b"], score=found["score"], capped=capped)


def in_rounds(
    rows: int, threshold: float, try_round: Callable[[range, Integers], Iterable[BandPairs]]
) -> tuple[Integers, Integers, Scores, tuple[Capped, ...]]:
    """All bands; `try_round(bands, labels)` gives what each band of a round finds, in their order, wherever it ran."""
    label_N = np.arange(rows)
    found: list[BandPairs] = []
    for round_ in _rounds(bands_for(threshold)):
        found += try_round(round_, label_N)
        for band in found[-len(round_) :]:
            unite(label_N, band.a, band.b)
    none = np.zeros(0, dtype=np.int64)
    pairs = np.concatenate([none, *(band.a * rows + band.b for band in found)])
    pairs, first = np.unique(pairs, return_index=True)
    score = np.concatenate([np.zeros(0), *(band.score for band in found)])[first]
    a, b = np.divmod(pairs, max(1, rows))
    return a, b, score, tuple(bucket for band in found for bucket in band.capped)


def _not_alone(entry_E: Hashes) -> Hashes:
    """Without most rows that are alone in their bucket; counted in slots, so that sorting the rest costs less."""
    bits = min(22, len(entry_E).bit_length() + 2)
    slot = (entry_E >> np.uint64(64 - bits)).astype(np.int64)
    return entry_E[np.bincount(slot, minlength=1 << bits)[slot] > 1]


def _try_buckets(
    sets: RunSets, bitmaps: Bitmaps, row: Integers, bucket: Hashes, threshold: float, label_N: Integers
) -> list[tuple[Integers, Integers, Scores]]:
    """Each row of a bucket with up to `_TRIES` after it; what is similar is found and joined in `label_N`."""
    found: list[tuple[Integers, Integers, Scores]] = []
    size = sets.size_N[row]
    active = np.arange(len(row) - 1)
    pending: list[tuple[Integers, Integers]] = []
    for distance in range(1, _TRIES + 1):
        active = active[: np.searchsorted(active, len(row) - distance)]
        other = active + distance
        goes_on = (bucket[active] == bucket[other]) & (size[active] >= threshold * size[other] - 1e-9)
        active = active[goes_on]
        other = other[goes_on]
        if len(active):
            a, b = row[active], row[other]
            apart = np.flatnonzero(label_N[a] != label_N[b])
            a, b = a[apart], b[apart]
            maybe = bitmaps.may_be_similar(a, b, threshold)
            pending.append((a[maybe], b[maybe]))
        # Joined early, the rest of a giant cluster is not tried again; joined rarely, the steps stay few.
        is_checkpoint = distance & (distance - 1) == 0
        if pending and (is_checkpoint or not len(active)):
            a = np.concatenate([pair[0] for pair in pending])
            b = np.concatenate([pair[1] for pair in pending])
            pending = []
            if len(a):
                similar = verified(sets, np.unique(a * sets.rows + b), threshold)
                found.append(similar)
                unite(label_N, similar[0], similar[1])
        if not len(active):
            break
    return found


def unite(label_N: Integers, a: Integers, b: Integers) -> None:
    """Join the clusters of the pairs, in place: each row's label is the smallest row of its cluster."""
    if not len(a):
        return
    while True:
        label_a, label_b = label_N[a], label_N[b]
        apart = label_a != label_b
        if not apart.any():
            return
        a, b, label_a, label_b = a[apart], b[apart], label_a[apart], label_b[apart]
        np.minimum.at(label_N, np.maximum(label_a, label_b), np.minimum(label_a, label_b))
        while True:
            jumped = label_N[label_N]
            if np.array_equal(jumped, label_N):
                break
            label_N[:] = jumped


def _capped(row: Integers, bucket: Hashes, label_N: Integers) -> tuple[Capped, ...]:
    """The buckets with more rows than tries that are not one cluster."""
    start = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1]))
    length = np.diff(np.append(start, len(row)))
    large = np.flatnonzero(length > _TRIES + 1)
    return tuple(
        Capped(rows=int(length[place]), tries=_TRIES)
        for place in large.tolist()
        if len(np.unique(label_N[row[start[place] : start[place] + length[place]]])) > 1
    )
