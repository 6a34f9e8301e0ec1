"""From a source's name to records or rejections: files, folders, hub ids, the embedded generator."""

import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from whet.core.errors import DataError, did_you_mean
from whet.core.files import file_sha256
from whet.core.recipe import DataSettings
from whet.core.records import Origin, Prompt, Record, Rejected
from whet.data.arithmetic import arithmetic_rows
from whet.data.layouts import LAYOUTS, BadRow, Layout, read_row, recognise

__all__ = ["ENDINGS", "Source", "read_sources", "stream_file"]

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow")
_EMBEDDED = "whet:arithmetic"
# What `datasets` writes beside its data files.
_METADATA = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
_LONGEST_CELL = 2**31 - 1  # the csv module's own limit, 131,072 characters, is less than a long chat
# A source's layout is the one that most of its first rows have.
_ROWS_TO_RECOGNISE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source read whole: its rows as records or rejections, and how they were understood.

    `Source(name="train.jsonl", sha256="9f..", rows=7473, layout=<question and answer>, records=(...), rejected=())`
    """

    name: str  # the file's name, its path within the folder that was given, or the hub id; never an absolute path
    sha256: str | None
    rows: int
    layout: Layout
    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]

    @property
    def example(self) -> Record | None:
        """The first row as it was understood, None when every row was refused."""
        return self.records[0] if self.records else None

    def renamed(self, name: str) -> "Source":
        """The same source under another name, its rows' origins too."""

        def moved(origin: Origin) -> Origin:
            return replace(origin, source=name)

        def told(record: Record) -> Record:
            if isinstance(record, Prompt):
                return replace(record, origin=moved(record.origin))
            return replace(record, prompt=replace(record.prompt, origin=moved(record.prompt.origin)))

        records = tuple(told(record) for record in self.records)
        rejected = tuple(replace(row, origin=moved(row.origin)) for row in self.rejected)
        return replace(self, name=name, records=records, rejected=rejected)


@dataclass(frozen=True, slots=True)
class _Broken:
    """A row that could not even be parsed; `place` is where it stands in its file."""

    place: str | None
    reason: str
    excerpt: str


def read_sources(name: str, settings: DataSettings, *, seed: int) -> list[Source]:
    """Read every row of what `name` stands for: one source, or one for each file of a folder.

    `settings.config` and `.split` choose within hub data sets and folders.
    """
    if name == _EMBEDDED:
        return [_understood(_EMBEDDED, None, arithmetic_rows(settings.arithmetic, seed=seed), settings)]
    if name.startswith("whet:"):
        raise DataError(f"data source {name!r} is not embedded{did_you_mean(name, [_EMBEDDED])}")
    path = Path(name).expanduser()
    try:
        if path.is_file():
            return [_understood(path.name, file_sha256(path), _file_rows(path), settings)]
        if path.is_dir():
            return _folder_sources(path, settings)
        if path.exists():
            raise DataError(f"{name}: neither a file nor a folder")
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error})") from error
    if name.startswith((".", "/", "~")) or path.suffix in (*ENDINGS, ".gz") or name.count("/") > 1:
        near = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{name}: no such file{did_you_mean(path.name, near)}")
    label = ":".join(part for part in (name, settings.config, settings.split) if part)
    return [_understood(label, None, _loaded_rows(name, settings, from_disk=False), settings)]


def stream_file(path: Path, settings: DataSettings) -> Iterator[Record | Rejected]:
    """The rows of one file, one at a time, understood as `read_sources` does."""
    first, rows = _with_first(path.name, _file_rows(path))
    yield from _read(path.name, _layout_of(first, path.name), rows, settings)


def _with_first(name: str, rows: Iterator[Any]) -> tuple[list[Any], Iterator[Any]]:
    first = list(islice(rows, _ROWS_TO_RECOGNISE))
    if not first:
        raise DataError(f"{name}: no rows")
    return first, chain(first, rows)


