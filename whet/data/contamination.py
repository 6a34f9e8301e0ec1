"""Which rows of a training file are also in a benchmark, and in which of its rows. Exact: every pair is looked at.

The benchmark is held in memory as an index, the training file is streamed. What is compared is the benchmark's question
with all text of a training row, so a question inside a long text or chat is found too. The rules, strongest first:

- exact: the same question but for appearance (case, spaces, quotes, full-width and invisible characters)
- template: the same question but for names and numbers
- 8-gram: more than half of the question's runs of 8 words stand in the row
- 13-gram: any run of 13 words stands in the row (Brown et al. 2020, appendix C); on templated text this flags very
  much, so it is to be reported, not to be gated on
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import Comparison, Conversation, Ranking, Record, Rejected, prompt_in
from whet.data.duplicates import FEWEST_PLAIN_WORDS, asked, names_of
from whet.data.near import run_hashes
from whet.data.sources import stream_file
from whet.data.text import Masker, canonical, words

__all__ = ["Hit", "Kind", "contamination"]

Kind = Literal["exact", "template", "8-gram", "13-gram"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Training rows that are looked at together, and those from which names are learnt.
_CHUNK = 2000
_ROWS_FOR_NAMES = 20000
# Pairs of rows that are counted at once; more are counted in parts.
_PAIRS = 4_000_000
_COVER = 0.5
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A contaminated training row: `Hit(row=17, kind="template", score=1.0, benchmark_row=3, also=("8-gram",))`.

    `kind` is the strongest rule that found it, `also` the others; `score` is the share of the benchmark row's runs of
    words that were found, 1 for exact and template. Rows are 0-based in their files.
    """

    row: int
    kind: Kind
    score: float
    benchmark_row: int
    also: tuple[Kind, ...] = ()


def contamination(train: Path, against: Path, *, settings: DataSettings | None = None) -> list[Hit]:
    """The contaminated rows of a training file, in their order; rows that cannot be read are not compared."""
    settings = settings or DataSettings()
    for path in (train, against):
        if not path.is_file():
            raise DataError(f"{path}: no such file")
    benchmark = [record for record in stream_file(against, settings) if not isinstance(record, Rejected)]
    sample = [
        record for record in islice(stream_file(train, settings), _ROWS_FOR_NAMES) if not isinstance(record, Rejected)
    ]
    index = _Index(benchmark, Masker(names_of([asked(record) for record in (*benchmark, *sample)])))
    hits: list[Hit] = []
    rows = (record for record in stream_file(train, settings) if not isinstance(record, Rejected))
    while chunk := list(islice(rows, _CHUNK)):
        hits += index.hits(chunk)
    return hits


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


class _Index:
    """The benchmark, ready to be looked up."""

    def __init__(self, benchmark: Sequence[Record], masker: Masker) -> None:
        self.row = [prompt_in(record).origin.row for record in benchmark]
        self.masker = masker
        questions = [asked(record) for record in benchmark]
        self.exact: dict[str, int] = {}
        self.template: dict[str, int] = {}
        for number, question in enumerate(questions):
            self.exact.setdefault(canonical(question), number)
            form = self._form(question)
            if form is not None:
                self.template.setdefault(form, number)
        self.vocabulary: dict[str, int] = {}
        for question in questions:
            for word in words(question):
                self.vocabulary.setdefault(word, len(self.vocabulary) + 1)
        tokens = [self._tokens(question) for question in questions]
        self.grams: dict[Kind, _Grams] = {"8-gram": _Grams(tokens, 8), "13-gram": _Grams(tokens, 13)}

    def _form(self, text: str) -> str | None:
        form, plain = self.masker.form(text)
        return form if plain >= FEWEST_PLAIN_WORDS else None

    def _tokens(self, text: str) -> list[int]:
        """Words as numbers; 0 is every word that the benchmark does not have."""
        get = self.vocabulary.get
        return [get(word, 0) for word in words(text)]

    def hits(self, records: Sequence[Record]) -> Iterator[Hit]:
        found: list[dict[Kind, tuple[float, int]]] = [{} for _ in records]
        for place, record in enumerate(records):
            question = asked(record)
            same = self.exact.get(canonical(question))
            if same is not None:
                found[place]["exact"] = (1.0, same)
            form = self._form(question)
            if form is not None and form in self.template:
                found[place]["template"] = (1.0, self.template[form])
        tokens = [self._tokens(_everything(record)) for record in records]
        for kind, grams in self.grams.items():
            for place, score, number in grams.best(tokens):
                if kind == "13-gram" or score > _COVER:
                    found[place][kind] = (score, number)
        for record, kinds in zip(records, found, strict=True):
            named = [kind for kind in KINDS if kind in kinds]
            if named:
                score, number = kinds[named[0]]
                origin = prompt_in(record).origin
                yield Hit(
                    row=origin.row, kind=named[0], score=score, benchmark_row=self.row[number], also=tuple(named[1:])
                )


class _Grams:
    """Runs of n words of the benchmark, each with the rows that hold it. Runs are compared by 64-bit hashes."""

    def __init__(self, tokens: Sequence[Sequence[int]], size: int) -> None:
        self.size = size
        rows, hashes = run_hashes(tokens, size)
        self.hashes, run = np.unique(hashes, return_inverse=True)
        pairs = np.unique(run * max(1, len(tokens)) + rows)
        run, self.rows = np.divmod(pairs, max(1, len(tokens)))
        self.start = np.searchsorted(run, np.arange(len(self.hashes)))
        self.length = np.diff(np.append(self.start, len(self.rows)))
        self.distinct = np.bincount(self.rows, minlength=len(tokens))

    def best(self, tokens: Sequence[Sequence[int]]) -> Iterator[tuple[int, float, int]]:
        """For each text that shares a run with the benchmark: its place, the largest share of a row, and that row."""
        if not len(self.hashes):
            return
        places, hashes = run_hashes(tokens, self.size)
        where = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        hit = self.hashes[where] == hashes
        once = np.unique(places[hit] * len(self.hashes) + where[hit])  # each run counts once in a text
        shared = np.stack(np.divmod(once, len(self.hashes)))
        weight = np.cumsum(self.length[shared[1]])
        for part in np.split(np.arange(len(weight)), _cuts(shared[0], weight)):
            yield from self._best_of(shared[:, part])

    def _best_of(self, shared: Integers) -> Iterator[tuple[int, float, int]]:
        places, runs = shared
        repeat = self.length[runs]
        offset = np.arange(repeat.sum()) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        rows = self.rows[np.repeat(self.start[runs], repeat) + offset]
        pairs, counts = np.unique(np.repeat(places, repeat) * len(self.distinct) + rows, return_counts=True)
        place, row = np.divmod(pairs, len(self.distinct))
        share = counts / self.distinct[row]
        order = np.lexsort((row, -share, place))
        first = order[np.unique(place[order], return_index=True)[1]]
        yield from zip(place[first].tolist(), share[first].tolist(), row[first].tolist(), strict=True)


def _cuts(places: Integers, weight: Integers) -> list[int]:
    """Where to cut between texts so that no part weighs much more than `_PAIRS`."""
    cuts, taken = [], 0
    for border in (np.flatnonzero(np.diff(places)) + 1).tolist():
        if weight[border - 1] - taken > _PAIRS:
            cuts.append(border)
            taken = int(weight[border - 1])
    return cuts
