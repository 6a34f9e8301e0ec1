"""Which training rows are also in a benchmark, and in which of its rows. Exact: no sampling, no pair missed.

The benchmarks are held in memory as indices, the training rows are streamed. The rules, strongest first:

- exact: the same question but for appearance, also as one turn of a chat
- near: runs of 3 words of both questions have a Jaccard similarity of at least 0.7
- template: the same of their masked words: other names and numbers
- 8-gram: more than half of the question's runs of 8 words stand in the row (Lambert et al. 2024, section 3.2)
- 3-gram: at least 60 % of its runs of 3 words do; questions of at least 8 words
- paraphrase: the same in other words, by rare words and numbers, or by the encoder that `data.paraphrase` names
- 13-gram: any run of 13 words stands in the row (Brown et al. 2020, appendix C); on templated text this flags very
  much, so it is reported, and never a reason to drop a row

The n-gram rules look at all text of a row, so a question inside a long text or a chat is found too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import TRAINING_PURPOSES, Comparison, Conversation, Ranking, Record, Rejected, prompt_in
from whet.data.duplicates import RUN, SIMILAR, masked_runs
from whet.data.manifest import read_rows
from whet.data.overlap import HeldOut
from whet.data.row_texts import asked
from whet.data.runs import MEMBER, Lookup, run_hashes, sets_of, shared_counts
from whet.data.sources import read_sources, stream_file
from whet.data.text import canonical
from whet.data.words import Hashes, WordTable, name_hashes, names_of, word_tables

__all__ = ["KINDS", "Benchmark", "Hit", "Kind", "contamination", "read_benchmarks"]

Kind = Literal["exact", "near", "template", "8-gram", "3-gram", "paraphrase", "13-gram"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Training rows that are looked at together, and those from which is learnt what is common.
_CHUNK = 8192
_SAMPLE = 20_000
_HALF, _MOST = 0.5, 0.6
_FEWEST_RUNS = 6
Integers = npt.NDArray[np.int64]
# The row, the hash of each run, and how many rows there are.
Runs = tuple[Integers, Hashes, int]
# For each rule the benchmark row that a training row resembles most, and by how much.
Best = dict[Kind, tuple[float, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A contaminated training row: `Hit(row=17, kind="template", score=1.0, benchmark="test.jsonl", benchmark_row=3)`.

    `kind` is the strongest rule that found it, `also` the others; `score` is the rule's: the similarity, or the share
    of the benchmark row's runs that were found. Rows are 0-based in their files.
    """

    source: str
    row: int
    kind: Kind
    score: float
    benchmark: str
    benchmark_row: int
    also: tuple[Kind, ...] = ()

    @property
    def is_gated(self) -> bool:
        """Whether the row should not be trained on; a run of 13 words alone proves nothing."""
        return self.kind != "13-gram"


def contamination(train: Path, against: Path | Sequence[Path], *, settings: DataSettings | None = None) -> list[Hit]:
    """The contaminated rows of a training file, or of a prepared folder's training purposes, in their order.

    `against` are benchmark files or folders. Rows that cannot be read are not compared.
    """
    settings = settings or DataSettings()
    paths = [against] if isinstance(against, Path) else list(against)
    for path in (train, *paths):
        if not path.exists():
            raise DataError(f"{path}: no such file")
    questions = read_benchmarks([str(path) for path in paths], settings)
    sample = [asked(record) for record in islice(_training_rows(train, settings), _SAMPLE)]
    benchmark = Benchmark(questions, sample, paraphrase=settings.paraphrase)
    rows = _training_rows(train, settings)
    hits: list[Hit] = []
    while chunk := list(islice(rows, _CHUNK)):
        hits += (hit for _, hit in benchmark.hits(chunk))
    return hits


def read_benchmarks(names: Sequence[str], settings: DataSettings) -> list[Record]:
    """Every question of benchmark files, folders or hub ids."""
    plain = settings.model_copy(update={"columns": {}, "limit": None})
    return [record for name in names for source in read_sources(name, plain, seed=0) for record in source.records]


