"""Texts as sets of hashed runs of words, flat: what similarity is counted on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from whet.data.space.scratch import Pile, empty
from whet.data.space.where import HERE, Arrays, Blocks, Where
from whet.data.texts.words import Hashes, WordTable, mixed, word_tables

__all__ = [
    "MEMBER",
    "Columns",
    "Lookup",
    "RunSets",
    "bitmaps_of",
    "bits_set",
    "finest_slots",
    "run_hashes",
    "run_part",
    "run_parts",
    "run_sets",
    "sets_in",
    "sets_of",
    "shared_counts",
    "slot_counts",
    "slots",
]

# W word, M member of a set, N set (one a row)
Integers = npt.NDArray[np.int64]
# A member is packed for sorting: the row within its block, how rare the member is, the member itself.
_ROW_BITS, _RARITY_BITS, MEMBER_BITS = np.uint64(12), np.uint64(8), np.uint64(44)
MEMBER = (np.uint64(1) << MEMBER_BITS) - np.uint64(1)
_ROWS = 1 << 12
_BLOCK = 1 << 17  # members looked at together
_MOST_SLOT_BITS = 22
# A set keeps its common members where fewer than this many others would remain.
FEWEST_RARE = 5
_STEP = np.uint64(0x9FB21C651E98DF25)


def run_hashes(table: WordTable, size: int) -> tuple[Integers, Hashes]:
    """The row and the hash of every run of `size` words; a row with fewer words is one run, an empty row has none."""
    word_W, count_R = table.word_W, table.count_R
    rows: list[Integers] = []
    hashes: list[Hashes] = []
    row_W = np.repeat(np.arange(table.rows), count_R)
    if len(word_W) >= size:
        last = len(word_W) - size + 1
        inside = np.flatnonzero(row_W[:last] == row_W[size - 1 :])
        rows.append(row_W[inside])
        hashes.append(_hash([word_W[offset : last + offset] for offset in range(size)])[inside])
    for length in range(1, size):
        short = np.flatnonzero(count_R == length)
        if len(short):
            start = table.start_R[short]
            rows.append(short)
            hashes.append(mixed(_hash([word_W[start + offset] for offset in range(length)]) + np.uint64(length)))
    if not rows:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    return np.concatenate(rows), np.concatenate(hashes)


def _hash(words: Sequence[Hashes]) -> Hashes:
    value = words[0]
    for word in words[1:]:
        value = value * _STEP + word
    return mixed(value)


@dataclass(frozen=True, kw_only=True)
class RunSets:
    """The members of set n are `member_M[start_N[n] : start_N[n + 1]]`, the rarest first: 44 bits of each run's hash.

    Two different runs of a pair of rows are taken for one with a probability below 1e-9.
    """

    member_M: Hashes
    start_N: Integers
    rarity_S: npt.NDArray[np.uint8]  # by slot, 0 for members of one set alone, see `_rarity`

    @property
    def rows(self) -> int:
        return len(self.start_N) - 1

    @cached_property
    def size_N(self) -> Integers:
        return np.diff(self.start_N)

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[slice]:
        """Slices of the rows `first` to `last` - 1 whose members are few enough to be worked on in the cache."""
        last = self.rows if last is None else last
        return (slice(first + part.start, first + part.stop) for part in _blocks(self.start_N[first : last + 1]))

    def taken(self, rows: Integers) -> "RunSets":
        """The sets of these rows, in this order."""
        size = self.size_N[rows]
        start_N = np.concatenate([[0], np.cumsum(size)])
        member_M = empty(int(start_N[-1]), np.uint64)
        for block in _blocks(start_N):
            begin, end = start_N[block.start], start_N[block.stop]
            shift = np.repeat(self.start_N[rows[block]] - start_N[block], size[block])
            member_M[begin:end] = self.member_M[np.arange(begin, end) + shift]
        return RunSets(member_M=member_M, start_N=start_N, rarity_S=self.rarity_S)

    def fingerprints(self) -> Hashes:
        """A hash of each set; 0 for an empty one."""
        result = np.zeros(self.rows, dtype=np.uint64)
        for block in self.blocks():
            start, end = self.start_N[block.start], self.start_N[block.stop]
            sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed(self.member_M[start:end]))])
            places = self.start_N[block.start : block.stop + 1] - start
            result[block] = sums[places[1:]] - sums[places[:-1]]
        return result

    def bitmaps(self) -> npt.NDArray[np.uint64]:
        """256 bits for each set, one of them for each member: (N, 4)."""
        bits_N4 = np.zeros((self.rows, 4), dtype=np.uint64)
        for block in self.blocks():
            rows = block.stop - block.start
            member = self.member_M[self.start_N[block.start] : self.start_N[block.stop]]
            row = np.repeat(np.arange(rows, dtype=np.int64), self.size_N[block])
            bits_N4[block] = bitmaps_of(row, member, rows)
        return bits_N4

    def rarity(self, member: Hashes) -> npt.NDArray[np.uint8]:
        """How common each member is: 0 in one set alone, then by the logarithm of the number of sets."""
        return self.rarity_S[slots(member, self.rarity_S)]


def bitmaps_of(row: Integers, member: Hashes, rows: int) -> npt.NDArray[np.uint64]:
    """256 bits for each row, one of them for each of its members, however often it has them: (rows, 4)."""
    flags = np.zeros(rows * 256, dtype=np.uint8)
    flags[row * 256 + (member & np.uint64(0xFF)).astype(np.int64)] = 1
    return np.packbits(flags, bitorder="little").view(np.uint64).reshape(rows, 4)


def bits_set(bits_P4: Hashes) -> Integers:
    """How many of the 256 bits of each row are 1."""
    counts = np.bitwise_count(bits_P4).astype(np.uint16)
    return (counts[:, 0] + counts[:, 1] + counts[:, 2] + counts[:, 3]).astype(np.int64)


def run_sets(texts: Sequence[str], *, size: int, where: Where = HERE) -> RunSets:
    """The set of runs of `size` words of each text."""
    return sets_in(where.texts(texts).map(partial(run_parts, size)), where=where)


def run_parts(size: int, texts: Sequence[str]) -> Iterator[Arrays]:
    """A step: the runs of some texts, part by part, as `sets_in` wants them."""
    for table in word_tables(texts):
        yield run_part(*run_hashes(table, size), table.rows)


def run_part(row: Integers, run: Hashes, rows: int) -> Arrays:
    """The row and the hash of every run, and how many rows there are."""
    return {"row": row.astype(np.int32), "member": run & MEMBER, "rows": np.array([rows])}


def sets_of(parts: Iterable[tuple[Integers, Hashes, int]], *, most_sets: int | None = None) -> RunSets:
    """Sets from runs: for each part the row and the hash of every run, and how many rows the part has."""
    return sets_in(HERE.blocks(run_part(*part) for part in parts), most_sets=most_sets)


def sets_in(parts: Blocks, *, most_sets: int | None = None, where: Where = HERE) -> RunSets:
    """Sets from the runs of consecutive rows, each block made by `run_part`.

    With `most_sets`, members of more sets do not count where at least `FEWEST_RARE` others remain. Sets are counted in
    up to 2^22 slots: a rare member that shares a slot with a common one is taken for common.
    """
    kept = parts.kept()
    counts, total = slot_counts(block["slot"] for block in kept.map(_slots_of))
    rarity_S = _rarity(counts)
    common = 256 if most_sets is None else int(_rarity(np.array([most_sets], dtype=np.int32))[0]) + 1
    member_M, sizes, filled = empty(total, np.uint64), [np.zeros(1, dtype=np.int64)], 0
    for block in kept.emptied().map(partial(_sorted_sets, common), where.put(rarity_S)):
        member = block["member"]
        member_M[filled : filled + len(member)] = member
        filled += len(member)
        sizes.append(block["size"].astype(np.int64))
    return RunSets(member_M=member_M[:filled], start_N=np.cumsum(np.concatenate(sizes)), rarity_S=rarity_S)


def _slots_of(part: Arrays) -> Iterator[Arrays]:
    yield {"slot": finest_slots(part["member"])}


def finest_slots(member: Hashes) -> npt.NDArray[np.int32]:
    """The slot of each member, as `slot_counts` wants them."""
    return (member >> (MEMBER_BITS - np.uint64(_MOST_SLOT_BITS))).astype(np.int32)


def slot_counts(slots: Iterable[npt.NDArray[np.int32]]) -> tuple[npt.NDArray[np.int32], int]:
    """How many members fall into each slot, about as many slots as members, up to 2^22; and the number of members."""
    counts = np.zeros(0, dtype=np.int32)
    pending: list[npt.NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)]
    total = held = 0
    for slot in slots:
        pending.append(slot)
        total, held = total + len(slot), held + len(slot)
        if held > 1 << _MOST_SLOT_BITS:
            counts = _counted(pending, _MOST_SLOT_BITS, counts)
            pending, held = pending[:1], 0
    bits = min(_MOST_SLOT_BITS, max(10, total.bit_length()))
    return _counted(pending, bits, counts), total


def _counted(slots: Sequence[npt.NDArray[np.int32]], bits: int, before: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    counts = np.bincount(np.concatenate(slots) >> (_MOST_SLOT_BITS - bits), minlength=1 << bits).astype(np.int32)
    return counts + before if len(before) else counts


def slots(member: Hashes, table: npt.NDArray[Any]) -> Integers:
    """The place of each member in a table of 2^n slots: its upper bits."""
    return (member >> (MEMBER_BITS - np.uint64(len(table).bit_length() - 1))).astype(np.int64)


def _rarity(counts: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """0 for counts up to 1, then 8 steps for each doubling."""
    return np.asarray(np.minimum(8 * np.log2(np.maximum(counts, 1)), 255), dtype=np.uint8)


def _sorted_sets(common: int, rarity_S: npt.NDArray[np.uint8], part: Arrays) -> Iterator[Arrays]:
    """A step: the members of each set of a part, the rarest first, and the sizes of all its sets."""
    size_R = np.zeros(int(part["rows"][0]), dtype=np.int32)
    members = [part["member"][:0]]
    for row, member in _row_blocks(part["row"], part["member"]):
        sorted_member, first, size = _sorted_set(row, member, rarity_S, common)
        members.append(sorted_member)
        size_R[first : first + len(size)] = size
    yield {"member": members[1] if len(members) == 2 else np.concatenate(members), "size": size_R}


def _row_blocks(row: npt.NDArray[np.int32], member: Hashes) -> Iterator[tuple[npt.NDArray[np.int32], Hashes]]:
    """A part's runs by row, cut so that the rows of each block fit into their bits."""
    if not len(row):
        return
    if int(row.max()) - int(row.min()) < _ROWS:
        yield row, member
        return
    order = np.argsort(row, kind="stable")
    row, member = row[order], member[order]
    cuts = np.searchsorted(row, np.arange(int(row[0]) + _ROWS, int(row[-1]) + 1, _ROWS))
    for row_block, member_block in zip(np.split(row, cuts), np.split(member, cuts), strict=True):
        if len(row_block):
            yield row_block, member_block


