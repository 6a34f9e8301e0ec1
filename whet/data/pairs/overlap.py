"""Which texts of a stream share most of their word runs with a held-out text. Exact, in memory for the held-out side.

A pair is wanted when at least s runs are common: s is a share of the held-out text's n runs (`cover`), or
t / (1 + t) (n + m) for a Jaccard similarity of t with a text of m runs. Put the runs of both in one order, the rarest
in the stream first. Where s runs are common, the first common one stands among the first n - s + 1 of the held-out text
and has at least s - 1 known runs behind it in the other. So an index of the first few runs of each held-out text misses
nothing (Chaudhuri, Ganti and Kaushik 2006; Xiao et al. 2008, PPJoin), and rare runs meet few texts. What meets is
compared by bitmaps, which never turn a wanted pair away, and counted run by run.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from whet.data.space.where import HERE, Arrays, Where
from whet.data.texts.runs import (
    MEMBER,
    MEMBER_BITS,
    RunSets,
    bitmaps_of,
    run_hashes,
    run_sets,
    sets_of,
    shared_counts,
)
from whet.data.texts.words import Hashes, word_tables

__all__ = ["HeldOut", "Ids", "Overlap", "distinct_values", "overlaps"]

# H held-out text, T text of the stream, M member of a set, E entry of the index, P pair, I distinct run
Integers = npt.NDArray[np.int64]
# Texts from which is learnt which runs are rare in the stream.
_SAMPLE = 10_000
# Entries and texts that meet, held at once; and texts whose bitmaps are.
_MEETINGS = 1 << 16
# How far from its slot a member may stand, and how many bits of the slot tell one slot from others so near.
_FURTHEST, _SLOT_BITS_KEPT = 100, 8
_SPARE_BITS = 64 - int(MEMBER_BITS)
_HALF, _LOW, _ROW_UP = np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(40)
_NONE = np.zeros(0, dtype=np.int64)
_CLASSES = 32
_SLOTS = 1 << 11
_ANY_SIZE = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Text `row[i]` of the stream and held-out text `held_out[i]` have `shared[i]` runs in common."""

    row: Integers
    held_out: Integers
    shared: Integers
    size: Integers
    held_out_size: Integers

    @property
    def cover(self) -> npt.NDArray[np.float64]:
        """The share of the held-out text's runs."""
        return np.asarray(self.shared / np.maximum(1, self.held_out_size))

    @property
    def jaccard(self) -> npt.NDArray[np.float64]:
        """The similarity of both sets."""
        return np.asarray(self.shared / np.maximum(1, self.size + self.held_out_size - self.shared))

    def where(self, kept: npt.NDArray[np.bool_]) -> "Overlap":
        return Overlap(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})


class Ids:
    """The number of each of some distinct members: a hash table in one numpy array, asked for many values at once.

    A member's slot is its upper bits; where that is taken it stands in the next that is free, and all stand in order,
    so that a search ends at the first that is larger. A slot holds the lower bits of its member, shifted up, and its
    number below them: what is left after the value looked for, shifted alike, is subtracted is the number if that is
    small, and "not here, perhaps behind" if it is negative. A free slot looks like a larger member than any of its own.
    """

    def __init__(self, distinct: Hashes, numbers: Integers) -> None:
        """`distinct` must be sorted."""
        largest = int(numbers.max(initial=0))
        bits = max(8, (2 * len(distinct)).bit_length(), largest.bit_length() + 1 + _SLOT_BITS_KEPT - _SPARE_BITS)
        while True:
            self._shift = MEMBER_BITS - np.uint64(bits)
            slot = (distinct >> self._shift).astype(np.int64)
            count = np.arange(len(distinct))
            place = np.maximum.accumulate(slot - count) + count
            if not len(distinct) or int((place - slot).max()) < _FURTHEST:
                break
            bits += 1
        # Below the bits of a member that its slot does not tell, and a few that it does, is the number's place.
        number_bits = np.uint64(bits + _SPARE_BITS - _SLOT_BITS_KEPT)
        self._up, self._most = number_bits, np.uint64(1) << (number_bits - np.uint64(1))
        slots = np.arange((1 << bits) + _FURTHEST + 1, dtype=np.uint64)
        self._table = ((slots + np.uint64(1)) << self._shift) - np.uint64(1) << self._up
        self._table |= (np.uint64(1) << number_bits) - np.uint64(1)
        self._table[place] = distinct << self._up | numbers.astype(np.uint64)

    def find(self, member: Hashes) -> Integers:
        """The number of each member, -1 for one that is unknown."""
        place = (member >> self._shift).astype(np.int64)
        key = member << self._up
        left = self._table[place] - key
        number = np.where(left < self._most, left.view(np.int64), -1)
        behind = np.flatnonzero(left.view(np.int64) < 0)
        key, place = key[behind], place[behind]
        while len(behind):
            place += 1
            left = self._table[place] - key
            number[behind] = np.where(left < self._most, left.view(np.int64), -1)
            again = np.flatnonzero(left.view(np.int64) < 0)
            behind, key, place = behind[again], key[again], place[again]
        return number