def _training_rows(train: Path, settings: DataSettings) -> Iterator[Record]:
    if (train / "manifest.json").is_file():
        for purpose in sorted(TRAINING_PURPOSES):
            yield from (row.record for row in read_rows(train, purpose))
    elif train.is_dir():
        yield from read_benchmarks([str(train)], settings)
    else:
        yield from (row for row in stream_file(train, settings) if not isinstance(row, Rejected))


def _everything(record: Record) -> str:
    prompt = prompt_in(record)
    texts = [turn.content for turn in prompt.messages]
    match record:
        case Conversation():
            texts.append(record.completion)
        case Comparison():
            texts += [record.chosen, record.rejected]
        case Ranking():
            texts += record.completions
        case _:
            pass
    return "\n".join(texts)


class Benchmark:
    """The questions of benchmarks, ready to be looked up by every rule."""

    def __init__(self, questions: Sequence[Record], sample: Sequence[str], *, paraphrase: str = "words") -> None:
        """`sample` are prompts of the training rows: which names, runs and words are common is learnt from them."""
        self._origin = [prompt_in(record).origin for record in questions]
        self._texts = [asked(record) for record in questions]
        self._sample = list(sample)
        self._paraphrase = paraphrase
        self._exact: dict[str, int] = {}
        for number, text in enumerate(self._texts):
            self._exact.setdefault(canonical(text), number)
        self._names = name_hashes(list(names_of([*self._texts, *sample])))
        self._near = self._held_out(lambda tables: _runs(tables, RUN), SIMILAR)
        self._template = self._held_out(self._masked, SIMILAR)
        self._eight = self._held_out(lambda tables: _runs(tables, 8), _HALF)
        self._three = self._held_out(_long_enough, _MOST)
        self._thirteen = _AnyRun(self._texts, 13)

    def _masked(self, tables: Iterable[WordTable]) -> Iterator[Runs]:
        return masked_runs(tables, self._names)

    def _held_out(self, runs_of: Callable[[Iterable[WordTable]], Iterable[Runs]], cover: float) -> HeldOut:
        common = [run for _, run, _ in runs_of(word_tables(self._sample[: _SAMPLE // 2]))]
        sample = np.concatenate([np.zeros(0, dtype=np.uint64), *common]) & MEMBER
        return HeldOut(sets_of(runs_of(word_tables(self._texts))), cover=cover, sample=sample)

    def hits(self, records: Sequence[Record]) -> Iterator[tuple[int, Hit]]:
        """The place among `records`, and the hit, of every record that is in a benchmark."""
        best: list[Best] = [{} for _ in records]
        questions = [asked(record) for record in records]
        texts = [_everything(record) for record in records]
        for place, record in enumerate(records):
            turns = (turn.content for turn in prompt_in(record).messages if turn.role == "user")
            for text in dict.fromkeys((questions[place], *turns)):
                same = self._exact.get(canonical(text))
                if same is not None:
                    best[place].setdefault("exact", (1.0, same))
        asked_tables = list(word_tables(questions))
        tables = asked_tables if texts == questions else list(word_tables(texts))
        _similar(best, "near", self._near, _runs(asked_tables, RUN))
        _similar(best, "template", self._template, self._masked(asked_tables))
        _covered(best, "8-gram", self._eight, _runs(tables, 8), above=_HALF)
        _covered(best, "3-gram", self._three, _runs(tables, RUN), above=_MOST - 1e-9)
        self._thirteen.find(best, _runs(tables, 13))
        for place, kinds in enumerate(best):
            named = [kind for kind in KINDS if kind in kinds]
            if named:
                score, number = kinds[named[0]]
                origin, asked_in = prompt_in(records[place]).origin, self._origin[number]
                hit = Hit(
                    source=origin.source,
                    row=origin.row,
                    kind=named[0],
                    score=score,
                    benchmark=asked_in.source,
                    benchmark_row=asked_in.row,
                    also=tuple(named[1:]),
                )
                yield place, hit


def _runs(tables: Iterable[WordTable], size: int) -> Iterator[Runs]:
    for table in tables:
        yield (*run_hashes(table, size), table.rows)


def _long_enough(tables: Iterable[WordTable]) -> Iterator[Runs]:
    """Runs of the questions that have enough of them: a short one is found by chance in any long text."""
    for row, run, rows in _runs(tables, RUN):
        kept = np.bincount(row, minlength=rows)[row] >= _FEWEST_RUNS
        yield row[kept], run[kept], rows


def _similar(best: list[Best], kind: Kind, held_out: HeldOut, runs: Iterable[Runs]) -> None:
    first = 0
    for row, run, rows in runs:
        found = held_out.overlaps(row, run, rows)
        found = found.where(found.jaccard >= SIMILAR - 1e-12)
        _keep_best(best, kind, found.row + first, found.jaccard, found.held_out)
        first += rows


def _covered(best: list[Best], kind: Kind, held_out: HeldOut, runs: Iterable[Runs], *, above: float) -> None:
    first = 0
    for row, run, rows in runs:
        found = held_out.overlaps(row, run, rows)
        found = found.where(found.cover > above)
        _keep_best(best, kind, found.row + first, found.cover, found.held_out)
        first += rows


def _keep_best(
    best: list[Best], kind: Kind, rows: Integers, scores: npt.NDArray[np.float64], numbers: Integers
) -> None:
    """The highest score of each row, of equal ones the first benchmark row."""
    order = np.lexsort((numbers, -scores, rows))
    first = order[np.append(True, np.diff(rows[order]) > 0)] if len(order) else order
    for row, score, number in zip(rows[first].tolist(), scores[first].tolist(), numbers[first].tolist(), strict=True):
        best[row][kind] = (score, number)


class _AnyRun:
    """Runs of the questions, each with the first question that has it: any of them in a row is told."""

    def __init__(self, texts: Sequence[str], size: int) -> None:
        self._sets = sets_of(_full_runs(word_tables(texts), size))
        row_M = np.repeat(np.arange(self._sets.rows), self._sets.size_N)
        order = np.argsort(self._sets.member_M, kind="stable")
        member = self._sets.member_M[order]
        is_first = np.append(True, member[1:] != member[:-1]) if len(member) else np.zeros(0, dtype=np.bool_)
        self._lookup, self._row = Lookup(member[is_first]), row_M[order][is_first]

    def find(self, best: list[Best], runs: Iterable[Runs]) -> None:
        """A row's first run that is known says whose it is; how much of it is there is counted if nothing else hit."""
        first = 0
        for row, run, rows in runs:
            where, place = self._lookup.find(run & MEMBER)
            question_T = np.full(rows, self._sets.rows)
            np.minimum.at(question_T, row[where], self._row[place])
            texts = np.flatnonzero(question_T < self._sets.rows)
            is_told = np.array([bool(best[first + text]) for text in texts.tolist()], dtype=np.bool_)
            for text in texts[is_told].tolist():
                best[first + text]["13-gram"] = (0.0, int(question_T[text]))
            alone = texts[~is_told]
            is_counted = np.zeros(rows, dtype=np.bool_)
            is_counted[alone] = True
            sets = sets_of([(row[is_counted[row]], run[is_counted[row]], rows)])
            shared = shared_counts(sets, alone, question_T[alone], self._sets)
            score = shared / np.maximum(1, self._sets.size_N[question_T[alone]])
            _keep_best(best, "13-gram", alone + first, score, question_T[alone])
            first += rows


def _full_runs(tables: Iterable[WordTable], size: int) -> Iterator[Runs]:
    """Without texts that are shorter than a run."""
    for table in tables:
        row, run = run_hashes(table, size)
        kept = table.count_R[row] >= size
        yield row[kept], run[kept], table.rows