def _sorted_set(
    row: npt.NDArray[np.int32], member: Hashes, rarity_S: npt.NDArray[np.uint8], common: int
) -> tuple[Hashes, int, Integers]:
    """Members, first row and sizes: one sort puts each set together, the rarest first, equal ones side by side."""
    first = int(row.min())
    rarity = rarity_S[slots(member, rarity_S)].astype(np.uint64)
    keyed = (row - first).astype(np.uint64) << (_RARITY_BITS + MEMBER_BITS) | rarity << MEMBER_BITS | member
    keyed.sort()
    keyed = keyed[np.concatenate([[True], keyed[1:] != keyed[:-1]])]
    local = (keyed >> (_RARITY_BITS + MEMBER_BITS)).astype(np.int64)
    if common < 256:
        is_rare = ((keyed >> MEMBER_BITS) & np.uint64(0xFF)) < common
        rare = np.bincount(local, weights=is_rare)
        kept = is_rare | (rare[local] < FEWEST_RARE)
        keyed, local = keyed[kept], local[kept]
    return keyed & MEMBER, first, np.bincount(local)


def _blocks(start_N: Integers) -> Iterator[slice]:
    first, rows = 0, len(start_N) - 1
    while first < rows:
        last = int(np.searchsorted(start_N, start_N[first] + _BLOCK, side="right")) - 1
        last = min(max(last, first + 1), first + _ROWS, rows)
        yield slice(first, last)
        first = last


