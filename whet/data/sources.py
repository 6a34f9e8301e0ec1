"""From a source's name to records or rejections: files, folders, hub ids, the embedded generator."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import DataError, did_you_mean
from whet.core.files import file_sha256
from whet.core.recipe import DataSettings
from whet.core.records import Origin, Record, Rejected
from whet.data.arithmetic import arithmetic_rows
from whet.data.layouts import LAYOUTS, BadRow, Layout, recognise

__all__ = ["Source", "read_source"]

ENDINGS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow")
_EMBEDDED = "whet:arithmetic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source read whole: its rows as records or rejections, and how they were understood."""

    name: str
    sha256: str | None
    rows: int
    layout: str
    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class _Broken:
    """A row that could not even be parsed."""

    reason: str
    excerpt: str


def read_source(name: str, settings: DataSettings, *, seed: int) -> Source:
    """Read every row of one source; `settings.config` and `.split` apply to hub data sets and folders."""
    if name == _EMBEDDED:
        return _understood(_EMBEDDED, None, arithmetic_rows(settings.arithmetic, seed=seed), settings)
    if name.startswith("whet:"):
        raise DataError(f"data source {name!r} is not embedded{did_you_mean(name, [_EMBEDDED])}")
    path = Path(name)
    if path.is_file():
        return _understood(path.name, file_sha256(path), _file_rows(path), settings)
    if path.is_dir():
        return _understood(path.name, None, _folder_rows(path, settings), settings)
    if name.startswith((".", "/", "~")) or path.suffix in (*ENDINGS, ".gz") or name.count("/") > 1:
        near = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{name}: no such file{did_you_mean(path.name, near)}")
    label = ":".join(part for part in (name, settings.config, settings.split) if part)
    return _understood(label, None, _hub_rows(name, settings), settings)


def _understood(name: str, sha256: str | None, rows: Iterator[Any], settings: DataSettings) -> Source:
    records: list[Record] = []
    rejected: list[Rejected] = []
    layout: Layout | None = None
    count = 0
    for number, row in enumerate(rows):
        count += 1
        origin = Origin(source=name, row=number)
        try:
            if isinstance(row, _Broken):
                raise BadRow(None, row.reason)
            if not isinstance(row, dict):
                raise BadRow(None, f"not an object but {type(row).__name__}")
            found = recognise(frozenset(key for key, value in row.items() if value is not None))
            if found is None:
                missing = _missing(row, layout)
                raise BadRow(missing, "missing or null" if missing else f"no known layout in {_columns(row)}")
            layout = layout or found
            records.append(found.read(row, origin, settings.completion == "think"))
        except BadRow as bad:
            excerpt = row.excerpt if isinstance(row, _Broken) else json.dumps(row, default=str)[:200]
            rejected.append(Rejected(origin=origin, field=bad.field, reason=bad.reason, excerpt=excerpt))
    if count == 0:
        raise DataError(f"{name}: no rows")
    if layout is None:
        first = rejected[0]
        raise DataError(
            f"{name}: none of {count} rows can be read; row {first.origin.row}: {first.reason}. Known layouts: "
            + "; ".join(f"{' + '.join(known.columns)}" for known in LAYOUTS)
        )
    return Source(
        name=name, sha256=sha256, rows=count, layout=layout.name, records=tuple(records), rejected=tuple(rejected)
    )


def _missing(row: dict[str, Any], layout: Layout | None) -> str | None:
    """Which column of the source's layout this row lacks."""
    candidates = [layout] if layout else list(LAYOUTS)
    for known in candidates:
        absent = [column for column in known.columns if row.get(column) is None]
        if absent and (layout or len(absent) < len(known.columns)):
            return absent[0]
    return None


def _columns(row: dict[str, Any]) -> str:
    return ", ".join(sorted(map(str, row))[:8]) or "an empty row"


def _file_rows(path: Path) -> Iterator[Any]:
    name = path.name.removesuffix(".gz")
    ending = Path(name).suffix
    if ending not in ENDINGS:
        raise DataError(f"{path}: unknown ending {ending!r}; known: {', '.join(ENDINGS)}, each also with .gz")
    if ending in (".parquet", ".arrow"):
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
        except (EOFError, OSError) as error:
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
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def _json_line_rows(content: bytes) -> Iterator[Any]:
    for raw in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        if not raw.strip():
            continue
        try:
            yield _strict_json(raw.decode("utf-8"))
        except UnicodeDecodeError as error:
            yield _Broken(f"not UTF-8 (byte {error.start})", repr(raw[:120]))
        except (ValueError, RecursionError) as error:
            reason = "two objects on a line" if "Extra data" in str(error) else f"not valid JSON ({error})"
            yield _Broken(reason, raw[:120].decode("utf-8", "replace"))


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
        raise DataError(f"{path}: not valid JSON ({error})") from error
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise DataError(f"{path}: a list of rows was expected (got {type(value).__name__})")
    yield from value


def _table_rows(path: Path, content: bytes, delimiter: str) -> Iterator[Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); convert it, for example from Latin-1") from error
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise DataError(f"{path}: empty; its first line must name the columns")
        for cells in reader:
            if len(cells) != len(header):
                yield _Broken(f"{len(cells)} cells for {len(header)} columns", delimiter.join(cells)[:120])
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
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a readable {ending[1:]} file ({str(error).splitlines()[0]})") from error


def _folder_rows(path: Path, settings: DataSettings) -> Iterator[Any]:
    """A folder that `datasets` saved, a folder in the hub's layout, or simply data files."""
    if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
        yield from _loaded_rows(str(path), settings, from_disk=True)
        return
    files = sorted(
        file for file in path.rglob("*") if file.is_file() and Path(file.name.removesuffix(".gz")).suffix in ENDINGS
    )
    chosen = [file for file in files if settings.split in file.stem or settings.split == file.parent.name] or files
    if not chosen:
        raise DataError(f"{path}: no data file in this folder; known endings: {', '.join(ENDINGS)}")
    for file in chosen:
        yield from _file_rows(file)


def _hub_rows(name: str, settings: DataSettings) -> Iterator[Any]:
    return _loaded_rows(name, settings, from_disk=False)


def _loaded_rows(name: str, settings: DataSettings, *, from_disk: bool) -> Iterator[Any]:
    import datasets

    datasets.disable_progress_bars()
    try:
        if from_disk:
            loaded = datasets.load_from_disk(name)
            loaded = loaded[settings.split] if isinstance(loaded, datasets.DatasetDict) else loaded
        else:
            loaded = datasets.load_dataset(name, settings.config, split=settings.split)
    except KeyError as error:
        raise DataError(f"{name}: no split {settings.split!r}; it has {', '.join(map(str, loaded))}") from error
    except (OSError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"data source {name!r} cannot be loaded ({first}); give a file, a folder, or a hub id, and for a hub id "
            "data.config and data.split"
        ) from error
    yield from loaded
