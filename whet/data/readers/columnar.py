"""Parquet and Arrow files, a thousand rows at a time."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.readers.lines import Broken, bare_name, in_one_line
from whet.data.readers.tables import refuse_twins

__all__ = ["arrow_rows", "parquet_rows"]

_ROWS_AT_ONCE = 1000


def parquet_rows(path: Path, columns: Mapping[str, str]) -> Iterator[Any]:
    """Parquet names its columns itself."""
    return _columnar_rows(path, ".parquet")


def arrow_rows(path: Path, columns: Mapping[str, str]) -> Iterator[Any]:
    """Arrow's file and stream formats."""
    return _columnar_rows(path, ".arrow")


def _columnar_rows(path: Path, ending: str) -> Iterator[Any]:
    import pyarrow as pa

    if bare_name(path) != path.name:
        raise DataError(f"{path}: {ending} files are compressed inside; unpack the {path.suffix}")
    try:
        for batch in _batches(path, ending):
            refuse_twins(path, batch.schema.names)
            if ending == ".arrow":
                _refuse_damaged(batch)
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                yield from _values(batch.slice(start, _ROWS_AT_ONCE))
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise DataError(f"{path}: not a readable {ending[1:]} file ({in_one_line(error)})") from error


def _batches(path: Path, ending: str) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if ending == ".parquet":
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield from file.iter_batches(batch_size=_ROWS_AT_ONCE)
        return
    with pa.memory_map(str(path)) as stream:
        is_file_format = stream.read(6) == b"ARROW1"
        stream.seek(0)
        if is_file_format:
            reader = pa.ipc.open_file(stream)
            for number in range(reader.num_record_batches):
                yield reader.get_batch(number)
        else:
            yield from pa.ipc.open_stream(stream)
            _refuse_cut(path)


def _refuse_cut(path: Path) -> None:
    """A stream that was cut between two batches reads like a shorter one; every writer that closes it marks its end."""
    with path.open("rb") as stream:
        stream.seek(-8, 2)
        if not stream.read().endswith(b"\0" * 4):
            raise DataError(f"{path}: an arrow stream without its end mark: it was cut off or never closed")


def _refuse_damaged(batch: Any) -> None:
    """A damaged Arrow file has offsets that point outside it, and would end the process when they are followed."""
    import pyarrow as pa

    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):  # that costs its row alone
                raise


def _values(batch: Any) -> Iterator[Any]:
    """The rows of a batch; values that Python cannot hold (text that is not UTF-8, the year 0) cost only their row."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError, RecursionError) as error:
        if batch.num_rows == 1:
            reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"unreadable ({in_one_line(error)})"
            yield Broken(None, reason, "")
            return
        for row in range(batch.num_rows):
            yield from _values(batch.slice(row, 1))
