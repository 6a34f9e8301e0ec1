"""From a source's name to records or rejections: files, folders, hub ids, the embedded generator."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from whet.core.errors import DataError, did_you_mean
from whet.core.files import file_sha256
from whet.core.recipe import DataSettings
from whet.core.records import Origin, Record, Rejected
from whet.core.runlog import printable
from whet.data.layouts.fields import BadRow, Skipped
from whet.data.layouts.layout import Layout
from whet.data.layouts.recognise import read_row
from whet.data.readers.files import ENDINGS, file_rows, is_data_file
from whet.data.readers.lines import COMPRESSIONS, Broken
from whet.data.sources.arithmetic import arithmetic_rows
from whet.data.sources.columns import Columns, understand
from whet.data.sources.loaded import has_hub_card, loaded_rows, was_saved
from whet.data.space.shelf import renamed, shelved

__all__ = ["ENDINGS", "Source", "read_sources", "stream_file", "stream_source"]

_EMBEDDED = "whet:arithmetic"
# What `datasets` writes beside its data files.
_METADATA = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
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
    columns: Mapping[str, str]  # field -> this source's column, the part of data.columns that concerns it
    records: Sequence[Record]
    rejected: tuple[Rejected, ...]
    skipped: tuple[Rejected, ...] = ()
    thinned: Sequence[Record] = ()  # sound records that `data.weights` leaves no room for

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


def read_sources(name: str, settings: DataSettings, *, seed: int) -> list[Source]:
    """Read every row of what `name` stands for: one source, or one for each file of a folder.

    `settings.config` and `.split` choose within hub data sets and folders.
    """
    if not name.strip():
        raise DataError("data.source: a source has no name; give a file, a folder or a hub id")
    if name == _EMBEDDED:
        return [_understood(_EMBEDDED, None, arithmetic_rows(settings.arithmetic, seed=seed), settings)]
    if name.startswith("whet:"):
        raise DataError(f"data source {name!r} is not embedded{did_you_mean(name, [_EMBEDDED])}")
    if "://" in name:
        raise DataError(f"{name}: addresses are not read; fetch the file, or give the hub id of its data set")
    try:
        path = Path(name).expanduser()
        if path.is_file():
            return [_file_source(path.name, path, settings)]
        if path.is_dir():
            return _folder_sources(path, settings)
        if path.exists() or path.is_symlink():
            what = "neither a file nor a folder" if path.exists() else "a link that leads nowhere"
            raise DataError(f"{name}: {what}")
    except (OSError, RuntimeError) as error:  # a home folder that nobody has
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{name}: cannot be read ({reason})") from error
    if name.startswith((".", "/", "~")) or path.suffix in (*ENDINGS, *COMPRESSIONS) or name.count("/") > 1:
        near = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{name}: no such file{did_you_mean(path.name, near)}")
    label = ":".join(part for part in (name, settings.config, settings.split) if part)
    return [_understood(label, None, loaded_rows(name, settings, from_disk=False), settings)]


def stream_file(path: Path, settings: DataSettings) -> Iterator[Record | Rejected]:
    """The records of one file, one at a time, understood as `read_sources` does, in memory for a few rows.

    What is left out of conversation trees is not among them; a `.json` list's text is held whole.
    """
    yield from _stream(_shown(path.name), path, settings)


def stream_source(name: str, settings: DataSettings) -> Iterator[Record | Rejected]:
    """What `read_sources` reads, one record at a time; files, also those of a folder, in memory for a few rows."""
    path = Path(name).expanduser()
    if path.is_file():
        yield from stream_file(path, settings)
    elif path.is_dir() and not _is_of_datasets(path, settings):
        for file in _folder_files(path, settings):
            yield from _stream(_shown(file.relative_to(path).as_posix()), file, settings)
    else:
        for source in read_sources(name, settings, seed=0):
            yield from source.records
            yield from source.rejected


def _stream(name: str, path: Path, settings: DataSettings) -> Iterator[Record | Rejected]:
    rows, columns = _with_columns(name, file_rows(path, settings.columns), settings)
    for read in _read(name, columns, rows, settings):
        yield from read.records
        if read.rejected is not None:
            yield read.rejected


@dataclass(frozen=True, slots=True)
class _RowRead:
    """What one row gave."""

    records: tuple[Record, ...] = ()
    rejected: Rejected | None = None
    skipped: tuple[Rejected, ...] = ()


def _file_source(name: str, path: Path, settings: DataSettings) -> Source:
    return _understood(_shown(name), file_sha256(path), file_rows(path, settings.columns), settings)


def _shown(name: str) -> str:
    """A file's name as text that can be written and printed; names are bytes, with line ends and worse in them."""
    return printable(name).replace("\n", "\\n")


