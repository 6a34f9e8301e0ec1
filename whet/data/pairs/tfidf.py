"""Texts as TF-IDF vectors of words and runs of two words, and the pairs of them with a cosine of at least so much.

A term that occurs c times in a row and in d of N rows weighs (1 + ln c) (1 + ln((1 + N) / (1 + d))), in whole numbers:
logarithms differ in their last bit from machine to machine, sums of whole numbers do not. So a cosine is the same
wherever and in whatever order it is computed.

Candidates come from an index by the rarest terms. A row's terms stand in one order, rarest first; what two rows share
from a term on adds at most |x| |y| to their cosine, the lengths of both vectors from there on (Bayardo, Ma and Srikant
2007, All-Pairs, with the bound on both sides). Terms for which that is below `_LEFT` are not looked up, so a pair whose
shared rarer terms reach `least - _LEFT` is a candidate, and no other can reach `least`. Each candidate is then counted
term by term.

Where rows would meet too often in the index, its commonest terms are left out, and `Index.capped` says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whet.data.pairs.near import Capped
from whet.data.texts.runs import MEMBER, Lookup, run_hashes
from whet.data.texts.words import Hashes, WordTable, mixed, word_tables

__all__ = ["Alike", "Index", "TermWeights", "Terms", "Vectors", "log2_256", "terms_of"]

# R row, T term of a row, V distinct term, E entry of the index, P pair
Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
_LEFT = 0.08
# Rows may meet in the index so often, a row or in all; beyond, the commonest terms are left out.
_MEETINGS_PER_ROW, _MEETINGS = 2000, 50_000_000
_MEETINGS_AT_ONCE = 1 << 17
_ENTRIES_AT_ONCE = 1 << 20
_ROWS_AT_ONCE = 1 << 12
_ONE = 369  # 256 / ln 2: what 1 is when logarithms to base 2 are counted in 256ths
_WEIGHT_BITS, _TERM_BITS = np.uint64(18), np.uint64(30)
_WEIGHT, _TERM = (np.uint64(1) << _WEIGHT_BITS) - np.uint64(1), (np.uint64(1) << _TERM_BITS) - np.uint64(1)
_RUN = np.uint64(1)  # the last bit of a term's hash tells a run from a word
_LENGTH = 1023  # lengths of the rest of a vector, as shares of the whole, are kept in so many steps
_UNIT_BITS = 14
_ROW_BITS = 24
_ROW = (1 << 24) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of some rows, each once and with its count; those of row r are `[start_R[r] : start_R[r + 1]]`."""

    hash_T: Hashes
    count_T: npt.NDArray[np.int32]
    start_R: Integers

    @property
    def rows(self) -> int:
        return len(self.start_R) - 1

    def fingerprints(self) -> Hashes:
        """A hash of each row's terms and counts; 0 for a row without words."""
        sums = np.cumsum(mixed(self.hash_T + (self.count_T.astype(np.uint64) << np.uint64(44))))
        places = np.concatenate([np.zeros(1, dtype=np.uint64), sums])[self.start_R]
        return np.asarray(places[1:] - places[:-1])


def terms_of(texts: Sequence[str]) -> Iterator[Terms]:
    """Words and runs of two words, as 44 bits of their hash; some hundred rows a part."""
    return map(_terms_in, word_tables(texts))


def _terms_in(table: WordTable) -> Terms:
    row_W = np.repeat(np.arange(table.rows), table.count_R)
    row, run = run_hashes(table, 2)
    is_run = table.count_R[row] >= 2
    rows = np.concatenate([row_W, row[is_run]]).astype(np.uint64)
    hashes = np.concatenate([mixed(table.word_W) & ~_RUN, run[is_run] | _RUN]) & MEMBER
    keyed = np.sort(rows << np.uint64(44) | hashes)
    first = np.flatnonzero(np.append(True, keyed[1:] != keyed[:-1])) if len(keyed) else np.zeros(0, dtype=np.int64)
    size_R = np.bincount((keyed[first] >> np.uint64(44)).astype(np.int64), minlength=table.rows)
    return Terms(
        hash_T=keyed[first] & MEMBER,
        count_T=np.diff(np.append(first, len(keyed))).astype(np.int32),
        start_R=np.concatenate([[0], np.cumsum(size_R)]),
    )


