"""Passages that very many texts share, an instruction or examples before a question: they tell no two texts apart.

A run of three words is *common* when more than `most_texts` of the different texts have it. A *passage* is a stretch of
at least 16 words all of whose runs are common, and about equally so: where less than half of the texts go on in the
same way, it ends. A text is compared by its own words, which are what it has beside its passages; where fewer than 3 of
its words stand neither in one nor in other common runs, too little would remain, and it is compared whole.

A shorter passage alone makes no two texts alike that have 3 own words each: of 15 words 13 runs are common to both, of
19 in all, and 13 / 19 is below the 0.7 that counts as alike.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from whet.data.space.where import HERE, Arrays, Where
from whet.data.texts.canonical import spelt, word_spans
from whet.data.texts.runs import MEMBER, MEMBER_BITS, Lookup, finest_slots, run_hashes, slot_counts, slots
from whet.data.texts.words import Hashes, WordTable, word_tables

__all__ = ["OwnWords", "Passage", "Passages", "learn", "most_texts", "own_words"]

# W word of some rows, R row, S stretch of words of a row, C common run
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# Words of a run, of the shortest passage, and own words of which fewer are too few.
_RUN, _PASSAGE, _OWN = 3, 16, 3
_FEWEST, _SHARE, _MANY, _SHARE_OF_MANY = 8, 0.1, 50, 0.002
_PENDING = 1 << 20  # counted runs that wait to be added up
_NO_SPANS = np.zeros((0, 3), dtype=np.int64)


def most_texts(texts: int) -> int:
    """Runs that more texts than these have are common: 8, a tenth of up to 500 texts, 50, or 0.2 % of many.

    >>> [most_texts(texts) for texts in (16, 200, 1000, 100_000)]
    [8, 20, 50, 200]
    """
    return max(_FEWEST, min(int(_SHARE * texts), _MANY), int(_SHARE_OF_MANY * texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage as it stands in one of the texts, and in how many rows it was left out."""

    text: str
    words: int
    rows: int


class Passages:
    """What some texts have in common, ready to be left out of these and of others."""

    def __init__(self, run_C: Hashes, texts_C: Integers) -> None:
        """`run_C` are the sorted common runs, 44 bits of the hash of each; `texts_C` says how many texts have it."""
        self._lookup, self._run_C, self._texts_C = Lookup(run_C), run_C, texts_C
        self.runs = len(run_C)

    def own(self, texts: Sequence[str]) -> list[str]:
        """Each of some texts without its passages."""
        return own_words(texts, self)[:] if self.runs else list(texts)

    def joined(self, other: "Passages") -> "Passages":
        """These and those of other texts."""
        run_C, place = np.unique(np.concatenate([self._run_C, other._run_C]), return_inverse=True)
        texts_C = np.zeros(len(run_C), dtype=np.int64)
        np.maximum.at(texts_C, place, np.concatenate([self._texts_C, other._texts_C]))
        return Passages(run_C, texts_C)

    def stretches(self, table: WordTable) -> tuple[Integers, Integers, Integers]:
        """The row, the first word in it and the one behind the last of every passage that is left out, in order."""
        texts_W = np.zeros(len(table.word_W), dtype=np.int64)
        place, run = _runs_at(table)
        at, which = self._lookup.find(run)
        texts_W[place[at]] = self._texts_C[which]
        first_S, end_S = _stretches(texts_W > 0)
        first_P, end_P = _long(*_stretches(texts_W > 0, _ends(texts_W, first_S, end_S)))
        # Of a stretch with a passage the rest is own words: it is common because something common begins so.
        has_passage_S = np.diff(np.searchsorted(first_P, np.append(first_S, len(texts_W)))) > 0
        is_own_W = ~_inside(first_S[~has_passage_S], end_S[~has_passage_S], len(texts_W))
        is_own_W &= ~_inside(first_P, end_P, len(texts_W))
        own_R = np.diff(np.concatenate([[0], np.cumsum(is_own_W)])[table.start_R])
        row_P = np.searchsorted(table.start_R, first_P, side="right") - 1
        kept = own_R[row_P] >= _OWN
        start_P = table.start_R[row_P[kept]]
        return row_P[kept], first_P[kept] - start_P, end_P[kept] - start_P