def _read(name: str, layout: Layout, rows: Iterator[Any], settings: DataSettings) -> Iterator[Record | Rejected]:
    for number, row in enumerate(rows):
        origin = Origin(source=name, row=number)
        try:
            yield read_row(layout, _mapping(row), origin, think=settings.completion == "think")
        except BadRow as bad:
            yield Rejected(origin=origin, field=bad.field, reason=bad.reason, excerpt=_excerpt(row))


def _understood(name: str, sha256: str | None, rows: Iterator[Any], settings: DataSettings) -> Source:
    first, rows = _with_first(name, rows)
    layout = _layout_of(first, name)
    records: list[Record] = []
    rejected: list[Rejected] = []
    for read in _read(name, layout, rows, settings):
        if isinstance(read, Rejected):
            rejected.append(read)
        else:
            records.append(read)
    return Source(
        name=name,
        sha256=sha256,
        rows=len(records) + len(rejected),
        layout=layout,
        records=tuple(records),
        rejected=tuple(rejected),
    )


def _mapping(row: Any) -> Mapping[str, Any]:
    if isinstance(row, _Broken):
        raise BadRow(row.place, row.reason)
    if not isinstance(row, dict):
        raise BadRow(None, f"not an object but {type(row).__name__}")
    return row


def _excerpt(row: Any) -> str:
    return row.excerpt if isinstance(row, _Broken) else json.dumps(row, default=str)[:200]


def _layout_of(rows: list[Any], name: str) -> Layout:
    """The layout of most of the rows; a tie goes to the one that stands first in LAYOUTS."""
    columns = [
        frozenset(key for key, value in row.items() if value is not None) for row in rows if isinstance(row, dict)
    ]
    counts = Counter(layout.name for layout in map(recognise, columns) if layout is not None)
    if counts:
        return max(LAYOUTS, key=lambda layout: counts[layout.name])
    broken = next((row for row in rows if isinstance(row, _Broken)), None)
    if broken is not None:
        place = f", {broken.place}" if broken.place else ""
        raise DataError(f"{name}{place}: {broken.reason}; none of the first {len(rows)} rows can be read")
    given = ", ".join(sorted(map(str, columns[0]))[:8]) if columns else f"no columns but {type(rows[0]).__name__}"
    known = "; ".join(" + ".join(layout.columns) for layout in LAYOUTS)
    raise DataError(f"{name}: no known layout in its columns ({given or 'none with a value'}); known: {known}")


def _file_rows(path: Path) -> Iterator[Any]:
    name = path.name.removesuffix(".gz")
    ending = Path(name).suffix
    if ending not in ENDINGS:
        raise DataError(f"{path}: unknown ending {ending!r}; known: {', '.join(ENDINGS)}, each also with .gz")
    if ending in (".parquet", ".arrow"):
        if path.suffix == ".gz":
            raise DataError(f"{path}: {ending} files are compressed inside; unpack the .gz")
        yield from _columnar_rows(path, ending)
        return
    content = path.read_bytes()
    is_gzip = content[:2] == b"\x1f\x8b"
    if is_gzip != path.name.endswith(".gz"):
        what = "gzip-compressed, but its name does not end in .gz" if is_gzip else "named .gz, but not gzip-compressed"
        raise DataError(f"{path}: {what}; rename it")
    if is_gzip:
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{path}: its gzip stream is cut or damaged ({error})") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path}: UTF-16; convert it to UTF-8")
    if ending == ".jsonl":
        yield from _json_line_rows(content)
    elif ending == ".json":
        yield from _json_rows(path, content)
    else:
        yield from _table_rows(path, content, "\t" if ending == ".tsv" else ",")


