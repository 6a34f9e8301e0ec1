"""Which training rows are also in a benchmark, and in which of its rows; `benchmark` beside it has the rules.

The benchmarks are held in memory as indices, the training rows are streamed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.recipe.data import SourceSettings
from whet.core.records import TRAINING_PURPOSES, Prompt, Record, Rejected, prompt_in
from whet.data.contamination.benchmark import KINDS, Benchmark, Hit
from whet.data.manifest import read_rows
from whet.data.sources.read import read_sources, stream_source
from whet.data.texts.row_texts import asked

__all__ = ["Pair", "Scan", "contamination", "read_benchmarks", "training_rows", "training_sample"]

# Training rows that are looked at together, and those from which is learnt what is common.
_CHUNK = 8192
_SAMPLE, _SAMPLE_CHARACTERS = 20_000, 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A contaminated row and the question of a benchmark that it resembles most."""

    hit: Hit
    row: Record
    question: Prompt


@dataclass(slots=True, kw_only=True)
class Scan:
    """One look through training rows: iterating gives a `Pair` for each contaminated row, in their order.

    `train` is a file, a folder, prepared data, a run (of these two the training purposes) or a hub id, `against` the
    same without what whet prepared. Afterwards `rows` says how many rows were read, `kinds` and `gated` how many were
    hit by which rule as their strongest, and how many should not be trained on; `refused` are rows that could not be
    read and so were not compared, `refused_questions` those of the benchmarks.
    """

    train: str
    against: Sequence[str]
    settings: DataSettings = field(default_factory=DataSettings)
    rows: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    gated: int = 0
    refused: list[Rejected] = field(default_factory=list)
    refused_questions: list[Rejected] = field(default_factory=list)

    def __iter__(self) -> Iterator[Pair]:
        settings = self.settings.model_copy(update={"benchmarks": tuple(self.against), "limit": None})
        questions, self.refused_questions = _questions(self.against, settings)
        sample = training_sample(row for row in training_rows(self.train, settings) if not isinstance(row, Rejected))
        benchmark = Benchmark(questions, sample, paraphrase=settings.paraphrase)
        del questions, sample
        self.rows, self.gated, self.refused = 0, 0, []
        self.kinds.clear()
        for pair in self._pairs(benchmark, settings):
            self.kinds[pair.hit.kind] += 1
            self.gated += pair.hit.is_gated
            yield pair

    def _pairs(self, benchmark: Benchmark, settings: DataSettings) -> Iterator[Pair]:
        """One for each row: of a conversation tree the strongest of its records'."""
        found = self._hits(benchmark, settings)
        for _, of_row in groupby(found, key=lambda one: (one[1].source, one[1].row)):
            hits = list(of_row)
            record, hit = min(hits, key=lambda one: (KINDS.index(one[1].kind), -one[1].score))
            if len(hits) > 1:
                told = {kind for _, each in hits for kind in (each.kind, *each.also)} - {hit.kind}
                hit = replace(hit, also=tuple(kind for kind in KINDS if kind in told))
            yield Pair(hit=hit, row=record, question=benchmark.questions[hit.question])

    def _hits(self, benchmark: Benchmark, settings: DataSettings) -> Iterator[tuple[Record, Hit]]:
        chunk: list[Record] = []
        last = None
        for row in training_rows(self.train, settings):
            origin = row.origin if isinstance(row, Rejected) else prompt_in(row).origin
            self.rows += origin != last
            last = origin
            if isinstance(row, Rejected):
                self.refused.append(row)
                continue
            chunk.append(row)
            if len(chunk) == _CHUNK:
                yield from ((chunk[place], hit) for place, hit in benchmark.hits(chunk))
                chunk = []
        yield from ((chunk[place], hit) for place, hit in benchmark.hits(chunk))


def contamination(train: Path, against: Path | Sequence[Path], *, settings: DataSettings | None = None) -> list[Hit]:
    """The contaminated rows of training data, in their order; `Scan` says more."""
    paths = [against] if isinstance(against, Path) else list(against)
    scan = Scan(train=str(train), against=[str(path) for path in paths], settings=settings or DataSettings())
    return [pair.hit for pair in scan]


def training_sample(rows: Iterator[Record]) -> list[str]:
    """What the first of some training rows ask, from which `Benchmark` learns what is common."""
    sample: list[str] = []
    characters = 0
    for row in rows:
        sample.append(asked(row))
        characters += len(sample[-1])
        if len(sample) == _SAMPLE or characters > _SAMPLE_CHARACTERS:
            break
    return sample


def read_benchmarks(names: Sequence[str | SourceSettings], settings: DataSettings) -> list[Record]:
    """Every question of benchmark files, folders or hub ids."""
    return _questions(names, settings.model_copy(update={"benchmarks": tuple(names), "limit": None}))[0]


def _questions(names: Sequence[str | SourceSettings], settings: DataSettings) -> tuple[list[Record], list[Rejected]]:
    sources = [
        source for name in names for source in read_sources(name, settings, seed=0, is_held_out=True, is_strict=False)
    ]
    for source in sources:
        if not source.records and source.rejected:
            first = source.rejected[0]
            raise DataError(
                f"{source.name}: none of its {source.rows} rows can be read as a question of a benchmark; row "
                f"{first.origin.row}{f', field {first.field}' if first.field else ''}: {first.reason}"
            )
    records = [record for source in sources for record in source.records]
    return records, [row for source in sources for row in source.rejected]


def training_rows(train: str, settings: DataSettings) -> Iterator[Record | Rejected]:
    """The rows of a file, folder or hub id, one at a time; of prepared data or a run those for training."""
    prepared = next((path for path in (Path(train), Path(train) / "data") if (path / "manifest.json").is_file()), None)
    if prepared is None:
        yield from stream_source(train, settings)
        return
    for purpose in sorted(TRAINING_PURPOSES):
        records = [row.record for row in read_rows(prepared, purpose)]
        yield from sorted(records, key=lambda record: _place(prompt_in(record)))


def _place(prompt: Prompt) -> tuple[str, int]:
    return prompt.origin.source, prompt.origin.row
