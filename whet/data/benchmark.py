"""The questions of benchmarks, and every training row that holds one of them, by rule. Exact: no pair is missed.

- exact: the same question but for appearance
- near: runs of 3 words of both questions have a Jaccard similarity of at least 0.7
- template: the same of their masked words: other names and numbers
- 8-gram: more than half of the question's runs of 8 words stand in the row (Lambert et al. 2024, section 3.2)
- 3-gram: at least 60 % of its runs of 3 words do; questions of at least 8 words
- paraphrase: the same in other words, by rare words and numbers, or by the encoder that `data.paraphrase` names;
  looked for where no rule above hit, among questions of at least 8 words
- 13-gram: any run of 13 words stands in the row (Brown et al. 2020, appendix C); on templated text this flags very
  much, so it is reported, and never a reason to drop a row

A row's questions are its prompt and, in a chat of several turns, each user turn. The n-gram rules look at all text of a
row, so a question inside a long text, a system turn or an answer is found too; no run reaches from one text of a row
into another. A longer run can only be known where all its shorter ones are, so one table of runs of 3 words serves four
rules.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from whet.core.records import Comparison, Conversation, Ranking, Record, prompt_in
from whet.data.duplicates import RUN, SIMILAR, masked_runs
from whet.data.overlap import HeldOut, Ids, Overlap
from whet.data.paraphrase import Questions
from whet.data.rephrasing import Matches
from whet.data.row_texts import asked
from whet.data.runs import MEMBER, RunSets, run_hashes, sets_of, shared_counts
from whet.data.text import LOWER_SHARE, NOT_NAMES, canonical
from whet.data.words import Hashes, WordTable, is_member, mixed, word_hashes, word_table, word_tables

__all__ = ["KINDS", "Benchmark", "Hit", "Kind"]

Kind = Literal["exact", "near", "template", "8-gram", "3-gram", "paraphrase", "13-gram"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_HALF, _MOST = 0.5, 0.6
_FEWEST_WORDS = 8
# Characters, or rows, that are looked at together: what is made of them stays in the cache.
_BATCH_CHARACTERS, _BATCH_ROWS = 1 << 17, 4096
_STEP = np.uint64(0x9FB21C651E98DF25)
# R row, U text of a row, H question of a benchmark, F run of 3 words
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# For each rule the question that a row resembles most, and by how much.
Best = dict[Kind, tuple[float, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A contaminated training row: `Hit(row=17, kind="template", score=1.0, benchmark="test.jsonl", benchmark_row=3)`.

    `kind` is the strongest rule that found it, `also` the others; `score` is the rule's: the similarity, or the share
    of the benchmark row's runs that were found. Rows are 0-based in their files. `question` is the benchmark row's
    place among the questions that the benchmark was made of.
    """

    source: str
    row: int
    kind: Kind
    score: float
    benchmark: str
    benchmark_row: int
    question: int = 0
    also: tuple[Kind, ...] = ()

    @property
    def is_gated(self) -> bool:
        """Whether the row should not be trained on; a run of 13 words alone proves nothing."""
        return self.kind != "13-gram"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """The texts of some rows: first the questions, then what else stands in them. Text u is of row `row_U[u]`."""

    table: WordTable
    texts: Sequence[str]
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