def _strict_json(text: str) -> Any:
    """JSON as its standard has it: no NaN, no infinity, no key twice; both would be taken silently otherwise."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError("a key stands twice in one object")
        return made

    return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)


def _json_line_rows(content: bytes) -> Iterator[Any]:
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            yield _strict_json(raw.decode("utf-8"))
        except UnicodeDecodeError:
            yield _Broken(f"line {number}", "not UTF-8", repr(raw[:120]))
        except (ValueError, RecursionError) as error:
            reason = _json_fault(error)
            if number == len(lines) and reason.startswith("not valid JSON"):
                reason = "the last line is cut off before its object ends"
            yield _Broken(f"line {number}", reason, raw[:120].decode("utf-8", "replace"))


def _json_fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return "two objects on a line" if error.msg == "Extra data" else f"not valid JSON ({error.msg})"
    return "nested too deeply" if isinstance(error, RecursionError) else f"not valid JSON ({error})"


def _json_rows(path: Path, content: bytes) -> Iterator[Any]:
    """A list of rows, or lines of objects under the wrong name."""
    try:
        value = _strict_json(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        if content.lstrip()[:1] == b"{" and b"\n" in content.strip():
            yield from _json_line_rows(content)
            return
        raise DataError(f"{path}: {_json_fault(error)}{_line_of(error)}") from error
    if isinstance(value, dict) and recognise(frozenset(value)) is None:
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else [value]
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise DataError(f"{path}: a list of rows was expected (got {type(value).__name__})")
    yield from value


def _line_of(error: Exception) -> str:
    return f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""


def _table_rows(path: Path, content: bytes, delimiter: str) -> Iterator[Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); convert it, for example from Latin-1") from error
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise DataError(f"{path}: empty; its first line must name the columns")
        if len(set(header)) != len(header):
            raise DataError(f"{path}: two columns have the same name in its first line")
        for cells in reader:
            if len(cells) != len(header):
                place = f"line {reader.line_num}"
                yield _Broken(place, f"{len(cells)} cells for {len(header)} columns", delimiter.join(cells)[:120])
            else:
                yield {name: cell if cell != "" else None for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not a valid table ({error})") from error


def _columnar_rows(path: Path, ending: str) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if ending == ".parquet":
            for batch in pq.ParquetFile(path).iter_batches():
                yield from batch.to_pylist()
        else:
            with pa.memory_map(str(path)) as stream:
                yield from pa.ipc.open_stream(stream).read_all().to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable {ending[1:]} file ({_first_line(error)})") from error


def _folder_sources(path: Path, settings: DataSettings) -> list[Source]:
    """A folder that `datasets` saved, a data set in the hub's layout (with its card), or simply data files."""
    name = path.resolve().name
    if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
        return [_understood(name, None, _loaded_rows(str(path), settings, from_disk=True), settings)]
    if settings.config is not None or _has_hub_card(path):
        return [_understood(name, None, _loaded_rows(str(path), settings, from_disk=False), settings)]
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and Path(file.name.removesuffix(".gz")).suffix in ENDINGS
        and file.name not in _METADATA
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    chosen = [file for file in files if settings.split in _name_parts(file, path)] or files
    if not chosen:
        raise DataError(f"{path}: no data file in this folder; known endings: {', '.join(ENDINGS)}")
    return [
        _understood(file.relative_to(path).as_posix(), file_sha256(file), _file_rows(file), settings) for file in chosen
    ]


def _name_parts(file: Path, folder: Path) -> set[str]:
    """`data/train-00000-of-00002.parquet` -> data, train, 00000, of, 00002, parquet: how a split's files are known."""
    return set(re.split(r"[-_./]", file.relative_to(folder).as_posix()))


def _has_hub_card(path: Path) -> bool:
    card = path / "README.md"
    if not card.is_file():
        return False
    text = card.read_text(encoding="utf-8", errors="replace")
    return text.startswith("---") and re.search(r"^(configs|dataset_info):", text, re.MULTILINE) is not None


def _loaded_rows(name: str, settings: DataSettings, *, from_disk: bool) -> Iterator[Any]:
    import datasets

    datasets.disable_progress_bars()
    try:
        if from_disk:
            loaded = datasets.load_from_disk(name)
            if isinstance(loaded, datasets.DatasetDict):
                if settings.split not in loaded:
                    raise DataError(f"{name}: no split {settings.split!r}; it has {', '.join(map(str, loaded))}")
                loaded = loaded[settings.split]
        else:
            loaded = datasets.load_dataset(name, settings.config, split=settings.split)
    except DataError:
        raise
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"data source {name!r} cannot be loaded ({_first_line(error)}); give a file, a folder, or a hub id, and "
            "for a hub id data.config and data.split"
        ) from error
    yield from loaded


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
