"""Parquet and Arrow files, a thousand rows at a time, or as few as fit into a bound."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.readers.lines import Broken, Reading, bare_name, in_one_line, too_long
from whet.data.readers.tables import refuse_twins

__all__ = ["arrow_rows", "parquet_rows"]

_ROWS_AT_ONCE = 1000
# So many rows of the largest allowed size are decoded at once.
_LARGEST_AT_ONCE = 16
# Values that take fewer bytes each than this are repeated ones; they are read as numbers into a list of values.
_REPEATED_BYTES = 16


def parquet_rows(path: Path, reading: Reading) -> Iterator[Any]:
    """Parquet names its columns itself."""
    return _columnar_rows(path, ".parquet", reading)


def arrow_rows(path: Path, reading: Reading) -> Iterator[Any]:
    """Arrow's file and stream formats."""
    return _columnar_rows(path, ".arrow", reading)


def _columnar_rows(path: Path, ending: str, reading: Reading) -> Iterator[Any]:
    import pyarrow as pa

    if bare_name(path) != path.name:
        raise DataError(f"{path}: {ending} files are compressed inside; unpack the {path.suffix}")
    try:
        for batch in _batches(path, ending, reading):
            refuse_twins(path, batch.schema.names)
            if ending == ".arrow":
                _refuse_damaged(batch)
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                yield from _bounded(batch.slice(start, _ROWS_AT_ONCE), reading)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise DataError(f"{path}: not a readable {ending[1:]} file ({in_one_line(error)})") from error


def _batches(path: Path, ending: str, reading: Reading) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if ending == ".parquet":
        metadata = pq.read_metadata(path)
        options = {"page_checksum_verification": True, "read_dictionary": _repeated(metadata), "metadata": metadata}
        with pq.ParquetFile(path, **options) as file:
            yield from file.iter_batches(batch_size=_at_once(metadata, reading))
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


def _at_once(metadata: Any, reading: Reading) -> int:
    """How many rows are decoded at once, by what a row of each row group takes on average as the file says."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    largest = max((group.total_byte_size // group.num_rows for group in groups if group.num_rows), default=1)
    return max(1, min(_ROWS_AT_ONCE, _LARGEST_AT_ONCE * reading.max_row_bytes // max(1, largest)))


def _repeated(metadata: Any) -> list[str]:
    """Columns of texts of which few are different: a small file may hold a huge one for each of its rows."""
    names = set()
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            column = group.column(place)
            is_small = column.total_uncompressed_size < _REPEATED_BYTES * max(1, column.num_values)
            if column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page and is_small:
                names.add(column.path_in_schema)
    return sorted(names)


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


def _bounded(batch: Any, reading: Reading) -> Iterator[Any]:
    """The rows of a batch, made from no more bytes at once than one row may have; larger ones are refused."""
    if sum(map(_bytes_in, batch.columns)) <= reading.max_row_bytes:
        yield from _values(batch)
    elif batch.num_rows == 1:
        yield Broken(None, too_long(reading), "")
    else:
        half = batch.num_rows // 2
        yield from _bounded(batch.slice(0, half), reading)
        yield from _bounded(batch.slice(half), reading)


def _bytes_in(column: Any) -> int:
    """Bytes of the values; a value that many rows point to counts for each of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
        return pc.sum(lengths).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(map(_bytes_in, column.flatten()))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return int(column.nbytes) if pa.types.is_primitive(kind.value_type) else _bytes_in(column.flatten())
    return int(column.nbytes)


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
