"""The section `data`: where the rows come from and how they are prepared."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from whet.core.recipe.column import read_column
from whet.core.recipe.section import Count, Rows, Section, Share
from whet.core.records import Purpose

__all__ = ["ArithmeticSettings", "DataSettings", "SizeSettings", "SourceSettings", "path_of", "sources_in"]


def _readable_columns(columns: Mapping[str, str]) -> Mapping[str, str]:
    for column in columns.values():
        read_column(column)
    return columns


Columns = Annotated[Mapping[str, str], AfterValidator(_readable_columns)]


class ArithmeticSettings(Section):
    """What `whet:arithmetic` generates."""

    rows: Annotated[Count, Field(description="word problems to generate")] = 6000
    reasoning_share: Annotated[
        Share,
        Field(
            description="average share of demonstrations that think before they answer, more of the long ones; the rest answer directly"
        ),
    ] = 0.4
    wrong_share: Annotated[
        Share, Field(description="share of demonstrations whose answer is wrong, as people's are")
    ] = 0.03
    long_tail_share: Annotated[Share, Field(description="share of rows about rare things and actions")] = 0.08
    out_of_distribution_share: Annotated[
        Share,
        Field(
            description="share of rows with unseen sentence forms, larger numbers or more steps; they are only ever evaluated"
        ),
    ] = 0.06
    steps: Annotated[
        tuple[float, float, float, float], Field(description="relative frequency of problems of 1, 2, 3 and 4 steps")
    ] = (0.3, 0.35, 0.25, 0.1)

    @field_validator("steps")
    @classmethod
    def _some_step(cls, value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        if min(value) < 0 or sum(value) <= 0:
            raise ValueError("must be four frequencies of at least 0 with a sum above 0")
        return value


class SizeSettings(Section):
    """Rows for each purpose: whole numbers are row counts, or ratios that sum to at most 1."""

    ft_train: Annotated[float, Field(ge=0, description="fine-tuning: rows to train on")] = 0.40
    ft_validation: Annotated[
        float, Field(ge=0, description="fine-tuning: rows that choose hyperparameters and the best checkpoint")
    ] = 0.05
    ft_test: Annotated[float, Field(ge=0, description="fine-tuning: rows for its own final score")] = 0.05
    rm_train: Annotated[float, Field(ge=0, description="reward model: rows to train on")] = 0.15
    rm_test: Annotated[float, Field(ge=0, description="reward model: rows for its accuracy")] = 0.05
    rl_train: Annotated[float, Field(ge=0, description="reinforcement learning: prompts to roll out")] = 0.15
    rl_test: Annotated[float, Field(ge=0, description="reinforcement learning: prompts for its own final score")] = 0.05
    final: Annotated[float, Field(ge=0, description="strictly unseen prompts that compare base, SFT and RL")] = 0.10

    @model_validator(mode="after")
    def _counts_or_ratios(self) -> "SizeSettings":
        values = self.model_dump().values()
        if sum(values) <= 1 + 1e-9:
            return self
        if any(value != int(value) for value in values):
            raise ValueError(
                f"must be either whole numbers of rows or ratios with a sum of at most 1 (got a sum of {sum(values):.9g}); "
                "a size that is not given keeps its ratio, so give all eight numbers of rows"
            )
        return self


class SourceSettings(Section):
    """A source that is read in its own way; what is not given is as `data` says."""

    path: Annotated[str, Field(min_length=1, description="a file, a folder, a hub id, or whet:arithmetic")]
    columns: Annotated[Columns | None, Field(description="as data.columns, for this source alone")] = None
    ignore: Annotated[tuple[str, ...] | None, Field(description="as data.ignore, for this source alone")] = None
    config: Annotated[str | None, Field(description="as data.config, for this source alone")] = None
    split: Annotated[str | None, Field(description="as data.split, for this source alone")] = None


class DataSettings(Section):
    """Where the rows come from and how they are prepared."""

    source: Annotated[
        str | SourceSettings | tuple[str | SourceSettings, ...],
        Field(
            description="whet:arithmetic, a file (.jsonl .json .csv .tsv .parquet .arrow, the text ones also .gz and .zst), a folder, or a hub id; several are mixed. One that is read in its own way: {path: FILE, columns: {...}, ignore: [...], config: ..., split: ...}, here and wherever else a source is named"
        ),
    ] = "whet:arithmetic"
    weights: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...] | None,
        Field(
            description="relative share of rows from each source when several are mixed; the others are thinned by hash to keep it. Without it every row of each is taken"
        ),
    ] = None
    columns: Annotated[
        Columns,
        Field(
            description="which column is what, where a source names them otherwise: {question: Problem, answer: Solution}; a place inside one (question.text, choices[0]); or a text of several: {prompt: '{Body} {Question}'}, {name?} for one that may be missing"
        ),
    ] = Field(default_factory=dict)
    ignore: Annotated[
        tuple[str, ...],
        Field(
            description="columns, or keys of turns, that change nothing here although whet would read or refuse them: columns stay beside the row for your rewards, keys go"
        ),
    ] = ()
    config: Annotated[str | None, Field(description="configuration of a hub data set, such as main")] = None
    split: Annotated[str, Field(description="split of a hub data set")] = "train"
    preferences: Annotated[
        str | SourceSettings | None,
        Field(
            description="a further source of chosen/rejected or ranked rows for the reward model; without it rankings are derived from the demonstrations"
        ),
    ] = None
    limit: Annotated[Count | None, Field(description="take only this many rows, chosen by hash, after reading")] = None
    completion: Annotated[
        Literal["think", "as_is"],
        Field(
            description="think: question/answer rows become <think>reasoning</think><answer>N</answer>; as_is: the answer text is the completion"
        ),
    ] = "think"
    sizes: Annotated[SizeSettings, Field(description="rows or ratios for the eight purposes")] = SizeSettings()
    pinned: Annotated[
        Mapping[Purpose, str | SourceSettings],
        Field(
            description="sources that are a purpose's rows as they are, such as a published test set: {final: test.jsonl}; rows like theirs go nowhere else"
        ),
    ] = Field(default_factory=dict)
    earlier: Annotated[
        str | None, Field(description="a folder prepared earlier; rows that were in it keep their purposes")
    ] = None
    stratify: Annotated[
        tuple[str, ...],
        Field(
            description="columns whose values every purpose shall have in the same proportions; length stands for the prompt's length"
        ),
    ] = ()
    time: Annotated[
        str | None,
        Field(
            description="column with a date or number: evaluation purposes take the newest rows, training none that is later"
        ),
    ] = None
    group: Annotated[
        str | None,
        Field(description="column whose rows of one value are never parted, such as a document or an author"),
    ] = None
    long_tail: Annotated[
        Literal["auto", "off"],
        Field(
            description="auto: rows that bring no slice are searched for rare words, templates, lengths and sources, which final then mixes in"
        ),
    ] = "auto"
    out_of_distribution: Annotated[
        tuple[str, ...],
        Field(description="sources, or column=value, whose rows are only ever evaluated, as a slice of final"),
    ] = ()
    near_duplicates: Annotated[
        Literal["drop", "keep"],
        Field(
            description="drop: of near duplicates with the same numbers and answer inside a purpose one is kept; rows that are merely alike are never parted, and never dropped"
        ),
    ] = "drop"
    paraphrase: Annotated[
        str,
        Field(
            description="words: rephrased prompts are found by their rare words and numbers; off; or a sentence encoder by name (needs whet[embed])"
        ),
    ] = "words"
    benchmarks: Annotated[
        tuple[str | SourceSettings, ...],
        Field(description="benchmark files or folders; rows that hold one of their questions leave every purpose"),
    ] = ()
    workers: Annotated[
        Rows, Field(description="0: this process; more: that many workers of Ray Data (needs whet[ray]), the same bits")
    ] = 0
    max_row_bytes: Annotated[
        Count,
        Field(description="a row that takes more bytes, unpacked, is refused before it is read; it bounds memory"),
    ] = 1 << 22
    max_rejected_share: Annotated[Share, Field(description="stop when more than this share of the rows is refused")] = (
        0.05
    )
    arithmetic: Annotated[ArithmeticSettings, Field(description="settings of whet:arithmetic")] = ArithmeticSettings()


def sources_in(settings: DataSettings) -> tuple[str | SourceSettings, ...]:
    """What `data.source` names, one or several."""
    return settings.source if isinstance(settings.source, tuple) else (settings.source,)


def path_of(source: str | SourceSettings) -> str:
    """The file, folder or hub id of a source, in whichever way it was named."""
    return source if isinstance(source, str) else source.path