def shared_counts(sets: RunSets, a: Integers, b: Integers, others: RunSets | None = None) -> Integers:
    """How many members set a[i] and set b[i] (of `others`, if given) have in common."""
    others = others or sets
    shared = np.zeros(len(a), dtype=np.int64)
    total = np.cumsum(sets.size_N[a] + others.size_N[b])
    first = 0
    while first < len(a):
        reached = total[first - 1] if first else 0
        last = min(max(first + 1, int(np.searchsorted(total, reached + _BLOCK))), first + _ROWS, len(a))
        part = slice(first, last)
        pair, member = _members(sets, a[part])
        other_pair, other_member = _members(others, b[part])
        keyed = np.concatenate([pair << MEMBER_BITS | member, other_pair << MEMBER_BITS | other_member])
        keyed.sort()
        twice = keyed[1:][keyed[1:] == keyed[:-1]] >> MEMBER_BITS
        shared[part] = np.bincount(twice.astype(np.int64), minlength=last - first)
        first = last
    return shared


def _members(sets: RunSets, rows: Integers) -> tuple[Hashes, Hashes]:
    size = sets.size_N[rows]
    start = np.cumsum(size) - size
    place = np.arange(int(size.sum())) + np.repeat(sets.start_N[rows] - start, size)
    return np.repeat(np.arange(len(rows), dtype=np.uint64), size), sets.member_M[place]