class Benchmark:
    """The questions of benchmarks, ready to be looked up by every rule."""

    def __init__(self, questions: Sequence[Record], sample: Sequence[str], *, paraphrase: str = "words") -> None:
        """`sample` are prompts of the training rows: which names, runs and words are common is learnt from them."""
        self.questions = [prompt_in(record) for record in questions]
        texts = [asked(record) for record in questions]
        self._exact: dict[str, int] = {}
        for number, text in enumerate(texts):
            self._exact.setdefault(canonical(text), number)
        tables, seen = list(word_tables(texts)), list(word_tables(sample))
        self._prints = np.unique(np.concatenate([_fingerprints(table) for table in tables] or [_NO_HASHES]))
        self._names = _names([*tables, *seen])
        seen = seen[: (len(seen) + 1) // 2]  # of these the runs are counted
        three = [(*run_hashes(table, RUN), table.rows) for table in tables]
        common = [run_hashes(table, RUN) for table in seen]
        words_H = np.concatenate([np.zeros(0, dtype=np.int64), *(table.count_R for table in tables)])
        self._is_long_H = words_H >= _FEWEST_WORDS
        self._three = HeldOut(sets_of(three), least=_MOST, by_jaccard=False, sample=(run for _, run in common))
        self._template = HeldOut(
            sets_of(masked_runs(tables, self._names)),
            least=SIMILAR,
            by_jaccard=True,
            sample=(run for _, run, _ in masked_runs(seen, self._names)),
        )
        eight = [(row[at], _eight(run, at), rows) for row, run, rows in three for at in [_inside(row, 8)]]
        used = (_eight(run, _inside(row, 8)) for row, run in common)
        self._eight = HeldOut(sets_of(eight), least=_HALF, by_jaccard=False, sample=used)
        thirteen = [(row[at], _thirteen(run, at), rows) for row, run, rows in three for at in [_inside(row, 13)]]
        self._thirteen = _AnyRun(sets_of(thirteen))
        self._rephrased = _rephrased(texts, sample, paraphrase)

    def hits(self, records: Sequence[Record]) -> Iterator[tuple[int, Hit]]:
        """The place among `records`, and the hit, of every record that is in a benchmark."""
        first = 0
        for texts in _batches(records):
            for place, kinds in enumerate(self._best(texts), first):
                if kinds:
                    yield place, self._hit(records[place], kinds)
            first += texts.rows

    def _hit(self, record: Record, kinds: Best) -> Hit:
        named = [kind for kind in KINDS if kind in kinds]
        score, number = kinds[named[0]]
        origin, asked_in = prompt_in(record).origin, self.questions[number].origin
        return Hit(
            source=origin.source,
            row=origin.row,
            kind=named[0],
            score=score,
            benchmark=asked_in.source,
            benchmark_row=asked_in.row,
            question=number,
            also=tuple(named[1:]),
        )

    def _best(self, texts: _Texts) -> list[Best]:
        best: list[Best] = [{} for _ in range(texts.rows)]
        self._same(best, texts)
        text_F, run_F = _runs_of(texts)
        number_F = self._three.numbers(run_F)
        common = self._three.pairs(texts.row_U[text_F], run_F, number_F, texts.rows)
        _keep_best(best, "near", *self._near(texts, text_F, run_F, common))
        self._alike_by_template(best, texts)
        is_known_F = number_F >= 0
        at = np.flatnonzero(_six_in_a_row(is_known_F, text_F))
        eight = _eight(run_F, at)
        number_8 = self._eight.numbers(eight)
        found = self._eight.pairs(texts.row_U[text_F[at]], eight, number_8, texts.rows)
        _keep_pairs(best, "8-gram", found.where(found.cover > _HALF))
        _keep_pairs(best, "3-gram", common.where(self._is_long_H[common.held_out]))
        self._reword(best, texts)
        is_known_F[:] = False
        is_known_F[at[number_8 >= 0]] = True
        at = np.flatnonzero(_six_in_a_row(is_known_F, text_F))
        self._thirteen.find(best, texts.row_U[text_F[at]], _thirteen(run_F, at))
        return best

    def _same(self, best: list[Best], texts: _Texts) -> None:
        """Equal but for appearance; who has not the letters and digits of a question is not put into canonical form."""
        prints_U = _fingerprints(texts.question_table())
        for text in np.flatnonzero(is_member(prints_U, self._prints)).tolist():
            same = self._exact.get(canonical(texts.texts[text]))
            if same is not None:
                best[int(texts.row_U[text])].setdefault("exact", (1.0, same))

    def _near(
        self, texts: _Texts, text_F: Integers, run_F: Hashes, common: Overlap
    ) -> tuple[Integers, npt.NDArray[np.float64], Integers]:
        """Rows, similarities and questions: who is near one holds 60 % of its runs, so `common` has all that may be."""
        question_U = texts.row_U[: texts.questions]
        order = np.argsort(question_U, kind="stable")
        start_R = np.searchsorted(question_U[order], np.arange(texts.rows + 1))
        count = np.diff(start_R)[common.row]
        which = np.repeat(np.arange(len(count)), count)
        offset = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        text = order[start_R[common.row[which]] + offset]
        is_asked = np.zeros(len(texts.texts), dtype=np.bool_)
        is_asked[text] = True
        kept = np.flatnonzero(is_asked[text_F])
        sets = sets_of([(text_F[kept], run_F[kept], len(texts.texts))])
        question = common.held_out[which]
        shared = shared_counts(sets, text, question, self._three.sets)
        similarity = shared / np.maximum(1, sets.size_N[text] + self._three.sets.size_N[question] - shared)
        is_near = similarity >= SIMILAR - 1e-12
        return texts.row_U[text[is_near]], similarity[is_near], question[is_near]

    def _alike_by_template(self, best: list[Best], texts: _Texts) -> None:
        for text, run, count in masked_runs([texts.question_table()], self._names):
            found = self._template.pairs(text, run, self._template.numbers(run), count)
            _keep_best(best, "template", texts.row_U[found.row], found.jaccard, found.held_out)

    def _reword(self, best: list[Best], texts: _Texts) -> None:
        if self._rephrased is None:
            return
        is_open = np.array([not kinds for kinds in best], dtype=np.bool_)[texts.row_U[: texts.questions]]
        asking = np.flatnonzero(is_open & (texts.table.count_R[: texts.questions] >= _FEWEST_WORDS))
        found = self._rephrased.matches([texts.texts[text] for text in asking.tolist()])
        kept = self._is_long_H[found.question]
        rows = texts.row_U[asking[found.row[kept]]]
        _keep_best(best, "paraphrase", rows, found.score[kept], found.question[kept])


_NO_HASHES = np.zeros(0, dtype=np.uint64)


def _batches(records: Sequence[Record]) -> Iterator[_Texts]:
    """The texts of some rows at a time, in order."""
    batch = _Batch()
    for record in records:
        batch.add(record)
        if batch.characters >= _BATCH_CHARACTERS or batch.rows == _BATCH_ROWS:
            yield batch.texts()
            batch = _Batch()
    if batch.rows:
        yield batch.texts()


class _Batch:
    def __init__(self) -> None:
        self.rows, self.characters = 0, 0
        self._questions: list[str] = []
        self._others: list[str] = []
        self._asks: list[int] = []
        self._holds: list[int] = []

    def add(self, record: Record) -> None:
        question = asked(record)
        self._question(question)
        turns = prompt_in(record).messages
        if len(turns) > 1:
            users = dict.fromkeys(turn.content for turn in turns if turn.role == "user")
            for text in users:
                if text != question:
                    self._question(text)
            self._other(turn.content for turn in turns if turn.role == "system")
        match record:
            case Conversation():
                self._other([record.completion])
            case Comparison():
                self._other([record.chosen, record.rejected])
            case Ranking():
                self._other(record.completions)
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

    def texts(self) -> _Texts:
        texts = self._questions + self._others
        return _Texts(
            table=word_table(texts),
            texts=texts,
            row_U=np.array(self._asks + self._holds, dtype=np.int64),
            questions=len(self._questions),
            rows=self.rows,
        )


def _runs_of(texts: _Texts) -> tuple[Integers, Hashes]:
    """The text and the hash of every run of 3 words; a text with fewer words is one run where it is a question."""
    text, run = run_hashes(texts.table, RUN)
    kept = (text < texts.questions) | (texts.table.count_R[text] >= RUN)
    return text[kept], run[kept]


def _inside(text_F: Integers, size: int) -> Integers:
    """Where a run of `size` words begins that does not reach beyond its text."""
    more = size - RUN
    return np.flatnonzero(text_F[: max(0, len(text_F) - more)] == text_F[more:])


def _six_in_a_row(is_known_F: Flags, text_F: Integers) -> Flags:
    """Where six runs of one text, one after the other, are known: 3 words make 8, and 8 words make 13."""
    if len(is_known_F) < 6:
        return np.zeros(0, dtype=np.bool_)
    two = is_known_F[:-1] & is_known_F[1:]
    four = two[:-2] & two[2:]
    return np.asarray(four[:-2] & two[4:] & (text_F[:-5] == text_F[5:]))


def _eight(run_F: Hashes, at: Integers) -> Hashes:
    """The hash of the 8 words from each place on: the runs of 3 that stand 0, 3 and 5 words behind it."""
    return mixed((run_F[at] * _STEP + run_F[at + 3]) * _STEP + run_F[at + 5])


def _thirteen(run_F: Hashes, at: Integers) -> Hashes:
    return mixed(_eight(run_F, at) * _STEP + _eight(run_F, at + 5))


def _names(tables: Sequence[WordTable]) -> Hashes:
    """The words that `whet.data.words.names_of` takes for names, days and months left out, as sorted hashes."""
    capitals = [table.word_W[table.is_capital_W] for table in tables]
    lower = [table.word_W[~table.is_capital_W & ~table.is_digits_W] for table in tables]
    word, upper = np.unique(np.concatenate([_NO_HASHES, *capitals]), return_counts=True)
    every = np.sort(np.concatenate([_NO_HASHES, *lower]))
    uses = np.searchsorted(every, word, side="right") - np.searchsorted(every, word)
    names = word[uses / np.maximum(1, uses + upper) <= LOWER_SHARE]
    return np.asarray(names[~is_member(names, np.sort(word_hashes(sorted(NOT_NAMES))))])


def _fingerprints(table: WordTable) -> Hashes:
    """The sum of the hashes of a text's words, signs left out: the same for all texts of one canonical form."""
    plain = np.where(is_member(table.word_W, _signs()), np.uint64(0), table.word_W)
    sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(plain)])
    return np.asarray(sums[table.start_R[1:]] - sums[table.start_R[:-1]])