def log2_256(values: Integers) -> Integers:
    """The logarithm to base 2 of whole numbers from 1 to 2^31, in 256ths rounded down, by squaring whole numbers alone.

    >>> log2_256(np.array([1, 2, 3, 1024])).tolist()
    [0, 256, 405, 2560]
    """
    result = np.frexp(values.astype(np.float64))[1].astype(np.int64) - 1
    mantissa = values.astype(np.uint64) << (np.int64(31) - result).astype(np.uint64)
    for _ in range(8):
        mantissa = mantissa * mantissa >> np.uint64(31)
        bit = mantissa >> np.uint64(32)
        mantissa >>= bit
        result = 2 * result + bit.astype(np.int64)
    return result


class TermWeights:
    """Which terms are compared, from the rarest to the commonest, and what each weighs."""

    def __init__(self, learnt_from: Iterable[Terms], *, least_rows: int) -> None:
        """Terms in fewer than `least_rows` rows are not compared: words add to the length of a vector all the same,

        as a long text of other words is not like a short one, and runs do not, as rewording makes new ones.
        """
        self.rows = 0
        parts = [np.zeros(0, dtype=np.uint64)]
        for terms in learnt_from:
            self.rows += terms.rows
            parts.append(terms.hash_T)
        hashes = np.concatenate(parts)
        del parts  # a second copy of what may be gigabytes
        hashes.sort()
        first = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1])) if len(hashes) else np.zeros(0, np.int64)
        in_rows = np.diff(np.append(first, len(hashes)))
        kept = in_rows >= least_rows
        in_rows, hashes = in_rows[kept], hashes[first[kept]]
        self._lookup = Lookup(hashes)
        order = np.argsort(in_rows, kind="stable")
        self._rank_V = np.empty(len(order), dtype=np.int64)
        self._rank_V[order] = np.arange(len(order))
        self.in_rows_V = in_rows[order]
        self._idf_V = self._idf(self.in_rows_V)

    def _idf(self, in_rows: Integers) -> Integers:
        return log2_256(np.array([1 + self.rows])) - log2_256(1 + in_rows) + _ONE

    def vectors(self, parts: Iterable[Terms]) -> "Vectors":
        """The rows as vectors; a word that is not known weighs what one in a single row does, a run nothing."""
        made = [self._vectors(terms) for terms in parts]
        size_R = np.concatenate([np.zeros(0, dtype=np.int64), *(np.diff(part.start_R) for part in made)])
        none = np.zeros(0, dtype=np.int32)
        return Vectors(
            rank_T=np.concatenate([none, *(part.rank_T for part in made)]),
            weight_T=np.concatenate([none, *(part.weight_T for part in made)]),
            length_T=np.concatenate([none.astype(np.uint16), *(part.length_T for part in made)]),
            unit_T=np.concatenate([none.astype(np.uint16), *(part.unit_T for part in made)]),
            start_R=np.concatenate([[0], np.cumsum(size_R)]),
            squares_R=np.concatenate([none.astype(np.int64), *(part.squares_R for part in made)]),
        )

    def _vectors(self, terms: Terms) -> "Vectors":
        where, place = self._lookup.find(terms.hash_T)
        idf_T = np.where(terms.hash_T & _RUN, 0, self._idf(np.ones(1, dtype=np.int64)))
        idf_T[where] = self._idf_V[self._rank_V[place]]
        tf_T = log2_256(np.maximum(1, terms.count_T).astype(np.int64)) + _ONE
        weight_T = np.minimum((tf_T * idf_T + _ONE // 2) // _ONE, (1 << int(_WEIGHT_BITS)) - 1)
        row_T = np.repeat(np.arange(terms.rows), np.diff(terms.start_R))
        squares_R = np.bincount(row_T, weights=(weight_T**2).astype(np.float64), minlength=terms.rows)
        keyed = np.sort(_packed(row_T[where], self._rank_V[place], weight_T[where]))
        row_T = (keyed >> (_TERM_BITS + _WEIGHT_BITS)).astype(np.int64)
        weight_T = (keyed & _WEIGHT).astype(np.int64)
        start_R = np.concatenate([[0], np.cumsum(np.bincount(row_T, minlength=terms.rows))])
        sums = np.concatenate([[0], np.cumsum(weight_T**2)])
        rest_T = (sums[start_R[1:]][row_T] - sums[:-1]) / squares_R[row_T]
        unit_T = (weight_T / np.sqrt(squares_R)[row_T]) * (1 << _UNIT_BITS)
        return Vectors(
            rank_T=((keyed >> _WEIGHT_BITS) & _TERM).astype(np.int32),
            weight_T=weight_T.astype(np.int32),
            length_T=np.minimum(np.ceil(_LENGTH * np.sqrt(rest_T)), _LENGTH).astype(np.uint16),
            unit_T=np.minimum(unit_T, (1 << _UNIT_BITS) - 1).astype(np.uint16),
            start_R=start_R,
            squares_R=squares_R.astype(np.int64),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """Those terms of rows that are compared, the rarest first, and the sum of squares over all terms of each row.

    `length_T` is the length of a vector from a term on as a share of the whole, in 1023rds rounded up; `unit_T` the
    weight in the vector of length 1, in 2^-14 rounded down.
    """

    rank_T: npt.NDArray[np.int32]
    weight_T: npt.NDArray[np.int32]
    length_T: npt.NDArray[np.uint16]
    unit_T: npt.NDArray[np.uint16]
    start_R: Integers
    squares_R: Integers

    @property
    def rows(self) -> int:
        return len(self.start_R) - 1

    def taken(self, first: int, last: int) -> "Vectors":
        """The rows from `first` to before `last`."""
        begin, end = self.start_R[[first, last]].tolist()
        return Vectors(
            rank_T=self.rank_T[begin:end],
            weight_T=self.weight_T[begin:end],
            length_T=self.length_T[begin:end],
            unit_T=self.unit_T[begin:end],
            start_R=self.start_R[first : last + 1] - begin,
            squares_R=self.squares_R[first:last],
        )


def _packed(group: Integers, rank: npt.NDArray[np.integer], weight: npt.NDArray[np.integer]) -> Hashes:
    """16 bits of the group, 30 of the term, 18 of its weight."""
    packed = group.astype(np.uint64) << (_TERM_BITS + _WEIGHT_BITS)
    packed |= rank.astype(np.uint64) << _WEIGHT_BITS
    packed |= weight.astype(np.uint64)
    return packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Row `a[i]` of those asked for and row `b[i]` of the index have a cosine of `cosine[i]`; by row, then `b`."""

    a: Integers
    b: Integers
    cosine: Scores

    def where(self, kept: npt.NDArray[np.bool_]) -> "Alike":
        return Alike(a=self.a[kept], b=self.b[kept], cosine=self.cosine[kept])


def _searched(ordered: Hashes, wanted: Hashes, first: Integers, after: Integers) -> Integers:
    """Where each value belongs between two places of its own: fewer steps than through all of what may be gigabytes."""
    first, after = first.copy(), after.copy()
    active = np.flatnonzero(first < after)
    while len(active):
        middle = (first[active] + after[active]) >> 1
        is_below = ordered[middle] < wanted[active]
        first[active[is_below]] = middle[is_below] + 1
        after[active[~is_below]] = middle[~is_below]
        active = active[first[active] < after[active]]
    return first


class Index:
    """Vectors that can be asked which of them are like others."""

    def __init__(self, vectors: Vectors, weights: TermWeights, *, least: float, asked: Vectors) -> None:
        """Pairs with a cosine of `least` are found, all of them unless `capped` says otherwise.

        `asked` are rows such as will be asked for; if they meet too often, the commonest terms are left out.
        """
        assert vectors.rows <= _ROW
        assert least > _LEFT
        self.vectors, self.least = vectors, least
        self._in_rows_V = weights.in_rows_V
        entries = len(vectors.rank_T)
        self._entry_bits = np.uint64(max(1, entries.bit_length()))
        assert int(self._entry_bits) + 10 + len(weights.in_rows_V).bit_length() <= 64
        self._key_E = self._key(vectors.rank_T, _LENGTH - vectors.length_T)
        self._key_E |= np.arange(entries, dtype=np.uint64)
        self._key_E.sort()
        self._row_E, self._unit_E = np.empty(entries, dtype=np.int32), np.empty(entries, dtype=np.uint16)
        row_T = np.repeat(np.arange(vectors.rows, dtype=np.int32), np.diff(vectors.start_R))
        for first in range(0, entries, _ENTRIES_AT_ONCE):
            some = slice(first, first + _ENTRIES_AT_ONCE)
            entry = (self._key_E[some] & ((np.uint64(1) << self._entry_bits) - np.uint64(1))).astype(np.int64)
            self._row_E[some], self._unit_E[some] = row_T[entry], vectors.unit_T[entry]
        in_index_V = np.bincount(vectors.rank_T, minlength=len(weights.in_rows_V))
        self._start_V = np.concatenate([[0], np.cumsum(in_index_V)])
        self._column_V = np.zeros(len(weights.in_rows_V), dtype=np.int32)
        self._length_R = np.sqrt(vectors.squares_R.astype(np.float64))
        self._most_rows = weights.rows
        self.capped: tuple[Capped, ...] = ()
        self._cap(asked)

    def _key(self, rank: npt.NDArray[np.int32], less: npt.NDArray[np.integer]) -> Hashes:
        return (rank.astype(np.uint64) << np.uint64(10) | less.astype(np.uint64)) << self._entry_bits

    def _cap(self, asked: Vectors) -> None:
        """Leave out the commonest terms, so that the rest makes no more rows meet than is affordable."""
        meetings = np.zeros(int(self._in_rows_V.max(initial=0)) + 1, dtype=np.int64)
        for first in range(0, asked.rows, _ROWS_AT_ONCE):
            part = slice(*asked.start_R[[first, min(first + _ROWS_AT_ONCE, asked.rows)]].tolist())
            _, count_T = self._reach(asked, part)
            in_rows = self._in_rows_V[asked.rank_T[part]]
            meetings += np.bincount(in_rows, weights=count_T, minlength=len(meetings)).astype(np.int64)
        reached = np.cumsum(meetings)
        most = max(_MEETINGS, _MEETINGS_PER_ROW * asked.rows)
        if reached[-1] > most:
            self._most_rows = int(np.searchsorted(reached, most, side="right")) - 1
            self.capped = (Capped(rows=int(np.flatnonzero(meetings)[-1]), tries=0),)

    def _reach(self, others: Vectors, part: slice) -> tuple[Integers, Integers]:
        """Where the rows that share a term begin in the index, and how many are long enough from there on."""
        rank_T, length_T = others.rank_T[part], others.length_T[part].astype(np.int64)
        need = -(-int(_LEFT * _LENGTH**2) // np.maximum(1, length_T))
        looked_up = np.flatnonzero((need <= _LENGTH) & (self._in_rows_V[rank_T] <= self._most_rows))
        begin_T, count_T = self._start_V[rank_T], np.zeros(len(rank_T), dtype=np.int64)
        wanted = self._key(rank_T[looked_up], _LENGTH + 1 - need[looked_up])
        end = _searched(self._key_E, wanted, begin_T[looked_up], self._start_V[rank_T[looked_up] + 1])
        count_T[looked_up] = end - begin_T[looked_up]
        return begin_T, count_T

    def alike(self, others: Vectors) -> Iterator[Alike]:
        """The pairs of `others` with rows of the index, some rows at a time; a row meets itself too."""
        for begin in range(0, others.rows, _ROWS_AT_ONCE):
            after = min(begin + _ROWS_AT_ONCE, others.rows)
            part = slice(*others.start_R[[begin, after]].tolist())
            begin_T, count_T = self._reach(others, part)
            met_R = np.concatenate([[0], np.cumsum(count_T)])[others.start_R[begin : after + 1] - part.start]
            first = 0
            while first < after - begin:
                last = int(np.searchsorted(met_R, met_R[first] + _MEETINGS_AT_ONCE, side="right")) - 1
                last = min(max(last, first + 1), first + _ROWS_AT_ONCE // 16, after - begin)
                asked = others.taken(begin + first, begin + last)
                some = slice(*(others.start_R[[begin + first, begin + last]] - part.start).tolist())
                found = self._counted(asked, *self._candidates(asked, begin_T[some], count_T[some]))
                yield Alike(a=found.a + begin + first, b=found.b, cosine=found.cosine)
                first = last

    def _candidates(self, asked: Vectors, begin_T: Integers, count_T: Integers) -> tuple[Integers, Integers]:
        """The pairs whose shared terms that were looked up add up to enough.

        They are added up in so few slots a row that they stay in the cache; rows that share a slot seem more alike than
        they are. Only what is left then is sorted. Sums are rounded down by 2 sqrt(k) 2^14 + k at most for k terms
        (Cauchy and Schwarz).
        """
        terms_R = np.diff(asked.start_R)
        need_R = (self.least - _LEFT) * (1 << 2 * _UNIT_BITS) - 2 * np.sqrt(terms_R) * (1 << _UNIT_BITS) - terms_R
        row_M = np.repeat(np.repeat(np.arange(asked.rows), terms_R), count_T)
        entry_M = np.arange(len(row_M)) + np.repeat(begin_T - (np.cumsum(count_T) - count_T), count_T)
        other_M = self._row_E[entry_M]
        product_M = np.repeat(asked.unit_T.astype(np.float64), count_T) * self._unit_E[entry_M]
        bits = min(max(10, (4 * len(row_M) // max(1, asked.rows)).bit_length()), self.vectors.rows.bit_length())
        slot_M = (row_M << bits) | (other_M & ((1 << bits) - 1))
        sums = np.bincount(slot_M, weights=product_M, minlength=asked.rows << bits).reshape(asked.rows, -1)
        maybe = np.flatnonzero((sums >= need_R[:, None]).reshape(-1)[slot_M])
        pair_M = (row_M[maybe] << _ROW_BITS) | other_M[maybe]
        pair_P, of_M = np.unique(pair_M, return_inverse=True)
        row_P = pair_P >> _ROW_BITS
        enough = np.bincount(of_M, weights=product_M[maybe], minlength=len(pair_P)) >= need_R[row_P]
        return row_P[enough], pair_P[enough] & _ROW

    def _counted(self, asked: Vectors, a: Integers, b: Integers) -> Alike:
        """Weights of the rows that ask stand in a table, a column for each of their terms; sums of whole numbers below
        2^53, so exact."""
        ranks = np.unique(asked.rank_T)
        self._column_V[ranks] = np.arange(1, len(ranks) + 1)
        columns = len(ranks) + 1
        table = np.zeros(asked.rows * columns)
        row_T = np.repeat(np.arange(asked.rows), np.diff(asked.start_R))
        table[row_T * columns + self._column_V[asked.rank_T]] = asked.weight_T
        size = np.diff(self.vectors.start_R)[b]
        product = np.zeros(len(a))
        total = np.cumsum(size)
        first = 0
        while first < len(a):
            reached = total[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(total, reached + _MEETINGS_AT_ONCE)))
            some = slice(first, last)
            start = np.cumsum(size[some]) - size[some]
            place = np.arange(int(size[some].sum())) + np.repeat(self.vectors.start_R[b[some]] - start, size[some])
            column = self._column_V[self.vectors.rank_T[place]]
            weight = table[np.repeat(a[some] * columns, size[some]) + column] * self.vectors.weight_T[place]
            product[some] = np.bincount(
                np.repeat(np.arange(len(size[some])), size[some]), weights=weight, minlength=len(size[some])
            )
            first = last
        self._column_V[ranks] = 0
        cosine = product / (np.sqrt(asked.squares_R[a].astype(np.float64)) * self._length_R[b])
        kept = cosine >= self.least
        return Alike(a=a[kept], b=b[kept], cosine=cosine[kept])