class HeldOut:
    """Held-out texts as sets of runs, ready to be looked up by the runs that a text shares with them."""

    def __init__(self, sets: RunSets, *, least: float, by_jaccard: bool, sample: Iterable[Hashes] = ()) -> None:
        """Wanted are pairs with a cover of `least`, or with a Jaccard similarity of it.

        `sample` are runs of the stream, repeated as often as they are there; none is right too, only slower.
        """
        self.sets, self.least, self.by_jaccard = sets, least, by_jaccard
        self._bits_H4 = sets.bitmaps()
        distinct = distinct_values(sets.member_M)
        self._ids = Ids(distinct, np.arange(len(distinct)))
        uses_I = np.zeros(len(distinct) + 1, dtype=np.int64)
        for runs in sample:
            uses_I += np.bincount(self._ids.find(runs & MEMBER) + 1, minlength=len(distinct) + 1)
        # The order of runs: by the logarithm of their uses, then by their numbers; in it classes of as many uses each.
        level_I = np.minimum(8 * np.log2(uses_I[1:] + 1), 255).astype(np.uint8)
        mass = np.cumsum(np.bincount(level_I, weights=uses_I[1:] + 1, minlength=256))
        self._class_I = np.ceil(_CLASSES * mass / max(1.0, mass[-1]) - 1).astype(np.int8)[level_I]
        self._index(level_I, len(distinct))

    def _index(self, level_I: npt.NDArray[np.uint8], distinct: int) -> None:
        """The entries by run. `_largest_E`: the texts of at most so many runs can have their first common one here."""
        entries = [self._entries_of(block, level_I) for block in self.sets.blocks()]
        columns = zip((_NONE,) * 3, *entries, strict=True)
        row_E, run_E, place_E = (np.concatenate(column) for column in columns)
        order = _order_of(run_E)
        self._row_E, place_E = row_E[order], place_E[order]
        self._start_I = np.concatenate([[0], np.cumsum(np.bincount(run_E, minlength=distinct))])
        size_H = self.sets.size_N
        self._least_needed = self.least * max(1, int(size_H[size_H > 0].min(initial=_ANY_SIZE)))
        size_E = size_H[self._row_E]
        self._size_E = size_E.astype(np.int32)
        self._largest_E: npt.NDArray[np.int32] | None = None
        if self.by_jaccard:
            share = self.least / (1 + self.least)
            largest = np.floor((size_E - place_E + 1e-6) / share) - size_E
            self._largest_E = np.clip(largest, 0, _ANY_SIZE).astype(np.int32)

    def _entries_of(self, block: slice, level_I: npt.NDArray[np.uint8]) -> tuple[Integers, Integers, Integers]:
        """Of the held-out texts of a block: the text, number and place in its order of each of the first few runs."""
        size = self.sets.size_N[block]
        start = self.sets.start_N[block.start : block.stop + 1]
        number = self._ids.find(self.sets.member_M[start[0] : start[-1]])
        row = np.repeat(np.arange(len(size)), size)
        keyed = row.astype(np.uint64) << _ROW_UP | level_I[number].astype(np.uint64) << _HALF | number.astype(np.uint64)
        number = (np.sort(keyed) & _LOW).astype(np.int64)
        place = np.arange(len(row)) - np.repeat(start[:-1] - start[0], size)
        enough = size - np.ceil(self.least * size - 1e-9).astype(np.int64) + 1
        kept = np.flatnonzero(place < enough[row])
        return row[kept] + block.start, number[kept], place[kept]

    def numbers(self, run: Hashes) -> Integers:
        """The number of each run, -1 for one that no held-out text has."""
        return self._ids.find(run & MEMBER)

    def pairs(self, row: Integers, run: Hashes, number: Integers, rows: int) -> Overlap:
        """Every pair that is wanted, by text and held-out text. `row` and `run` as `run_hashes` gives them.

        `number` is what `numbers` says of the runs, and `rows` how many texts there are.
        """
        bits_T4 = bitmaps_of(row, run, rows)
        most_T = np.bincount(row, minlength=rows)
        fewest_T = _fewest(row, run, rows) if self.by_jaccard else most_T
        found = [self._alike(bits_T4, most_T, *met) for met in self._meetings(row, number, fewest_T)]
        packed = distinct_values(np.concatenate([np.zeros(0, dtype=np.uint64), *found]))
        text, held_out = (packed >> _HALF).astype(np.int64), (packed & _LOW).astype(np.int64)
        is_candidate = np.zeros(rows, dtype=np.bool_)
        is_candidate[text] = True
        kept = np.flatnonzero(is_candidate[row])
        sets = sets_of([(row[kept], run[kept], rows)])
        found_P = Overlap(
            row=text,
            held_out=held_out,
            shared=shared_counts(sets, text, held_out, self.sets),
            size=sets.size_N[text],
            held_out_size=self.sets.size_N[held_out],
        )
        return found_P.where(found_P.shared >= self._needed(found_P.held_out_size, found_P.size) - 1e-9)

    def _needed(self, held_out_size: Integers, size: Integers) -> npt.NDArray[np.float64]:
        """How many common runs make a pair wanted; not rounded."""
        if self.by_jaccard:
            return np.asarray(self.least / (1 + self.least) * (held_out_size + size))
        return np.asarray(self.least * held_out_size)

    def _meetings(self, row: Integers, number: Integers, fewest_T: Integers) -> Iterator[tuple[Integers, Integers]]:
        """Texts and held-out texts with the same run where it can be the first common one, some at a time.

        The known runs that a text has left from there on are counted by classes of rarity, so a few too many.
        """
        known = np.flatnonzero(number >= 0)
        row, number = row[known], number[known]
        slot = row * _CLASSES + self._class_I[number]
        counts_TC = np.bincount(slot, minlength=len(fewest_T) * _CLASSES).reshape(-1, _CLASSES)
        left_TC = np.cumsum(counts_TC[:, ::-1], axis=1)[:, ::-1]
        # Whatever the held-out text, at least so many runs are common to a wanted pair.
        least_T = self.least * fewest_T if self.by_jaccard else np.full(len(fewest_T), self._least_needed)
        probe = np.flatnonzero((left_TC >= least_T[:, None] - 1e-9).ravel()[slot])
        row, number, left = row[probe], number[probe], left_TC.ravel()[slot[probe]]
        first = self._start_I[number]
        count = self._start_I[number + 1] - first
        total = np.cumsum(count)
        begin = 0
        while begin < len(row):
            reached = int(total[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(total, reached + _MEETINGS, side="right")))
            part = slice(begin, end)
            yield self._met(row[part], fewest_T[row[part]], left[part], first[part], count[part])
            begin = end

    def _met(
        self, row: Integers, fewest: Integers, left: Integers, first: Integers, count: Integers
    ) -> tuple[Integers, Integers]:
        which = np.repeat(np.arange(len(row), dtype=np.int32), count)
        entry = np.arange(len(which)) + np.repeat(first - (np.cumsum(count) - count), count)
        most = (left + 1e-6) / self.least
        if self._largest_E is not None:
            kept = np.flatnonzero(self._largest_E[entry] >= fewest.astype(np.int32)[which])
            which, entry = which[kept], entry[kept]
            most = (left + 1e-6) * (1 + self.least) / self.least - fewest
        kept = np.flatnonzero(self._size_E[entry] <= np.minimum(most, _ANY_SIZE).astype(np.int32)[which])
        return row[which[kept]], self._row_E[entry[kept]]

    def _alike(self, bits_T4: Hashes, most_T: Integers, text: Integers, held_out: Integers) -> Hashes:
        """The pairs, packed, that their bitmaps do not rule out: a bit that one alone has is a run the other lacks."""
        ours, size = self._bits_H4[held_out], self.sets.size_N[held_out]
        if self.by_jaccard:
            # Of n + m runs in all, 2 s are in both: n + m - 2 s with s = t / (1 + t) (n + m) may be in one alone.
            allowed = (1 - self.least) / (1 + self.least) * (size + most_T[text])
            kept = _bits_set(ours ^ bits_T4[text]) <= allowed + 1e-9
        else:
            kept = _bits_set(ours & ~bits_T4[text]) <= (1 - self.least) * size + 1e-9
        return text[kept].astype(np.uint64) << _HALF | held_out[kept].astype(np.uint64)


