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
into another.

What very many questions, or very many rows, share (an instruction, examples) is no part of a question but for the first
rule: it is asked by its own words (`whet.data.texts.passages`), with its system turn where very many ask the same.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from whet.core.records import Record, prompt_in
from whet.data.alike.views.found import RUN, SIMILAR
from whet.data.alike.views.template import masked_runs
from whet.data.contamination.row_runs import (
    Texts,
    batches,
    common_names,
    eight_words,
    fingerprints,
    places_of,
    six_in_a_row,
    thirteen_words,
)
from whet.data.pairs.overlap import HeldOut, Ids, Overlap, distinct_values
from whet.data.pairs.rephrased import Questions
from whet.data.pairs.rephrasing import Matches
from whet.data.texts.canonical import canonical
from whet.data.texts.passages import Passages, learn
from whet.data.texts.row_texts import asking
from whet.data.texts.runs import MEMBER, RunSets, run_hashes, sets_of, shared_counts
from whet.data.texts.words import Hashes, is_member, word_tables

__all__ = ["KINDS", "Benchmark", "Hit", "Kind", "Resembles"]

Kind = Literal["exact", "near", "template", "8-gram", "3-gram", "paraphrase", "13-gram"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_HALF, _MOST = 0.5, 0.6
_FEWEST_WORDS = 8
# Texts of each side from which is learnt which passages very many share.
_LEARNT = 5000
# R row, U text of a row, H question of a benchmark, F run of 3 words
Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
# For each rule what is resembled most, and by how much.
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
class Resembles:
    """Row `row[i]` resembles question `question[i]` by `score[i]`, as one rule has it."""

    row: Integers
    question: Integers
    score: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the rules that count found in some rows, and the runs of 13 words that may be known, with their rows."""

    rules: Mapping[Kind, Resembles]
    row_of_13: Integers
    run_of_13: Hashes


class Benchmark:
    """The questions of benchmarks, ready to be looked up by every rule."""

    def __init__(self, questions: Sequence[Record], sample: Sequence[str], *, paraphrase: str = "words") -> None:
        """`sample` are prompts of the training rows: which names, runs and words are common is learnt from them."""
        self.questions = [prompt_in(record) for record in questions]
        asked = asking(questions)
        self._by_system = asked.with_system > 0
        self._exact: dict[str, list[int]] = {}
        for number, text in enumerate(asked):
            self._exact.setdefault(canonical(text), []).append(number)
        self._passages = _learnt(asked).joined(_learnt(sample))
        texts, sample = self._passages.own(asked), self._passages.own(sample)
        tables, seen = list(word_tables(texts)), list(word_tables(sample))
        self._prints = np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *map(fingerprints, tables)]))
        self._names = common_names([*tables, *seen])
        seen = seen[: (len(seen) + 1) // 2]  # of these the runs are counted
        words_H = np.concatenate([np.zeros(0, dtype=np.int64), *(table.count_R for table in tables)])
        self._is_long_H = words_H >= _FEWEST_WORDS
        three = [(*run_hashes(table, RUN), table.rows) for table in tables]
        common = [run_hashes(table, RUN) for table in seen]
        self._three = HeldOut(sets_of(three), least=_MOST, by_jaccard=False, sample=(run for _, run in common))
        self._template = HeldOut(
            sets_of(masked_runs(tables, self._names)),
            least=SIMILAR,
            by_jaccard=True,
            sample=(run for _, run, _ in masked_runs(seen, self._names)),
        )
        eight = [(row[at], eight_words(run, at), rows) for row, run, rows in three for at in [places_of(row, 8)]]
        used = (eight_words(run, places_of(row, 8)) for row, run in common)
        self._eight = HeldOut(sets_of(eight), least=_HALF, by_jaccard=False, sample=used)
        thirteen = [(row[at], thirteen_words(run, at), rows) for row, run, rows in three for at in [places_of(row, 13)]]
        self._thirteen = _AnyRun(sets_of(thirteen))
        self._rephrased = _rephrased(texts, sample, paraphrase)

    def hits(self, records: Sequence[Record]) -> Iterator[tuple[int, Hit]]:
        """The place among `records`, and the hit, of every record that is in a benchmark."""
        first = 0
        for texts in batches(records, self._passages, by_system=self._by_system):
            best: dict[int, Best] = defaultdict(dict)
            seen = self._seen(texts)
            for kind, found in seen.rules.items():
                _keep_best(best, kind, found)
            is_open = np.ones(texts.rows, dtype=np.bool_)
            is_open[list(best)] = False
            _keep_best(best, "paraphrase", self._reworded(texts, is_open))
            self._thirteen.find(best, seen.row_of_13, seen.run_of_13, texts.rows)
            for place in sorted(best):
                yield first + place, self._hit(records[first + place], best[place])
            first += texts.rows

    def resembling(self, records: Sequence[Record]) -> Iterator[tuple[Kind, Resembles]]:
        """Every pair of a record and a question by every rule that counts; `row` is the place among `records`."""
        first = 0
        for texts in batches(records, self._passages, by_system=self._by_system):
            everywhere = np.ones(texts.rows, dtype=np.bool_)
            for kind, found in (*self._seen(texts).rules.items(), ("paraphrase", self._reworded(texts, everywhere))):
                yield kind, Resembles(row=found.row + first, question=found.question, score=found.score)
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

    def _seen(self, texts: Texts) -> _Seen:
        text_F, run_F = run_hashes(texts.table, RUN)
        number_F = self._three.numbers(run_F)
        common = self._three.pairs(texts.row_U[text_F], run_F, number_F, texts.rows)
        at = six_in_a_row(number_F >= 0, text_F)
        eight = eight_words(run_F, at)
        number_8 = self._eight.numbers(eight)
        half = self._eight.pairs(texts.row_U[text_F[at]], eight, number_8, texts.rows)
        is_known_F = np.zeros(len(run_F), dtype=np.bool_)
        is_known_F[at[number_8 >= 0]] = True
        at = six_in_a_row(is_known_F, text_F)
        rules: dict[Kind, Resembles] = {
            "exact": self._same(texts),
            "near": self._near(texts, text_F, run_F, common),
            "template": self._alike_by_template(texts),
            "8-gram": _by_cover(half.where(half.cover > _HALF)),
            "3-gram": _by_cover(common.where(self._is_long_H[common.held_out])),
        }
        return _Seen(rules=rules, row_of_13=texts.row_U[text_F[at]], run_of_13=thirteen_words(run_F, at))

    def _same(self, texts: Texts) -> Resembles:
        """Equal but for appearance; who has not the letters and digits of a question is not put into canonical form."""
        prints_U = fingerprints(texts.question_table())
        pairs = [
            (int(texts.row_U[text]), question)
            for text in np.flatnonzero(is_member(prints_U, self._prints)).tolist()
            for question in self._exact.get(canonical(texts.whole[text]), ())
        ]
        row, question = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return Resembles(row=row, question=question, score=np.ones(len(pairs)))

    def _near(self, texts: Texts, text_F: Integers, run_F: Hashes, common: Overlap) -> Resembles:
        """Who is near a question holds 60 % of its runs, so `common` has all pairs that may be near."""
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
        return Resembles(row=texts.row_U[text[is_near]], question=question[is_near], score=similarity[is_near])

    def _alike_by_template(self, texts: Texts) -> Resembles:
        ((text, run, count),) = masked_runs([texts.question_table()], self._names)
        found = self._template.pairs(text, run, self._template.numbers(run), count)
        return Resembles(row=texts.row_U[found.row], question=found.held_out, score=found.jaccard)

    def _reworded(self, texts: Texts, is_open_R: npt.NDArray[np.bool_]) -> Resembles:
        """Of the rows that are open to it."""
        none = np.zeros(0, dtype=np.int64)
        if self._rephrased is None:
            return Resembles(row=none, question=none, score=np.zeros(0))
        is_long = texts.table.count_R[: texts.questions] >= _FEWEST_WORDS
        asking = np.flatnonzero(is_open_R[texts.row_U[: texts.questions]] & is_long)
        found = self._rephrased.matches([texts.texts[text] for text in asking.tolist()])
        kept = self._is_long_H[found.question]
        row = texts.row_U[asking[found.row[kept]]]
        return Resembles(row=row, question=found.question[kept], score=found.score[kept])


def _by_cover(pairs: Overlap) -> Resembles:
    return Resembles(row=pairs.row, question=pairs.held_out, score=pairs.cover)


def _keep_best(best: dict[int, Best], kind: Kind, found: Resembles) -> None:
    """The highest score of each row, of equal ones the first question."""
    order = np.lexsort((found.question, -found.score, found.row))
    order = order[np.append(True, np.diff(found.row[order]) > 0)] if len(order) else order
    columns = (found.row[order].tolist(), found.score[order].tolist(), found.question[order].tolist())
    for row, score, question in zip(*columns, strict=True):
        best[row][kind] = (score, question)


class _AnyRun:
    """Runs of the questions, each with the first question that has it: any of them in a row is told."""

    def __init__(self, sets: RunSets) -> None:
        self._sets = sets
        distinct = distinct_values(sets.member_M)
        self._ids = Ids(distinct, np.arange(len(distinct)))
        self._first_I = np.full(len(distinct), sets.rows)
        np.minimum.at(self._first_I, self._ids.find(sets.member_M), np.repeat(np.arange(sets.rows), sets.size_N))

    def find(self, best: dict[int, Best], row: Integers, run: Hashes, rows: int) -> None:
        """A row's first question with a run of it; how much of that is there is counted if no other rule hit."""
        number = self._ids.find(run & MEMBER)
        known = np.flatnonzero(number >= 0)
        row, run = row[known], run[known]
        first_R = np.full(rows, self._sets.rows)
        np.minimum.at(first_R, row, self._first_I[number[known]])
        is_alone = first_R < self._sets.rows
        for place in [place for place in np.flatnonzero(is_alone).tolist() if place in best]:
            best[place]["13-gram"] = (0.0, int(first_R[place]))
            is_alone[place] = False
        alone, kept = np.flatnonzero(is_alone), np.flatnonzero(is_alone[row])
        sets = sets_of([(row[kept], run[kept], rows)])
        shared = shared_counts(sets, alone, first_R[alone], self._sets)
        score = shared / self._sets.size_N[first_R[alone]]
        _keep_best(best, "13-gram", Resembles(row=alone, question=first_R[alone], score=score))


def _learnt(texts: Sequence[str]) -> Passages:
    return learn(list(dict.fromkeys(texts[:_LEARNT])))


class _Questions(Protocol):
    def matches(self, texts: Sequence[str]) -> Matches: ...


def _rephrased(texts: Sequence[str], sample: Sequence[str], paraphrase: str) -> _Questions | None:
    """What finds the questions in other words; `paraphrase` is the setting `data.paraphrase`."""
    if paraphrase == "off":
        return None
    if paraphrase == "words":
        return Questions(texts, sample)
    from whet.data.pairs.embed import EncodedQuestions

    return EncodedQuestions(texts, sample, paraphrase)
