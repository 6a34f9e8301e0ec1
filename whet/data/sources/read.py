"""From a source to records or rejections: files, folders, hub ids, the embedded generator."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from whet.core.digests import file_digest
from whet.core.errors import DataError, did_you_mean
from whet.core.recipe import DataSettings
from whet.core.recipe.data import SourceSettings
from whet.core.records import Origin, Record, Rejected, prompt_in
from whet.data.layouts.fields import BadRow, Skipped, Told
from whet.data.layouts.layout import Layout, Part
from whet.data.layouts.recognise import read_row
from whet.data.readers.files import ENDINGS, file_rows
from whet.data.readers.lines import Broken
from whet.data.sources.arithmetic import arithmetic_rows
from whet.data.sources.columns import Columns, understand
from whet.data.sources.folders import folder_files, is_held_out_split, is_path, shown_name
from whet.data.sources.loaded import is_of_datasets, loaded_rows, was_saved
from whet.data.sources.request import Request, request_for
from whet.data.space.shelf import renamed, shelved

__all__ = ["ENDINGS", "Source", "read_sources", "require_readable", "stream_file", "stream_source"]

_EMBEDDED = "whet:arithmetic"
# A source's layout is the one that most of its first rows have.
_ROWS_TO_RECOGNISE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source read whole: its rows as records or rejections, and how they were understood.

    `Source(name="train.jsonl", sha256="9f..", rows=7473, layout=<question and answer>, records=(...), ...)`
    Each row is one record or one rejection; but a conversation tree is many records of the same origin, and what was
    left out of it stands in `skipped`, which is accounted for and is no refusal.
    """

    name: str  # the file's name, its path within the folder that was given, or the hub id; never an absolute path
    sha256: str | None
    rows: int
    layout: Layout
    columns: Mapping[str, str]  # field -> what `data.columns` says that it is in this source
    records: Sequence[Record]
    rejected: tuple[Rejected, ...]
    skipped: tuple[Rejected, ...] = ()
    thinned: Sequence[Record] = ()  # sound records that `data.weights` leaves no room for
    ignored: tuple[str, ...] = ()  # columns and keys that a person said change nothing
    told: Mapping[str, int] = field(default_factory=dict)  # what changes nothing here though it would elsewhere: rows
    kept: Mapping[str, int] = field(default_factory=dict)  # columns that stay beside the records: rows that have them
    left_out: tuple[str, ...] = ()  # files of the same folder that are not read

    @property
    def example(self) -> Record | None:
        """The first row as it was understood, None when every row was refused."""
        return self.records[0] if self.records else None

    def renamed(self, name: str) -> "Source":
        """The same source under another name, its rows' origins too."""

        def refused(rows: tuple[Rejected, ...]) -> tuple[Rejected, ...]:
            return tuple(replace(row, origin=replace(row.origin, source=name)) for row in rows)

        return replace(
            self,
            name=name,
            records=renamed(self.records, name),
            rejected=refused(self.rejected),
            skipped=refused(self.skipped),
            thinned=renamed(self.thinned, name),
        )


def read_sources(
    source: str | SourceSettings,
    settings: DataSettings,
    *,
    seed: int,
    is_held_out: bool = False,
    is_strict: bool = True,
) -> list[Source]:
    """Read every row of what a source stands for: one source, or one for each file of a folder.

    Rows that are held out are not learned from: of a folder the files that are called test or the like are theirs. Not
    strict, columns and keys that would refuse a row are told: of a benchmark only the questions matter.
    """
    request = request_for(source, settings, is_held_out=is_held_out, is_strict=is_strict)
    if request.name == _EMBEDDED:
        return [_understood(_EMBEDDED, None, arithmetic_rows(settings.arithmetic, seed=seed), request)]
    path = _local_path(request.name)
    if path is None:
        label = ":".join(part for part in (request.name, request.config, request.split) if part)
        return [_understood(label, None, loaded_rows(request.name, request, from_disk=False), request)]
    try:
        return [_file_source(path.name, path, request)] if path.is_file() else _folder_sources(path, request)
    except (OSError, RuntimeError) as error:
        raise _unreadable(request.name, error) from error


def _local_path(name: str) -> Path | None:
    """The file or folder of that name, None for a hub id; `DataError` when it can be neither."""
    if not name.strip():
        raise DataError("data.source: a source has no name; give a file, a folder or a hub id")
    if name.startswith("whet:"):
        raise DataError(f"data source {name!r} is not embedded{did_you_mean(name, [_EMBEDDED])}")
    if "://" in name:
        raise DataError(f"{name}: addresses are not read; fetch the file, or give the hub id of its data set")
    try:
        path = Path(name).expanduser()
        if path.is_file() or path.is_dir():
            return path
        if path.exists() or path.is_symlink():
            what = "neither a file nor a folder" if path.exists() else "a link that leads nowhere"
            raise DataError(f"{name}: {what}")
        if is_path(name):
            near = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError(f"{name}: no such file{did_you_mean(path.name, near)}")
    except (OSError, RuntimeError) as error:  # a home folder that nobody has
        raise _unreadable(name, error) from error
    return None


def _unreadable(name: str, error: Exception) -> DataError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return DataError(f"{name}: cannot be read ({reason})")


def stream_file(path: Path, settings: DataSettings) -> Iterator[Record | Rejected]:
    """The records of one file, one at a time, understood as `read_sources` does, in memory for a few rows.

    What is left out of conversation trees is not among them.
    """
    yield from _stream(shown_name(path.name), path, request_for(str(path), settings))