def learn(texts: Sequence[str], where: Where = HERE) -> Passages:
    """The passages of some texts, each of which must stand there once: copies do not make a passage.

    Runs are counted in slots first, more than there are at times, and by themselves where long stretches may be common.
    """
    most = most_texts(len(texts))
    counts, _ = slot_counts(part["slot"] for part in where.texts(texts).map(_slots))
    if counts.max(initial=0) <= most:
        return Passages(np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64))
    run, uses = _added_up(part["run"] for part in where.texts(texts).map(_maybe_common, where.put(counts > most)))
    return Passages(run[uses > most], uses[uses > most])


def _slots(texts: Sequence[str]) -> Iterator[Arrays]:
    """A step: the slots of all runs of some texts."""
    for table in word_tables(texts):
        yield {"slot": finest_slots(_runs_at(table)[1])}


def _maybe_common(is_full_S: Flags, texts: Sequence[str]) -> Iterator[Arrays]:
    """A step: the runs in long stretches of which every run is in a full slot, each once for each text."""
    for table in word_tables(texts):
        place, run = _runs_at(table)
        is_common_W = np.zeros(len(table.word_W), dtype=np.bool_)
        is_common_W[place] = is_full_S[slots(run, is_full_S)]
        first_S, end_S = _long(*_stretches(is_common_W))
        kept = np.flatnonzero(_inside(first_S, end_S - _RUN + 1, len(is_common_W))[place])
        row_W = np.repeat(np.arange(table.rows, dtype=np.uint64), table.count_R)
        yield {"run": np.unique(row_W[place[kept]] << MEMBER_BITS | run[kept]) & MEMBER}


def _added_up(parts: Iterable[Hashes]) -> tuple[Hashes, Integers]:
    """Every run, sorted, and how often it is there; memory holds the different ones."""
    run, uses = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    pending: list[Hashes] = []
    for part in parts:
        pending.append(part)
        if sum(map(len, pending)) > _PENDING + len(run):
            run, uses = _added(run, uses, pending)
            pending = []
    return _added(run, uses, pending)


def _added(run: Hashes, uses: Integers, more: Sequence[Hashes]) -> tuple[Hashes, Integers]:
    every = np.concatenate([run, *more])
    weight = np.concatenate([uses, np.ones(len(every) - len(run), dtype=np.int64)])
    distinct, place = np.unique(every, return_inverse=True)
    return distinct, np.bincount(place, weights=weight, minlength=len(distinct)).astype(np.int64)


def _runs_at(table: WordTable) -> tuple[Integers, Hashes]:
    """Where each run of three words begins, and 44 bits of its hash; rows of fewer words have none."""
    row, run = run_hashes(table, _RUN)
    whole = np.flatnonzero(table.count_R[row] >= _RUN)
    row_W = np.repeat(np.arange(table.rows), table.count_R)
    place = np.flatnonzero(row_W[: max(0, len(row_W) - _RUN + 1)] == row_W[_RUN - 1 :])
    return place, run[whole] & MEMBER


def _stretches(is_common_W: Flags, ends_W: Flags | None = None) -> tuple[Integers, Integers]:
    """First word and end of every stretch; `is_common_W` marks words with which a common run begins, `ends_W` cuts.

    With the last two words of a row no run begins, so no stretch reaches into the next row.
    """
    before_W = np.concatenate([[False], is_common_W[:-1]])
    after_W = np.concatenate([is_common_W[1:], [False]])
    if ends_W is not None:  # a stretch ends before such a word
        before_W = before_W & ~ends_W
        after_W = after_W & ~np.concatenate([ends_W[1:], [False]])
    return np.flatnonzero(is_common_W & ~before_W), np.flatnonzero(is_common_W & ~after_W) + _RUN


def _long(first_S: Integers, end_S: Integers) -> tuple[Integers, Integers]:
    kept = end_S - first_S >= _PASSAGE
    return first_S[kept], end_S[kept]