def _bits_set(bits_P4: Hashes) -> npt.NDArray[np.uint32]:
    """How many of the 256 bits of each row are 1: four bytes added at once."""
    counts = np.bitwise_count(bits_P4).view(np.uint32)[:, 0]
    even_odd = (counts & np.uint32(0xFF00FF)) + (counts >> np.uint32(8) & np.uint32(0xFF00FF))
    return np.asarray((even_odd + (even_odd >> np.uint32(16))) & np.uint32(0xFFFF))


def _fewest(row: Integers, run: Hashes, rows: int) -> Integers:
    """How many different runs each row has at least: so many slots of a table do they fall into."""
    is_taken = np.zeros(rows * _SLOTS, dtype=np.uint8)
    is_taken[row * _SLOTS + ((run >> np.uint64(8)).astype(np.int64) & (_SLOTS - 1))] = 1
    taken = np.packbits(is_taken).view(np.uint64).reshape(rows, -1)
    return np.asarray(np.bitwise_count(taken).sum(axis=1, dtype=np.int64))


def _order_of(numbers: Integers) -> Integers:
    """Where the smallest stands, then the next: a sort of numbers and places in one, faster than np.argsort."""
    packed = numbers.astype(np.uint64) << _HALF | np.arange(len(numbers), dtype=np.uint64)
    return (np.sort(packed) & _LOW).astype(np.int64)