@cache
def _signs() -> Hashes:
    # A minus and a slash are signs beside a number alone.
    return np.sort(word_table([*"+*=<>^%", "1-", "1/"]).word_W[[*range(7), 8, 10]])


def _keep_pairs(best: list[Best], kind: Kind, pairs: Overlap) -> None:
    _keep_best(best, kind, pairs.row, pairs.cover, pairs.held_out)


def _keep_best(
    best: list[Best], kind: Kind, rows: Integers, scores: npt.NDArray[np.float64], questions: Integers
) -> None:
    """The highest score of each row, of equal ones the first question."""
    order = np.lexsort((questions, -scores, rows))
    order = order[np.append(True, np.diff(rows[order]) > 0)] if len(order) else order
    for row, score, question in zip(
        rows[order].tolist(), scores[order].tolist(), questions[order].tolist(), strict=True
    ):
        best[row][kind] = (score, question)


class _AnyRun:
    """Runs of the questions, each with the first question that has it: any of them in a row is told."""

    def __init__(self, sets: RunSets) -> None:
        self._sets = sets
        question_M = np.repeat(np.arange(sets.rows), sets.size_N)
        order = np.argsort(sets.member_M, kind="stable")
        member = sets.member_M[order]
        is_first = np.append(True, member[1:] != member[:-1]) if len(member) else np.zeros(0, dtype=np.bool_)
        self._first = Ids(member[is_first], question_M[order][is_first])

    def find(self, best: list[Best], row: Integers, run: Hashes) -> None:
        """A row's first question with a run of it; how much of that is there is counted if no other rule hit."""
        question = self._first.find(run & MEMBER)
        known = np.flatnonzero(question >= 0)
        row, run, question = row[known], run[known], question[known]
        first_R = np.full(len(best), self._sets.rows)
        np.minimum.at(first_R, row, question)
        rows = np.flatnonzero(first_R < self._sets.rows)
        is_alone = np.array([not best[place] for place in rows.tolist()], dtype=np.bool_)
        for place in rows[~is_alone].tolist():
            best[place]["13-gram"] = (0.0, int(first_R[place]))
        alone = rows[is_alone]
        kept = np.flatnonzero(np.isin(row, alone))
        sets = sets_of([(row[kept], run[kept], len(best))])
        shared = shared_counts(sets, alone, first_R[alone], self._sets)
        _keep_best(best, "13-gram", alone, shared / self._sets.size_N[first_R[alone]], first_R[alone])


class _Questions(Protocol):
    def matches(self, texts: Sequence[str]) -> Matches: ...


def _rephrased(texts: Sequence[str], sample: Sequence[str], paraphrase: str) -> _Questions | None:
    """What finds the questions in other words; `paraphrase` is the setting `data.paraphrase`."""
    if paraphrase == "off":
        return None
    if paraphrase == "words":
        return Questions(texts, sample)
    from whet.data.embed import EncodedQuestions

    return EncodedQuestions(texts, sample, paraphrase)