def _ends(texts_W: Integers, first_S: Integers, end_S: Integers) -> Flags:
    """The words within stretches at which less than half of the texts that had the words so far go on, or came from.

    A run that more texts have than its neighbours, as something common may stand inside a passage, ends nothing.
    """
    stretch_W = np.repeat(np.arange(len(first_S)), end_S - _RUN + 1 - first_S)
    texts = texts_W[texts_W > 0]
    apart = stretch_W * (int(texts.max(initial=0)) + 1)  # no minimum reaches into another stretch
    fewest_before = np.minimum.accumulate(texts - apart) + apart
    fewest_behind = np.minimum.accumulate((texts + apart)[::-1])[::-1] - apart
    is_cut = np.zeros(len(texts), dtype=np.bool_)
    is_cut[1:] = 2 * fewest_before[1:] < fewest_before[:-1]
    is_cut[1:] |= 2 * fewest_behind[:-1] < fewest_behind[1:]
    ends_W = np.zeros(len(texts_W), dtype=np.bool_)
    ends_W[np.flatnonzero(texts_W > 0)[is_cut]] = True
    return ends_W


def _inside(first_S: Integers, end_S: Integers, words: int) -> Flags:
    """The words of all stretches, which may overlap."""
    depth = np.zeros(words + 1, dtype=np.int64)
    np.add.at(depth, first_S, 1)
    np.add.at(depth, end_S, -1)
    return np.asarray(np.cumsum(depth[:-1]) > 0)


class OwnWords(Sequence[str]):
    """Texts without their passages, made when they are looked at; a text without any is itself.

    A line end stands where something is left out.
    """

    def __init__(self, texts: Sequence[str], span_S: Integers, rows: Sequence[int] | None = None) -> None:
        """`span_S` holds a row, and where in its spelt text a passage begins and ends; `rows` are those wanted."""
        self._texts = texts
        self._span_S = span_S
        self._rows = range(len(texts)) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self._own(row) for row in self._rows[place]]
        return self._own(self._rows[place])

    def at(self, rows: Sequence[int]) -> "OwnWords":
        """Those of these rows, in this order."""
        return OwnWords(self._texts, self._span_S, [self._rows[row] for row in rows])

    def passages(self, count: int) -> list[Passage]:
        """The passages that were left out of most rows, and of how many."""
        rows: Counter[str] = Counter()
        for row, begin, end in self._span_S.tolist():
            rows[" ".join(spelt(self._texts[row])[begin:end].split())] += 1
        common = sorted(rows.items(), key=lambda pair: (-pair[1], pair[0]))[:count]
        return [Passage(text=text, words=len(word_spans(text)), rows=uses) for text, uses in common]

    @property
    def cut(self) -> int:
        """How many rows lack a passage of theirs."""
        return len(np.unique(self._span_S[:, 0]))

    def _own(self, row: int) -> str:
        text = self._texts[row]
        first, after = np.searchsorted(self._span_S[:, 0], [row, row + 1])
        if first == after:
            return text
        text, end, kept = spelt(text), 0, []
        for _, begin, next_end in self._span_S[first:after].tolist():
            kept.append(text[end:begin])
            end = next_end
        return "\n".join([*kept, text[end:]])


def own_words(texts: Sequence[str], passages: Passages, where: Where = HERE) -> OwnWords:
    """The texts without these passages."""
    if not passages.runs:
        return OwnWords(texts, _NO_SPANS)
    parts, first = [_NO_SPANS], 0
    for part in where.texts(texts).map(_spans, where.put(passages)):
        parts.append(part["span"].reshape(-1, 3) + np.array([first, 0, 0]))
        first += int(part["rows"][0])
    return OwnWords(texts, np.concatenate(parts))


def _spans(passages: Passages, texts: Sequence[str]) -> Iterator[Arrays]:
    """A step: of some texts the row, the begin and the end of each passage, one after the other."""
    done = 0
    for table in word_tables(texts):
        spans: list[tuple[int, int, int]] = []
        places: list[tuple[int, int]] = []
        last = -1
        for row, first, end in zip(*(column.tolist() for column in passages.stretches(table)), strict=True):
            if row != last:
                places, last = word_spans(spelt(texts[done + row])), row
            spans.append((row, places[first][0], places[end - 1][1]))
        done += table.rows
        yield {"span": np.array(spans, dtype=np.int64).reshape(-1), "rows": np.array([table.rows])}