def distinct_values(values: Hashes) -> Hashes:
    """Each value once, sorted; for millions of hashes much faster than np.unique."""
    values = np.sort(values)
    return values[np.append(True, values[1:] != values[:-1])] if len(values) else values


def overlaps(
    held_out: Sequence[str], stream: Sequence[str], threshold: float, *, size: int = 3, where: Where = HERE
) -> Overlap:
    """Every pair of a held-out text and one of `stream` whose sets of runs have a Jaccard similarity of `threshold`.

    The proof that nothing held out is nearly trained on: no sampling, no pair missed.
    """
    common = (run_hashes(table, size)[1] for table in word_tables(stream[:_SAMPLE]))
    held = HeldOut(run_sets(held_out, size=size), least=threshold, by_jaccard=True, sample=common)
    found: dict[str, list[npt.NDArray[Any]]] = {field.name: [_NONE] for field in fields(Overlap)}
    first = 0
    for part in where.texts(stream).map(partial(_overlaps, size), where.put(held)):
        for name, columns in found.items():
            columns.append(part[name] + first if name == "row" else part[name])
        first += int(part["rows"][0])
    return Overlap(**{name: np.concatenate(columns) for name, columns in found.items()})


def _overlaps(size: int, held: HeldOut, texts: Sequence[str]) -> Iterator[Arrays]:
    """A step: what some texts of the stream have in common with the held-out ones."""
    for table in word_tables(texts):
        row, run = run_hashes(table, size)
        yield asdict(held.pairs(row, run, held.numbers(run), table.rows)) | {"rows": np.array([table.rows])}
