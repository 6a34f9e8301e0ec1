"""The exact join: every pair of sets whose Jaccard similarity reaches a threshold, counted member by member.

Two sets with a similarity of at least t share one of their n - ceil(t n) + 1 rarest members (prefix filter: Chaudhuri,
Ganti and Kaushik 2006), and not too late in both (bound by position: Xiao et al. 2008). An index of those members,
sorted, brings the candidates together; it can be cut wherever a member ends, and each part be joined by itself.
"""

import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from whet.data.space.where import Arrays, Where
from whet.data.texts.runs import RunSets, bits_set, shared_counts
from whet.data.texts.words import Hashes

__all__ = ["MOST_ROWS", "Bitmaps", "Integers", "Scores", "exact_join", "most_meetings", "verified"]

# N set, E entry of an index, P pair: first row x rows + second row
Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
MOST_ROWS = 1 << 24  # an entry of the index has no room for more
_ENTRIES = 1 << 22  # of the index, joined at a time


def exact_join(sets: RunSets, threshold: float, where: Where) -> tuple[Integers, Integers, Scores]:
    """The pairs of rows that are similar, in order, and their similarity. The sets must be ordered by size."""
    corpus, bitmaps = where.put(sets), where.put(Bitmaps(sets))
    spans = where.blocks({"span": span} for span in _spans(sets.rows, where.pieces))
    entry_E = _joined(np.uint64, (part["entry"] for part in spans.map(partial(_entries, threshold), corpus)))
    entry_E.sort()
    parts = where.blocks({"entry": entry_E[first:last]} for first, last in _at_members(entry_E, where.pieces))
    pair_P = np.unique(_joined(np.int64, (part["pair"] for part in parts.map(partial(_meetings, threshold), bitmaps))))
    candidates = where.blocks({"pair": pair_P[first:last]} for first, last in _spans(len(pair_P), where.pieces))
    similar = list(candidates.map(partial(_similar, threshold), corpus))
    a, b = (_joined(np.int64, (part[name] for part in similar)) for name in ("a", "b"))
    return a, b, _joined(np.float64, (part["score"] for part in similar))


def _joined(dtype: npt.DTypeLike, arrays: Iterable[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype=dtype), *arrays])


def _spans(count: int, pieces: int) -> Integers:
    """(first, one past the last) of so many pieces of `count` things, fewer where there are not so many."""
    cuts = np.unique(np.linspace(0, count, pieces + 1).astype(np.int64))
    return np.stack([cuts[:-1], cuts[1:]], axis=1)


def _at_members(entry_E: Hashes, pieces: int) -> Integers:
    """The same for the sorted index: no member stands in two pieces, and none is much larger than it has to be."""
    pieces = max(pieces, math.ceil(len(entry_E) / _ENTRIES))
    cuts = _spans(len(entry_E), pieces)[1:, 0]
    low = entry_E[cuts] >> np.uint64(32) << np.uint64(32)
    cuts = np.unique(np.concatenate([[0], np.searchsorted(entry_E, low), [len(entry_E)]])).astype(np.int64)
    return np.stack([cuts[:-1], cuts[1:]], axis=1)


class Bitmaps:
    """256 bits for each set, by which most pairs that are not similar are turned away without a mistake."""

    def __init__(self, sets: RunSets) -> None:
        self.bits_N4 = sets.bitmaps()
        self.size_N = sets.size_N
        self.rows = sets.rows

    def may_be_similar(self, a: Integers, b: Integers, threshold: float) -> npt.NDArray[np.bool_]:
        """At most n1 + n2 - 2 ceil(t (n1 + n2) / (1 + t)) members may differ, and each bit that does is one of them."""
        total = self.size_N[a] + self.size_N[b]
        least = np.ceil(threshold / (1 + threshold) * total - 1e-9)
        differing = bits_set(self.bits_N4[a] ^ self.bits_N4[b])
        return np.asarray(differing <= total - 2 * least)


