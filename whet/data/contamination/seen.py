"""Which prompts of an evaluation stand in training data that a model may have seen, and in which row."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from whet.core.recipe import DataSettings
from whet.core.records import Origin, Prompt, Record, Rejected, prompt_in
from whet.data.contamination.benchmark import KINDS, Benchmark, Kind
from whet.data.contamination.find import training_rows, training_sample

__all__ = ["SeenIn", "SeenPrompts", "seen_prompts"]

_CHUNK = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenIn:
    """The row that a prompt resembles most: `SeenIn(kind="near", score=0.83, source="train.jsonl", row=17)`."""

    kind: Kind
    score: float
    source: str
    row: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"score": round(self.score, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPrompts:
    """For each prompt that was seen, by its id, where; `rows` were looked through, `refused` could not be read."""

    by_id: dict[str, SeenIn]
    rows: int
    refused: int


def seen_prompts(prompts: Sequence[Prompt], names: Sequence[str], settings: DataSettings) -> SeenPrompts:
    """Which prompts resemble a row of the files, folders, runs or hub ids, by every rule that counts.

    A run of 13 words alone proves nothing. Of several rows the one that the strongest rule names, then the most like,
    then the first.
    """
    settings = _plain(settings, names)
    sample = training_sample(row for row in _all_rows(names, settings) if not isinstance(row, Rejected))
    benchmark = Benchmark(prompts, sample, paraphrase=settings.paraphrase)
    best: dict[str, tuple[tuple[int, float], SeenIn]] = {}
    rows = refused = 0
    last: Origin | None = None
    stream = _all_rows(names, settings)
    while chunk := list(islice(stream, _CHUNK)):
        records = [row for row in chunk if not isinstance(row, Rejected)]
        refused += len(chunk) - len(records)
        for row in chunk:  # of a conversation tree there are several
            origin = row.origin if isinstance(row, Rejected) else prompt_in(row).origin
            rows += origin != last
            last = origin
        for kind, found in benchmark.resembling(records):
            columns = (found.row.tolist(), found.question.tolist(), found.score.tolist())
            for place, question, score in sorted(zip(*columns, strict=True)):
                rank, prompt = (KINDS.index(kind), -score), prompts[question].id
                if prompt not in best or rank < best[prompt][0]:
                    origin = prompt_in(records[place]).origin
                    best[prompt] = rank, SeenIn(kind=kind, score=score, source=origin.source, row=origin.row)
    return SeenPrompts(by_id={prompt: seen for prompt, (_, seen) in best.items()}, rows=rows, refused=refused)


def _plain(settings: DataSettings, names: Sequence[str]) -> DataSettings:
    return settings.model_copy(update={"benchmarks": tuple(names), "limit": None})


def _all_rows(names: Sequence[str], settings: DataSettings) -> Iterator[Record | Rejected]:
    for name in names:
        yield from training_rows(name, settings)
