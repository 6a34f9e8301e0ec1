"""Pairs of texts whose sets of word runs overlap: an exact join, every pair verified, no pair missed.

The Jaccard similarity of two sets is the size of their intersection over that of their union. Two sets with a
similarity of at least t share one of their n - ceil(t n) + 1 rarest members (prefix filter: Chaudhuri, Ganti and
Kaushik 2006; bound by position: Xiao et al. 2008), and differ in few enough bits of a 256-bit map of their members.
What passes both is counted member by member.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Pairs", "run_hashes", "similar_pairs"]

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
_WORDS_OF_MAP = 4  # 64 bits each
_BLOCK = 200_000  # pairs verified at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Rows `first[i]` < `second[i]` are similar by `score[i]`; a repeated text is paired with its first row alone."""

    first: Integers
    second: Integers
    score: npt.NDArray[np.float64]


def run_hashes(tokens: Sequence[Sequence[int]], size: int) -> tuple[Integers, Hashes]:
    """For each run of `size` tokens: the place of its text, and a 64-bit hash. Token 0 is unknown and makes no run."""
    lengths = np.array([len(row) for row in tokens], dtype=np.int64)
    flat = np.array([token for row in tokens for token in row], dtype=np.uint64)
    count = len(flat) - size + 1
    if count <= 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = flat * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        hashes = np.zeros(count, dtype=np.uint64)
        for offset in range(size):
            hashes = hashes * np.uint64(0x9FB21C651E98DF25) + mixed[offset : offset + count]
        hashes ^= hashes >> np.uint64(31)
    place = np.repeat(np.arange(len(tokens)), lengths)
    unknown = np.cumsum(np.append(0, flat == 0))
    inside = (place[:count] == place[size - 1 :]) & (unknown[size:] == unknown[:count])
    return place[:count][inside], hashes[inside]


def similar_pairs(rows: Sequence[Sequence[str]], *, size: int, threshold: float) -> Pairs:
    """Every pair of rows whose sets of runs of `size` words have a Jaccard similarity of at least `threshold`.

    A row shorter than `size` is one run, so it is similar only to an equal row; an empty row to none.
    """
    vocabulary: dict[str, int] = {}
    tokens = [tuple(vocabulary.setdefault(word, len(vocabulary) + 1) for word in row) for row in rows]
    first_with: dict[tuple[int, ...], int] = {}
    copies = [(first_with.setdefault(row, number), number) for number, row in enumerate(tokens) if row]
    copies = [(first, number) for first, number in copies if first != number]
    kept = list(first_with.values())
    a, b, score = _join(_Sets([tokens[number] for number in kept], size), threshold)
    back = np.array(kept, dtype=np.int64)
    equal = np.array(copies, dtype=np.int64).reshape(-1, 2)
    return Pairs(
        first=np.concatenate([equal[:, 0], back[a]]),
        second=np.concatenate([equal[:, 1], back[b]]),
        score=np.concatenate([np.ones(len(equal)), score]),
    )


class _Sets:
    """The rows as sets of runs, each run a rank: the rarest first. Flat: row r is `rank[start[r] : start[r + 1]]`."""

    def __init__(self, tokens: Sequence[tuple[int, ...]], size: int) -> None:
        place, hashes = run_hashes(tokens, size)
        short = [number for number, row in enumerate(tokens) if len(row) < size]
        for length in range(1, size):
            whole = [number for number in short if len(tokens[number]) == length]
            if whole:
                _, more = run_hashes([tokens[number] for number in whole], length)
                place, hashes = np.append(place, whole), np.append(hashes, more)
        # Runs are counted by row, not by use, so that a rank is a posting list's length.
        _, run = np.unique(hashes, return_inverse=True)
        kinds = int(run.max(initial=-1)) + 1
        pairs = np.unique(place * max(1, kinds) + run)
        place, run = np.divmod(pairs, max(1, kinds))
        uses = np.bincount(run, minlength=kinds)
        order = np.argsort(uses, kind="stable")
        rank_of = np.empty(kinds, dtype=np.int64)
        rank_of[order] = np.arange(kinds)
        self.kinds = max(1, kinds)
        self.keys = np.sort(place * self.kinds + rank_of[run])
        self.row, self.rank = np.divmod(self.keys, self.kinds)
        self.uses = uses[order]
        self.length = np.bincount(self.row, minlength=len(tokens))
        self.start = np.append(0, np.cumsum(self.length))
        self.maps = self._maps(len(tokens))

    def _maps(self, rows: int) -> Hashes:
        with np.errstate(over="ignore"):
            bit = (self.rank.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(56)
        maps = np.zeros((rows, _WORDS_OF_MAP), dtype=np.uint64)
        value = np.uint64(1) << (bit & np.uint64(63))
        np.bitwise_or.at(maps, (self.row, (bit >> np.uint64(6)).astype(np.int64)), value)
        return maps


def _join(sets: _Sets, threshold: float) -> tuple[Integers, Integers, npt.NDArray[np.float64]]:
    ratio = threshold / (1 + threshold)
    length = sets.length
    prefix = length - np.ceil(threshold * length - 1e-9).astype(np.int64) + 1
    position = np.arange(len(sets.keys)) - sets.start[sets.row]
    entries = np.flatnonzero((position < prefix[sets.row]) & (sets.uses[sets.rank] > 1))
    entries = entries[np.lexsort((sets.row[entries], length[sets.row[entries]], sets.rank[entries]))]
    row, rank, place = sets.row[entries], sets.rank[entries], position[entries]
    size = length[row]
    active = np.arange(max(0, len(entries) - 1))
    found: list[Integers] = []
    for distance in range(1, len(entries)):
        active = active[active + distance < len(entries)]
        other = active + distance
        # Rows with the same run stand together, short ones first: once one is too long, all later ones are.
        goes_on = (rank[active] == rank[other]) & (size[active] >= threshold * size[other] - 1e-9)
        active, other = active[goes_on], other[goes_on]
        if not len(active):
            break
        total = size[active] + size[other]
        least = np.ceil(ratio * total - 1e-9).astype(np.int64)
        reach = np.minimum(size[active] - place[active], size[other] - place[other])
        close = np.flatnonzero(reach >= least)
        a, b = row[active[close]], row[other[close]]
        differing = np.bitwise_count(sets.maps[a] ^ sets.maps[b]).sum(axis=1)
        close = differing <= (total - 2 * least)[close]
        found.append(np.minimum(a, b)[close] * len(length) + np.maximum(a, b)[close])
    candidates = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *found]))
    a, b = np.divmod(candidates, max(1, len(length)))
    parts = [slice(cut, cut + _BLOCK) for cut in range(0, max(1, len(a)), _BLOCK)]
    shared = np.concatenate([_shared(sets, a[part], b[part]) for part in parts])
    score = shared / (length[a] + length[b] - shared)
    similar = score >= threshold - 1e-12
    return a[similar], b[similar], score[similar]


def _shared(sets: _Sets, a: Integers, b: Integers) -> Integers:
    """How many runs the rows of each pair have in common."""
    if not len(a):
        return np.zeros(0, dtype=np.int64)
    repeat = sets.length[a]
    offset = np.arange(repeat.sum()) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    wanted = np.repeat(b, repeat) * sets.kinds + sets.rank[np.repeat(sets.start[a], repeat) + offset]
    where = np.minimum(np.searchsorted(sets.keys, wanted), len(sets.keys) - 1)
    counts = np.bincount(np.repeat(np.arange(len(a)), repeat), weights=sets.keys[where] == wanted, minlength=len(a))
    return counts.astype(np.int64)
