"""The texts of training rows, some rows at a time, and their runs of 3, 8 and 13 words from one table.

A run of 8 words is known by the runs of 3 that stand 0, 3 and 5 words behind its start, a run of 13 by two runs of 8;
and it can only be among known ones where all its shorter ones are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress

import numpy as np
import numpy.typing as npt

from whet.core.records import Record, completions_in, prompt_in
from whet.data.alike.views.found import RUN
from whet.data.texts.canonical import LOWER_SHARE, NOT_NAMES
from whet.data.texts.passages import Passages
from whet.data.texts.row_texts import asked
from whet.data.texts.words import Hashes, WordTable, is_member, mixed, word_hashes, word_table

__all__ = [
    "Texts",
    "batches",
    "common_names",
    "eight_words",
    "fingerprints",
    "places_of",
    "six_in_a_row",
    "thirteen_words",
]

# R row, U text of a row, F run of 3 words
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# Characters, or rows, that are looked at together: many enough that numpy's calls cost little, few enough for memory.
_CHARACTERS, _ROWS = 1 << 20, 4096
_STEP = np.uint64(0x9FB21C651E98DF25)
_NO_HASHES = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts of some rows: first the questions, then what else stands in them. Text u is of row `row_U[u]`.

    A row's questions are its prompt and, in a chat of several turns, each user turn, all by their own words. Where
    these lack a passage that very many share, the whole question is among what else stands in the row; `whole` are the
    questions as they stand.
    """

    table: WordTable
    texts: Sequence[str]
    whole: Sequence[str]
    row_U: Integers
    questions: int
    rows: int

    def question_table(self) -> WordTable:
        table, count = self.table, self.questions
        words = int(table.start_R[count])
        return WordTable(
            word_W=table.word_W[:words],
            is_capital_W=table.is_capital_W[:words],
            is_digits_W=table.is_digits_W[:words],
            start_R=table.start_R[: count + 1],
        )


def batches(records: Sequence[Record], passages: Passages, *, by_system: bool = False) -> Iterator[Texts]:
    """The texts of some rows at a time, in order; `by_system`: a prompt is asked by its system turns too."""
    batch = _Batch(by_system=by_system)
    for record in records:
        batch.add(record)
        if batch.characters >= _CHARACTERS or batch.rows == _ROWS:
            yield batch.texts(passages)
            batch = _Batch(by_system=by_system)
    if batch.rows:
        yield batch.texts(passages)


class _Batch:
    def __init__(self, *, by_system: bool) -> None:
        self.rows, self.characters, self._by_system = 0, 0, by_system
        self._questions: list[str] = []
        self._others: list[str] = []
        self._asks: list[int] = []
        self._holds: list[int] = []

    def add(self, record: Record) -> None:
        question = asked(record, with_system=self._by_system)
        self._question(question)
        turns = prompt_in(record).messages
        if len(turns) > 1:
            users = dict.fromkeys(turn.content for turn in turns if turn.role == "user")
            for text in users:
                if text != question:
                    self._question(text)
            self._other(turn.content for turn in turns if turn.role == "system")
        self._other(completions_in(record))
        self.rows += 1

    def _question(self, text: str) -> None:
        self._questions.append(text)
        self._asks.append(self.rows)
        self.characters += len(text)

    def _other(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._others.append(text)
            self._holds.append(self.rows)
            self.characters += len(text)

    def texts(self, passages: Passages) -> Texts:
        own = passages.own(self._questions)
        is_cut = [one is not whole for one, whole in zip(own, self._questions, strict=True)]
        texts = own + self._others + list(compress(self._questions, is_cut))
        return Texts(
            table=word_table(texts),
            texts=texts,
            whole=self._questions,
            row_U=np.array(self._asks + self._holds + list(compress(self._asks, is_cut)), dtype=np.int64),
            questions=len(self._questions),
            rows=self.rows,
        )


def places_of(text_F: Integers, size: int) -> Integers:
    """Where a run of `size` words begins that does not reach beyond its text; `text_F` as `run_hashes` gives it."""
    more = size - RUN
    return np.flatnonzero(text_F[: max(0, len(text_F) - more)] == text_F[more:])


def six_in_a_row(is_known_F: Flags, text_F: Integers) -> Integers:
    """Where six runs of one text, one word after the other, are known: 3 words make 8, and 8 words make 13."""
    if len(is_known_F) < 6:
        return np.zeros(0, dtype=np.int64)
    two = is_known_F[:-1] & is_known_F[1:]
    four = two[:-2] & two[2:]
    return np.flatnonzero(four[:-2] & two[4:] & (text_F[:-5] == text_F[5:]))


def eight_words(run_F: Hashes, at: Integers) -> Hashes:
    """The hash of the 8 words from each place on."""
    return mixed((run_F[at] * _STEP + run_F[at + 3]) * _STEP + run_F[at + 5])


def thirteen_words(run_F: Hashes, at: Integers) -> Hashes:
    """The hash of the 13 words from each place on."""
    return mixed(eight_words(run_F, at) * _STEP + eight_words(run_F, at + 5))


def common_names(tables: Sequence[WordTable]) -> Hashes:
    """The words that `whet.data.texts.words.names_of` takes for names, days and months left out, as sorted hashes."""
    capitals = [table.word_W[table.is_capital_W] for table in tables]
    word, upper = np.unique(np.concatenate([_NO_HASHES, *capitals]), return_counts=True)
    uses = np.zeros(len(word), dtype=np.int64)
    for table in tables:
        lower = table.word_W[~table.is_capital_W & ~table.is_digits_W]
        lower = lower[is_member(lower, word)]
        uses += np.bincount(np.searchsorted(word, lower), minlength=len(word))
    names = word[uses / np.maximum(1, uses + upper) <= LOWER_SHARE]
    return np.asarray(names[~is_member(names, np.sort(word_hashes(sorted(NOT_NAMES))))])


def fingerprints(table: WordTable) -> Hashes:
    """The sum of the hashes of a text's words, signs left out: the same for all texts of one canonical form."""
    plain = np.where(is_member(table.word_W, _signs()), np.uint64(0), table.word_W)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(plain)])
    return np.asarray(sums[table.start_R[1:]] - sums[table.start_R[:-1]])


@cache
def _signs() -> Hashes:
    # A minus and a slash are signs beside a number alone.
    return np.sort(word_table([*"+*=<>^%", "1-", "1/"]).word_W[[*range(7), 8, 10]])
