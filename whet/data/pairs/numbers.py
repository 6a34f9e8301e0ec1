"""The numbers that texts hold, as sets, and how far two sets of them agree. Number words are numbers: "three" is 3."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from whet.data.pairs.tfidf import log2_256
from whet.data.texts.canonical import numbers_in
from whet.data.texts.words import Hashes, WordTable, is_member, word_hashes, word_tables

__all__ = ["Agreement", "NumberSets", "NumbersKnown", "numbers_spelt"]

# R row, N number of a row, P pair
Integers = npt.NDArray[np.int64]
_NUMBER_BITS = 32
_UNITS = {
    word: value
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen""".split()
    )
}
_TENS = {
    word: 10 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000}
_OTHERS = {
    **dict.fromkeys(("twice", "double"), "2"),
    **dict.fromkeys(("thrice", "triple", "third"), "3"),
    "quarter": "4",
    "dozen": "12",
    "half": "0.5",
}


@cache
def _number_words() -> tuple[Hashes, list[str]]:
    """The hashes of all number words, sorted, and the words in that order."""
    spelt = sorted({*_UNITS, *_TENS, *_SCALES, *_OTHERS})
    hashes = word_hashes(spelt)
    order = np.argsort(hashes)
    return hashes[order], [spelt[place] for place in order.tolist()]


def numbers_spelt(table: WordTable) -> Iterator[tuple[int, str]]:
    """The row and the value of every number in words: "twenty-five" is 25, "two hundred" 200, a "one" alone nothing."""
    hashes, spelt = _number_words()
    places = np.flatnonzero(is_member(table.word_W, hashes))
    rows = (np.searchsorted(table.start_R, places, side="right") - 1).tolist()
    found = [spelt[place] for place in np.searchsorted(hashes, table.word_W[places]).tolist()]
    hits = list(zip(places.tolist(), rows, found, strict=True))
    at = 0
    while at < len(hits):
        phrase = [hits[at][2]]
        while at + len(phrase) < len(hits):
            place, row, word = hits[at + len(phrase)]
            if place != hits[at][0] + len(phrase) or row != hits[at][1]:
                break
            phrase.append(word)
        yield from ((hits[at][1], value) for value in _values(phrase))
        at += len(phrase)


def _values(phrase: Sequence[str]) -> Iterator[str]:
    """The numbers in a run of number words.

    >>> list(_values(["twenty", "five", "six", "hundred", "half", "one"]))
    ['25', '600', '0.5']
    """
    at = 0
    while at < len(phrase):
        word = phrase[at]
        value = _UNITS.get(word, _TENS.get(word))
        at += 1
        if word in _TENS and at < len(phrase) and 0 < _UNITS.get(phrase[at], 0) < 10:
            value = _TENS[word] + _UNITS[phrase[at]]
            at += 1
        if at < len(phrase) and value is not None and phrase[at] in _SCALES:
            value *= _SCALES[phrase[at]]
            at += 1
        if value is None:
            yield _OTHERS.get(word) or str(_SCALES[word])
        elif value != 1:
            yield str(value)


@dataclass(frozen=True, kw_only=True)
class NumberSets:
    """Row r has the known numbers `number_N[start_R[r] : start_R[r + 1]]`, each once.

    `size_R` counts all of its numbers.
    """

    number_N: Integers
    start_R: Integers
    size_R: Integers

    @cached_property
    def key_N(self) -> Integers:
        """Row and number in one, in order."""
        row_N = np.repeat(np.arange(len(self.size_R)), np.diff(self.start_R))
        return row_N << _NUMBER_BITS | self.number_N

    def first(self, rows: int) -> "NumberSets":
        """The first rows alone."""
        start_R = self.start_R[: rows + 1]
        return NumberSets(number_N=self.number_N[: start_R[-1]], start_R=start_R, size_R=self.size_R[:rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far two sets agree: their Jaccard similarity, and the bits that the numbers they share tell, in 256ths."""

    jaccard: npt.NDArray[np.float64]
    bits_256: Integers


class NumbersKnown:
    """The numbers of the rows they were learnt from: which are rare. `learnt` are the sets of these rows."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._number_of: dict[str, int] = {}
        self.rows = len(texts)
        self.learnt = self._read(texts, learning=True)
        self._in_rows = np.bincount(self.learnt.number_N, minlength=len(self._number_of))

    def sets(self, texts: Sequence[str]) -> NumberSets:
        """Of other rows; a number that is not known is in no other row."""
        return self._read(texts, learning=False)

    def _read(self, texts: Sequence[str], *, learning: bool) -> NumberSets:
        numbers: list[int] = []
        known, every = np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=np.int64)
        number_of = self._number_of
        for row, found in enumerate(_sets(texts)):
            if learning:
                places = sorted(number_of.setdefault(number, len(number_of)) for number in found)
            else:
                places = sorted(number_of[number] for number in found if number in number_of)
            numbers += places
            known[row], every[row] = len(places), len(found)
        return NumberSets(
            number_N=np.array(numbers, dtype=np.int64),
            start_R=np.concatenate([[0], np.cumsum(known)]),
            size_R=every,
        )

    def agreement(self, left: NumberSets, a: Integers, right: NumberSets, b: Integers) -> Agreement:
        """Of row `a[i]` of the one with row `b[i]` of the other; rows without numbers agree in nothing."""
        size = np.diff(left.start_R)[a]
        place = np.arange(int(size.sum())) + np.repeat(left.start_R[a] - (np.cumsum(size) - size), size)
        number_N, pair_N = left.number_N[place], np.repeat(np.arange(len(a)), size)
        wanted = b[pair_N] << _NUMBER_BITS | number_N
        there = np.minimum(np.searchsorted(right.key_N, wanted), max(0, len(right.key_N) - 1))
        is_shared = right.key_N[there] == wanted if len(right.key_N) else np.zeros(len(wanted), dtype=np.bool_)
        bits = log2_256(np.array([1 + self.rows])) - log2_256(1 + self._in_rows)
        pair_N, bits_N = pair_N[is_shared], bits[number_N[is_shared]]
        shared = np.bincount(pair_N, minlength=len(a))
        union = left.size_R[a] + right.size_R[b] - shared
        return Agreement(
            jaccard=shared / np.maximum(1, union),
            bits_256=np.bincount(pair_N, weights=bits_N, minlength=len(a)).astype(np.int64),
        )


def _sets(texts: Sequence[str]) -> Iterator[set[str]]:
    first = 0
    for table in word_tables(texts):
        found = [set(numbers_in(text)) for text in texts[first : first + table.rows]]
        for row, value in numbers_spelt(table):
            found[row].add(value)
        yield from found
        first += table.rows
