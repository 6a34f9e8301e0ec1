"""When two texts count as the same question in other words: they are alike and their numbers agree, or by a margin.

Whoever measures likeness (`rephrased` by rare words, `embed` by a sentence encoder) gives pairs
with their cosine c; a `Rule` holds what was tuned for it. A pair is accepted by either of

- **numbers**: a score of c and the agreement of the numbers is at least `enough`. Agreement is the Jaccard similarity
  of both sets of numbers, 0 below a half, times min(1, b / (log2(1 + N) - 1)) with b the bits that the shared numbers
  tell: one in d of N rows tells log2((1 + N) / (1 + d)). So numbers that two rows or more would share by chance count
  for less, and texts without numbers agree in nothing.
- **margin**: c >= `near`, and the text is nearer to the other, by `margin`, than to any third; inside a corpus both
  are. Numbers do not matter: it finds the same question with other numbers, and questions without any.

The score of a pair is that of its numbers, or the margin where only that speaks for it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whet.data.pairs.near import Capped, Pairs
from whet.data.pairs.numbers import NumberSets, NumbersKnown
from whet.data.pairs.tfidf import Alike, Terms, log2_256

__all__ = ["Matches", "Rule", "distinct_texts", "matches_of", "pairs_of"]

# R row, P pair
Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
_Found = tuple[Integers, Integers, Scores]
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What was tuned for one measure of likeness; no pair with a cosine below `least` is looked at.

    `score` is of the cosine and the agreement; least <= near - margin, so that a third text that is too near is seen.
    """

    least: float
    score: Callable[[Scores, Scores], Scores]
    enough: float
    near: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Text `row[i]` rephrases held-out question `question[i]`; by row, then the highest score first."""

    row: Integers
    question: Integers
    score: Scores


class _Nearest:
    """For each row the row that is most like it, and by how much more than the next.

    A next one that is below the rule's `least` is not seen, and counts as just there.
    """

    def __init__(self, rows: int, rule: Rule) -> None:
        self._rule = rule
        self._cosine_R, self._second_R = np.zeros(rows), np.full(rows, rule.least)
        self.other_R = np.full(rows, -1)

    def see(self, found: Alike) -> None:
        """All pairs of the rows `found.a` at once."""
        order = np.lexsort((-found.cosine, found.a))
        row, cosine = found.a[order], found.cosine[order]
        is_first = np.append(True, row[1:] != row[:-1]) if len(row) else np.zeros(0, dtype=np.bool_)
        is_second = np.append(False, is_first[:-1] & ~is_first[1:]) if len(row) else is_first
        self.other_R[row[is_first]] = found.b[order][is_first]
        self._cosine_R[row[is_first]] = cosine[is_first]
        self._second_R[row[is_second]] = cosine[is_second]

    def margin_R(self) -> Scores:
        """0 where the nearest is not near enough."""
        return np.where(self._cosine_R >= self._rule.near, self._cosine_R - self._second_R, 0.0)


def pairs_of(
    found: Iterable[Alike], numbers: NumberSets, known: NumbersKnown, rule: Rule
) -> tuple[Integers, Integers, Scores]:
    """The accepted pairs a < b of a corpus; `found` holds every pair with a cosine of `rule.least` both ways round."""
    rows = len(numbers.size_R)
    nearest = _Nearest(rows, rule)
    accepted: list[_Found] = []
    for alike in found:
        alike = alike.where(alike.a != alike.b)
        nearest.see(alike)
        alike = alike.where(alike.a < alike.b)
        accepted.append(_by_numbers(alike, numbers, numbers, known, rule))
    margin_R = nearest.margin_R()
    row = np.flatnonzero(margin_R >= rule.margin)
    other = nearest.other_R[row]
    both = (nearest.other_R[other] == row) & (margin_R[other] >= rule.margin) & (row < other)
    row, other = row[both], other[both]
    return _once([*accepted, (row, other, np.minimum(margin_R[row], margin_R[other]))])


def matches_of(
    found: Iterable[Alike], numbers: NumberSets, held_out: NumberSets, known: NumbersKnown, rule: Rule
) -> Matches:
    """The accepted pairs of a text and a held-out question; no text counts for another."""
    nearest = _Nearest(len(numbers.size_R), rule)
    accepted: list[_Found] = []
    for alike in found:
        nearest.see(alike)
        accepted.append(_by_numbers(alike, numbers, held_out, known, rule))
    margin_R = nearest.margin_R()
    row = np.flatnonzero(margin_R >= rule.margin)
    a, b, score = _once([*accepted, (row, nearest.other_R[row], margin_R[row])])
    order = np.lexsort((b, -score, a))
    return Matches(row=a[order], question=b[order], score=score[order])


def _by_numbers(alike: Alike, left: NumberSets, right: NumberSets, known: NumbersKnown, rule: Rule) -> _Found:
    agreed = known.agreement(left, alike.a, right, alike.b)
    enough = max(1, int(log2_256(np.array([1 + known.rows]))[0]) - 256)
    agreement = np.where(agreed.jaccard >= _HALF, agreed.jaccard * np.minimum(1.0, agreed.bits_256 / enough), 0.0)
    score = rule.score(alike.cosine, agreement)
    kept = score >= rule.enough
    return alike.a[kept], alike.b[kept], score[kept]


def _once(found: Sequence[_Found]) -> _Found:
    """Each pair once, with the score it was first found by."""
    a = np.concatenate([pairs[0] for pairs in found])
    b = np.concatenate([pairs[1] for pairs in found])
    score = np.concatenate([pairs[2] for pairs in found])
    _, first = np.unique((a << 32) | b, return_index=True)
    return a[first], b[first], score[first]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distinct:
    """The first row of each text, the rows that repeat one, and the rows they repeat; none of them without words."""

    rows: Integers
    copies: Integers
    originals: Integers

    def pairs(self, found: _Found, *, method: str, capped: tuple[Capped, ...] = ()) -> Pairs:
        """Pairs of distinct texts as pairs of rows, and each copy with the row it repeats."""
        a, b, score = found
        ends = np.concatenate([self.originals, self.rows[a]]), np.concatenate([self.copies, self.rows[b]])
        return Pairs(
            first=np.minimum(*ends),
            second=np.maximum(*ends),
            score=np.concatenate([np.ones(len(self.copies)), score]),
            method=method,
            capped=capped,
        )


def distinct_texts(parts: Iterable[Terms]) -> Distinct:
    """By their words and runs of two words, and how often they have each."""
    content = np.concatenate([np.zeros(0, dtype=np.uint64), *(part.fingerprints() for part in parts)])
    rows = np.flatnonzero(content != 0)
    _, first, which = np.unique(content[rows], return_index=True, return_inverse=True)
    original = rows[first][which]
    is_copy = original != rows
    return Distinct(rows=np.sort(rows[first]), copies=rows[is_copy], originals=original[is_copy])
