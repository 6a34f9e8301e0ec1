"""A file of rows without some of them: what stays, stays as it is."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from whet.core.errors import DataError
from whet.core.files import atomic_file
from whet.data.readers.lines import LongLine, Reading, bare_name, lines_of

__all__ = ["refuse_other_formats", "write_without"]

_FORMATS = (".jsonl", ".parquet")


def refuse_other_formats(source: Path, out: Path) -> None:
    """`DataError` when `out` cannot hold some rows of `source` unchanged."""
    ending = Path(bare_name(source)).suffix.lower()
    if not source.is_file() or ending not in _FORMATS:
        what = "a folder" if source.is_dir() else f"a {ending} file" if ending else "no file"
        raise DataError(
            f"--clean: {source} is {what}; rows are taken out of {' and '.join(_FORMATS)} files, .jsonl also packed"
        )
    if Path(bare_name(out)).suffix.lower() != ending:
        raise DataError(f"--clean: {out} must end in {ending} as {source.name} does, whose rows it is to hold")
    if out.exists() and out.samefile(source):
        raise DataError(f"--clean: {out} is the file that is read; name another")


def write_without(source: Path, out: Path, left_out: set[int]) -> int:
    """Every row of `source` but those, by their 0-based numbers, in the same bytes or cells; how many were written."""
    write = _parquet if source.suffix.lower() == ".parquet" else _lines
    with atomic_file(out) as stream:
        return write(source, out, stream, left_out)


def _lines(source: Path, out: Path, stream: IO[bytes], left_out: set[int]) -> int:
    written = 0
    with _packed(out, stream) as packed:
        rows = (line for line in lines_of(source, Reading()) if isinstance(line, LongLine) or not line.isspace())
        for number, line in enumerate(rows):
            if number not in left_out and not isinstance(line, LongLine):
                packed.write(line)
                written += 1
    return written


@contextmanager
def _packed(out: Path, stream: IO[bytes]) -> Iterator[Any]:
    """The stream, packed as the file's name says."""
    match out.suffix.lower():
        case ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
                yield packed
        case ".zst":
            import pyarrow as pa

            with pa.CompressedOutputStream(pa.PythonFile(_LeftOpen(stream), mode="w"), "zstd") as packed:
                yield packed
        case _:
            yield stream


class _LeftOpen:
    """A stream that stays open when what is written through it is closed."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.write, self.flush = stream.write, stream.flush

    def close(self) -> None:
        self.flush()


def _parquet(source: Path, out: Path, stream: IO[bytes], left_out: set[int]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = written = 0
    with pq.ParquetFile(source) as file, pq.ParquetWriter(stream, file.schema_arrow, compression="zstd") as writer:
        for batch in file.iter_batches():
            kept = [number not in left_out for number in range(first, first + batch.num_rows)]
            writer.write_batch(batch.filter(pa.array(kept, type=pa.bool_())))
            first += batch.num_rows
            written += sum(kept)
    return written
