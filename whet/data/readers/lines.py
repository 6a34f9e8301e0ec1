"""A file's bytes as lines, unpacked on the way and in bounded memory; what is no UTF-8 text as a whole is an error."""

import gzip
import io
import zlib
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.core.errors import DataError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = [
    "COMPRESSIONS",
    "Broken",
    "LongLine",
    "Reading",
    "bare_name",
    "in_one_line",
    "lines_of",
    "opened",
    "refuse_wide",
    "too_long",
]

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
# How compressed files begin, whatever they are called; the last three are never read.
_MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"PK\x03\x04": ".zip", b"BZh9": ".bz2", b"\xfd7zXZ": ".xz"}
_PIECE_BYTES, _UNPACKED_BYTES = 1 << 20, 1 << 18
# Rows of text become 3 to 20 times smaller when they are packed; gzip's limit is 1,032, zstd has none.
_MOST_PACKED, _SURELY_HARMLESS = 200, 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is read: what a person calls columns and fields (for tables without names), and a row's most bytes."""

    fields: Set[str] = frozenset()
    columns: Set[str] = frozenset()
    max_row_bytes: int = 1 << 22


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that could not even be parsed; `place` is where it stands in its file."""

    place: str | None
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line that is longer than a row may be, of which only the beginning was kept."""

    head: bytes


def too_long(reading: Reading) -> str:
    """Why a row is refused that takes more bytes than it may."""
    return f"a row of more than {reading.max_row_bytes:,} bytes; raise data.max_row_bytes where memory allows it"


def bare_name(path: Path) -> str:
    """The file's name without `.gz` or `.zst`."""
    return path.stem if path.suffix.lower() in COMPRESSIONS else path.name


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedReader]:
    """The file's bytes, unpacked as its name says; a name that says otherwise than the content is an error."""
    with path.open("rb") as plain:
        head = plain.read(8)
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    named = path.suffix.lower() if path.suffix.lower() in COMPRESSIONS else None
    if named is not None and found != named:
        raise DataError(f"{path}: named {named}, but not {COMPRESSIONS[named]}-compressed; rename it")
    if named is None and found is not None:
        if found in COMPRESSIONS:
            raise DataError(
                f"{path}: {COMPRESSIONS[found]}-compressed, but its name does not end in {found}; rename it"
            )
        raise DataError(f"{path}: a {found} archive; unpack it, or compress it as {' or '.join(COMPRESSIONS)}")
    try:
        with _unpacked(path, named) as stream:
            yield stream
    except (EOFError, OSError, zlib.error) as error:
        if named is None:
            raise DataError(f"{path}: cannot be read ({in_one_line(error)})") from error
        raise DataError(f"{path}: its {COMPRESSIONS[named]} stream is cut or damaged ({in_one_line(error)})") from error


def _unpacked(path: Path, compression: str | None) -> io.BufferedReader:
    if compression == ".gz":
        return io.BufferedReader(_Unpacking(path, gzip.open(path, "rb")), _UNPACKED_BYTES)
    if compression == ".zst":
        import pyarrow as pa

        return io.BufferedReader(_Unpacking(path, pa.input_stream(str(path), compression="zstd")), _UNPACKED_BYTES)
    return io.BufferedReader(io.FileIO(path), _PIECE_BYTES)


class _Unpacking(io.RawIOBase):
    """What comes out of a packed file, until it is more than any text could have been packed into it."""

    def __init__(self, path: Path, source: Any) -> None:
        self.path = path
        self.source = source
        self.unpacked = 0
        self.most = max(_SURELY_HARMLESS, path.stat().st_size * _MOST_PACKED)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with memoryview(buffer) as view, view.cast("B") as room:
            piece = self.source.read(len(room))
            room[: len(piece)] = piece
        self.unpacked += len(piece)
        if self.unpacked > self.most:
            raise DataError(
                f"{self.path}: unpacks to more than {_MOST_PACKED} times its size, as no data do but a bomb; if it is "
                "sound, unpack it and give the plain file"
            )
        return len(piece)

    def close(self) -> None:
        self.source.close()
        super().close()


def lines_of(path: Path, reading: Reading) -> Iterator[bytes | LongLine]:
    """The lines with their line ends, without a byte order mark; of one that is too long only its beginning is held."""
    with opened(path) as stream:
        is_first = True
        while line := stream.readline(reading.max_row_bytes + 2):  # a row and its line end
            if is_first:
                refuse_wide(path, line)
                line = line.removeprefix(b"\xef\xbb\xbf")
                is_first = False
            if line.endswith(b"\n") or len(line) <= reading.max_row_bytes:
                yield line
            else:
                yield LongLine(line[:_PIECE_BYTES])
                _skip_line(stream)


def _skip_line(stream: io.BufferedReader) -> None:
    """Read on to the line's end, a piece at a time."""
    while (piece := stream.readline(_PIECE_BYTES)) and not piece.endswith(b"\n"):
        pass


def refuse_wide(path: Path, head: bytes) -> None:
    """`DataError` when a file that begins like this is UTF-16 or UTF-32, or holds no text at all."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path}: UTF-16 or UTF-32; convert it to UTF-8")
    if b"\0" in head[:4096]:
        raise DataError(f"{path}: holds zero bytes: UTF-16 without its mark, or no text; convert it to UTF-8")


def in_one_line(error: Exception) -> str:
    """The first line of an exception's text, its type's name if it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