def stream_source(source: str | SourceSettings, settings: DataSettings) -> Iterator[Record | Rejected]:
    """What `read_sources` reads, one record at a time; files, also those of a folder, in memory for a few rows."""
    request = request_for(source, settings)
    path = Path(request.name).expanduser()
    if path.is_file():
        yield from _stream(shown_name(path.name), path, request)
    elif path.is_dir() and not is_of_datasets(path, request):
        for file in folder_files(path, request).files:
            yield from _stream(shown_name(file.relative_to(path).as_posix()), file, request)
    else:
        for read in read_sources(source, settings, seed=0):
            yield from read.records
            yield from read.rejected


def require_readable(request: Request) -> None:
    """`DataError` as `read_sources` would raise it, as far as the names of files and the first rows of one tell.

    What `datasets` reads, a hub's or its own folders, is left to it: to ask it takes seconds.
    """
    if request.name == _EMBEDDED:
        return
    path = _local_path(request.name)
    if path is None or (path.is_dir() and is_of_datasets(path, request)):
        return
    try:
        file = path if path.is_file() else folder_files(path, request).files[0]
        _with_columns(shown_name(file.name), file_rows(file, request.reading), request)
    except (OSError, RuntimeError) as error:
        raise _unreadable(request.name, error) from error


def _stream(name: str, path: Path, request: Request) -> Iterator[Record | Rejected]:
    rows, columns = _with_columns(name, file_rows(path, request.reading), request)
    for read in _read(name, columns, rows, request):
        yield from read.records
        if read.rejected is not None:
            yield read.rejected


@dataclass(frozen=True, slots=True)
class _RowRead:
    """What one row gave."""

    records: tuple[Record, ...] = ()
    rejected: Rejected | None = None
    skipped: tuple[Rejected, ...] = ()
    told: tuple[Told, ...] = ()

    @property
    def kept(self) -> Iterable[str]:
        """The columns that stay beside the row's records."""
        return prompt_in(self.records[0]).columns.keys() if self.records else ()


def _file_source(name: str, path: Path, request: Request) -> Source:
    return _understood(shown_name(name), file_digest(path), file_rows(path, request.reading), request)


def _with_columns(name: str, rows: Iterator[Any], request: Request) -> tuple[Iterator[Any], Columns]:
    first = list(islice(rows, _ROWS_TO_RECOGNISE))
    if not first:
        raise DataError(f"{name}: no rows")
    return chain(first, rows), understand(name, first, request)


def _read(name: str, columns: Columns, rows: Iterator[Any], request: Request) -> Iterator[_RowRead]:
    named = columns.named
    for number, row in enumerate(rows):
        origin = Origin(source=name, row=number)
        try:
            fields = columns.fields_of(row)
            if not request.is_held_out and is_held_out_split(fields.get("split")):
                held_out = Skipped("split", "held out by its column: test, validation or the like")
                yield _RowRead(skipped=(_rejected(origin, columns, held_out, row),))
                continue
            beside = columns.ignored_in(row)
            parts = read_row(
                columns.layout,
                fields,
                origin,
                think=request.thinks,
                named=named,
                beside=beside,
                strict=request.is_strict,
            )
        except BadRow as bad:
            yield _RowRead(rejected=_rejected(origin, columns, bad, row))
            continue
        yield _row_read(parts, origin, columns, row)


def _row_read(parts: Sequence[Part], origin: Origin, columns: Columns, row: Any) -> _RowRead:
    """The parts of a row by what they are; nearly all rows are one record."""
    if len(parts) == 1 and not isinstance(parts[0], Skipped | Told):
        return _RowRead(records=(parts[0],))
    return _RowRead(
        records=tuple(part for part in parts if not isinstance(part, Skipped | Told)),
        skipped=tuple(_rejected(origin, columns, part, row) for part in parts if isinstance(part, Skipped)),
        told=tuple(part for part in parts if isinstance(part, Told)),
    )


def _rejected(origin: Origin, columns: Columns, bad: BadRow | Skipped, row: Any) -> Rejected:
    excerpt = row.excerpt if isinstance(row, Broken) else json.dumps(row, default=str)[:200]
    return Rejected(origin=origin, field=columns.column_of(bad.field), reason=bad.reason, excerpt=excerpt)


def _understood(name: str, sha256: str | None, rows: Iterator[Any], request: Request) -> Source:
    rows, columns = _with_columns(name, rows, request)
    count = 0
    rejected: list[Rejected] = []
    skipped: list[Rejected] = []
    told: Counter[str] = Counter()
    kept: Counter[str] = Counter()

    def taken() -> Iterator[Record]:
        nonlocal count
        for row in _read(name, columns, rows, request):
            count += 1
            if row.rejected is not None:
                rejected.append(row.rejected)
            skipped.extend(row.skipped)
            if row.told:
                told.update(part.what for part in row.told)
            if row.kept:
                kept.update(row.kept)
            yield from row.records

    records = shelved(taken())
    return Source(
        name=name,
        sha256=sha256,
        rows=count,
        layout=columns.layout,
        columns=columns.stated,
        records=records,
        rejected=tuple(rejected),
        skipped=tuple(skipped),
        ignored=tuple(sorted(columns.ignore)),
        told=dict(sorted(told.items())),
        kept=dict(sorted(kept.items())),
    )


def _folder_sources(path: Path, request: Request) -> list[Source]:
    """A folder that `datasets` saved, a data set in the hub's layout (with its card), or simply data files."""
    if is_of_datasets(path, request):
        rows = loaded_rows(str(path), request, from_disk=was_saved(path))
        return [_understood(shown_name(path.resolve().name), None, rows, request)]
    found = folder_files(path, request)
    left_out = tuple(shown_name(file.relative_to(path).as_posix()) for file in found.left_out)
    sources = [_file_source(file.relative_to(path).as_posix(), file, request) for file in found.files]
    return [replace(sources[0], left_out=left_out), *sources[1:]]