def verified(sets: RunSets, pair_P: Integers, threshold: float) -> tuple[Integers, Integers, Scores]:
    """The pairs that are similar, with their similarity."""
    a, b = np.divmod(pair_P, max(1, sets.rows))
    shared = shared_counts(sets, a, b)
    score = shared / np.maximum(1, sets.size_N[a] + sets.size_N[b] - shared)
    similar = score >= threshold - 1e-12
    return a[similar], b[similar], score[similar]


def _similar(threshold: float, sets: RunSets, candidates: Arrays) -> Iterator[Arrays]:
    """A step: which candidates are similar."""
    a, b, score = verified(sets, candidates["pair"], threshold)
    yield {"a": a, "b": b, "score": score}


def _prefix(sets: RunSets, block: slice, threshold: float) -> tuple[Integers, Integers, Integers]:
    """Of each set its n - ceil(t n) + 1 rarest members: row, place in the set, place among all members."""
    size = sets.size_N[block]
    count = np.where(size > 0, size - np.ceil(threshold * size - 1e-9).astype(np.int64) + 1, 0)
    place = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    member = np.repeat(sets.start_N[block.start : block.stop], count) + place
    return np.repeat(np.arange(block.start, block.stop), count), place, member


def most_meetings(sets: RunSets, threshold: float) -> float:
    """At least as many pairs of rows as share an entry of the index of the exact join; about twice as many."""
    meetings = np.exp2(np.arange(256) / 8) / 2
    meetings[0] = 0  # in one set alone
    total = 0.0
    for block in sets.blocks():
        _, _, member = _prefix(sets, block, threshold)
        total += float(np.bincount(sets.rarity(sets.member_M[member]), minlength=256) @ meetings)
    return total


def _entries(threshold: float, sets: RunSets, rows: Arrays) -> Iterator[Arrays]:
    """A step: the index of some rows, unsorted: 32 bits of the member, 24 of the row, 8 of its place in the set.

    Sorted, the rows that share a member stand together, the small ones first.
    """
    assert sets.rows <= MOST_ROWS
    for block in sets.blocks(*rows["span"].tolist()):
        row, place, place_of_member = _prefix(sets, block, threshold)
        member = sets.member_M[place_of_member]
        shared = np.flatnonzero(sets.rarity(member) > 0)
        places = np.minimum(place[shared], 0xFF).astype(np.uint64)
        yield {"entry": member[shared] << np.uint64(32) | row[shared].astype(np.uint64) << np.uint64(8) | places}


def _meetings(threshold: float, bitmaps: Bitmaps, part: Arrays) -> Iterator[Arrays]:
    """A step: the candidates that share a member of this part of the index."""
    ratio = threshold / (1 + threshold)
    entry_E = part["entry"]
    member = (entry_E >> np.uint64(32)).astype(np.uint32)
    row = ((entry_E >> np.uint64(8)) & np.uint64(0xFFFFFF)).astype(np.int64)
    place = (entry_E & np.uint64(0xFF)).astype(np.int32)
    size = bitmaps.size_N[row].astype(np.int32)
    active = np.arange(max(0, len(row) - 1))
    found = [np.zeros(0, dtype=np.int64)]
    for distance in range(1, len(row)):
        active = active[: np.searchsorted(active, len(row) - distance)]
        other = active + distance
        # Once a row is too large for the first, all later ones are.
        goes_on = (member[active] == member[other]) & (size[active] >= threshold * size[other] - 1e-9)
        active = active[goes_on]
        if not len(active):
            break
        other = other[goes_on]
        size_a, size_b = size[active], size[other]
        least = np.ceil(ratio * (size_a + size_b) - 1e-9)
        reach = np.minimum(size_a - place[active], size_b - place[other])
        close = np.flatnonzero(reach >= least)
        a, b = row[active[close]], row[other[close]]
        maybe = bitmaps.may_be_similar(a, b, threshold)
        found.append(a[maybe] * bitmaps.rows + b[maybe])
    yield {"pair": np.unique(np.concatenate(found))}