def _with_columns(name: str, rows: Iterator[Any], settings: DataSettings) -> tuple[Iterator[Any], Columns]:
    first = list(islice(rows, _ROWS_TO_RECOGNISE))
    if not first:
        raise DataError(f"{name}: no rows")
    others = (settings.preferences, *settings.pinned, *settings.benchmarks)
    is_only = (isinstance(settings.source, str) or len(settings.source) == 1) and not any(others)
    return chain(first, rows), understand(name, first, settings.columns, is_only=is_only)


def _read(name: str, columns: Columns, rows: Iterator[Any], settings: DataSettings) -> Iterator[_RowRead]:
    for number, row in enumerate(rows):
        origin = Origin(source=name, row=number)
        try:
            parts = read_row(columns.layout, columns.fields_of(row), origin, think=settings.completion == "think")
        except BadRow as bad:
            yield _RowRead(rejected=_rejected(origin, columns, bad, row))
            continue
        yield _RowRead(
            records=tuple(part for part in parts if not isinstance(part, Skipped)),
            skipped=tuple(_rejected(origin, columns, part, row) for part in parts if isinstance(part, Skipped)),
        )


def _rejected(origin: Origin, columns: Columns, bad: BadRow | Skipped, row: Any) -> Rejected:
    excerpt = row.excerpt if isinstance(row, Broken) else json.dumps(row, default=str)[:200]
    return Rejected(origin=origin, field=columns.column_of(bad.field), reason=bad.reason, excerpt=excerpt)


def _understood(name: str, sha256: str | None, rows: Iterator[Any], settings: DataSettings) -> Source:
    rows, columns = _with_columns(name, rows, settings)
    count = 0
    rejected: list[Rejected] = []
    skipped: list[Rejected] = []

    def taken() -> Iterator[Record]:
        nonlocal count
        for row in _read(name, columns, rows, settings):
            count += 1
            if row.rejected is not None:
                rejected.append(row.rejected)
            skipped.extend(row.skipped)
            yield from row.records

    records = shelved(taken())
    return Source(
        name=name,
        sha256=sha256,
        rows=count,
        layout=columns.layout,
        columns=columns.renamed,
        records=records,
        rejected=tuple(rejected),
        skipped=tuple(skipped),
    )


def _folder_sources(path: Path, settings: DataSettings) -> list[Source]:
    """A folder that `datasets` saved, a data set in the hub's layout (with its card), or simply data files."""
    name = _shown(path.resolve().name)
    if _is_of_datasets(path, settings):
        rows = loaded_rows(str(path), settings, from_disk=was_saved(path))
        return [_understood(name, None, rows, settings)]
    return [_file_source(file.relative_to(path).as_posix(), file, settings) for file in _folder_files(path, settings)]


def _is_of_datasets(path: Path, settings: DataSettings) -> bool:
    """Whether `datasets` is to read the folder: it wrote it, or a configuration or a card says how to."""
    return was_saved(path) or settings.config is not None or has_hub_card(path)


def _folder_files(path: Path, settings: DataSettings) -> list[Path]:
    files = sorted(
        file
        for file in path.rglob("*")
        if is_data_file(file)
        and not file.is_dir()
        and file.name not in _METADATA
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    prepared = next(
        (file.parent for file in files if file.name == "manifest.json" and _was_prepared(file.parent)), None
    )
    if prepared is not None:
        raise DataError(f"{prepared}: was prepared by whet; give the files that its rows came from")
    chosen = [file for file in files if settings.split in _name_parts(file, path)]
    if not chosen and settings.split != DataSettings().split:
        there = ", ".join(file.relative_to(path).as_posix() for file in files[:8])
        raise DataError(f"{path}: no file of it is of the split {settings.split!r} ({there}); see data.split")
    chosen = chosen or files
    unreadable = next((file for file in chosen if not file.is_file()), None)
    if unreadable is not None:
        raise DataError(f"{unreadable}: neither a file nor a folder; take it out of {path}")
    if not chosen:
        raise DataError(f"{path}: no data file in this folder; known endings: {', '.join(ENDINGS)}")
    return chosen


def _was_prepared(folder: Path) -> bool:
    """Whether whet wrote its purposes and their manifest there."""
    return (folder / "manifest.json").is_file() and (folder / "ft_train.parquet").is_file()


def _name_parts(file: Path, folder: Path) -> set[str]:
    """`data/train-00000-of-00002.parquet` -> data, train, 00000, of, 00002, parquet: how a split's files are known."""
    return set(re.split(r"[-_./]", file.relative_to(folder).as_posix()))
