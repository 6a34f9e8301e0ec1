"""One source as it is asked for: what `data.source` and its kin say of it, filled up with what `data` says of all."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from whet.core.recipe import DataSettings
from whet.core.recipe.column import read_column
from whet.core.recipe.data import SourceSettings, sources_in
from whet.core.records import EVALUATION_PURPOSES
from whet.data.readers.lines import Reading

__all__ = ["Request", "request_for", "requests_in"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """How the rows of one source are found and read.

    `Request(name="train.jsonl", columns={"prompt": "{Body} {Question}"}, ignore={"images"}, split="train", ...)`
    """

    name: str  # a file, a folder, a hub id, or whet:arithmetic
    columns: Mapping[str, str]  # field -> column, place or template
    ignore: Set[str]
    config: str | None
    split: str
    has_all_columns: bool  # whether a column that is named and not there is an error
    is_held_out: bool  # whether it is read to be evaluated on, or to be looked for, and not to be learned from
    is_strict: bool  # whether what changes a row's meaning refuses it; of a benchmark only the questions matter
    thinks: bool
    max_row_bytes: int

    @property
    def reading(self) -> Reading:
        """What the readers of files are to know."""
        named = {str(place.steps[0]) for column in self.columns.values() for place in read_column(column).places}
        return Reading(fields=frozenset(self.columns), columns=named, max_row_bytes=self.max_row_bytes)


def request_for(
    source: str | SourceSettings, settings: DataSettings, *, is_held_out: bool = False, is_strict: bool = True
) -> Request:
    """The source as it stands in `data.source`, `preferences`, `pinned` or `benchmarks`.

    The columns of `data.columns` must all be there in the only source; of several, in those that cannot be understood
    without. A source's own columns must be there.
    """
    own = None if isinstance(source, str) else source
    others = (settings.preferences, *settings.pinned, *settings.benchmarks)
    is_only = len(sources_in(settings)) == 1 and not any(others)
    return Request(
        name=source if isinstance(source, str) else source.path,
        columns=settings.columns if own is None or own.columns is None else own.columns,
        ignore=frozenset(settings.ignore if own is None or own.ignore is None else own.ignore),
        config=settings.config if own is None or own.config is None else own.config,
        split=settings.split if own is None or own.split is None else own.split,
        has_all_columns=is_only or (own is not None and own.columns is not None),
        is_held_out=is_held_out,
        is_strict=is_strict,
        thinks=settings.completion == "think",
        max_row_bytes=settings.max_row_bytes,
    )


def requests_in(settings: DataSettings) -> Iterator[tuple[str, Request]]:
    """Every source of rows and of benchmarks, with the setting that names it: `("data.pinned.final", Request(...))`."""
    for source in sources_in(settings):
        yield "data.source", request_for(source, settings)
    if settings.preferences:
        yield "data.preferences", request_for(settings.preferences, settings)
    for purpose, source in settings.pinned.items():
        is_held_out = purpose in EVALUATION_PURPOSES
        yield f"data.pinned.{purpose}", request_for(source, settings, is_held_out=is_held_out)
    for source in settings.benchmarks:
        yield "data.benchmarks", request_for(source, settings, is_held_out=True)