class Lookup:
    """Where members stand in a sorted array of distinct ones: a table by their upper bits, then a few steps."""

    def __init__(self, distinct: Hashes) -> None:
        self._distinct = np.append(distinct, np.uint64(1) << MEMBER_BITS)
        bits = min(_MOST_SLOT_BITS, max(8, len(distinct).bit_length() + 2))
        self._shift = MEMBER_BITS - np.uint64(bits)
        borders = np.arange((1 << bits) + 1, dtype=np.uint64) << self._shift
        self._first = np.searchsorted(distinct, borders).astype(np.int32)

    def find(self, member: Hashes) -> tuple[Integers, Integers]:
        """The positions of those members that are among the distinct ones, and their places there."""
        slot = (member >> self._shift).astype(np.int64)
        position = np.flatnonzero(self._first[slot] < self._first[slot + 1])
        place = self._first[slot[position]].astype(np.int64)
        end = self._first[slot[position] + 1]
        positions, places = [position[:0]], [place[:0]]
        while len(position):
            is_there = self._distinct[place] == member[position]
            positions.append(position[is_there])
            places.append(place[is_there])
            goes_on = ~is_there & (place + 1 < end)
            position, place, end = position[goes_on], place[goes_on] + 1, end[goes_on]
        return np.concatenate(positions), np.concatenate(places)


class Columns:
    """The sets in blocks of equal length, a set per column: a MinHash value is a minimum over rows of memory."""

    _BYTES = 1 << 18

    def __init__(self, sets: RunSets) -> None:
        """The sets must be ordered by size; a shorter set of a block repeats its first member."""
        self._rows = sets.rows
        self._slices: list[slice] = []
        self._blocks = Pile()
        first = 0
        while first < sets.rows:
            length = int(sets.size_N[first])
            count = max(1, self._BYTES // (4 * max(1, length)))
            longest = length + length // 16
            last = min(first + count, int(np.searchsorted(sets.size_N, longest, side="right")), sets.rows)
            self._slices.append(slice(first, last))
            self._blocks.append(self._block(sets, first, last))
            first = last

    @staticmethod
    def _block(sets: RunSets, first: int, last: int) -> npt.NDArray[np.uint32]:
        size = sets.size_N[first:last]
        offset = np.arange(int(size.max(initial=1)))[:, None]
        place = sets.start_N[first:last] + np.where(offset < size, offset, 0)
        place = np.minimum(place, max(0, len(sets.member_M) - 1))
        return np.ascontiguousarray(sets.member_M[place].astype(np.uint32))

    def minima(self, number: int) -> npt.NDArray[np.uint32]:
        """A MinHash value: for each set the smallest of its members times the odd number with this number, mod 2^32."""
        factor = np.uint32(int(mixed(np.array([number + 1], dtype=np.uint64))[0]) & 0xFFFFFFFF | 1)
        minima = np.empty(self._rows, dtype=np.uint32)
        scratch = np.empty(self._blocks.largest, dtype=np.uint32)
        for rows, block in zip(self._slices, self._blocks, strict=True):
            product = np.multiply(block, factor, out=scratch[: block.size].reshape(block.shape))
            product.min(axis=0, out=minima[rows])
        return minima
