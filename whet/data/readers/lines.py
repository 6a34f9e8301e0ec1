"""A file's bytes as lines, unpacked on the way; what is no UTF-8 text as a whole is an error here."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from whet.core.errors import DataError

__all__ = ["COMPRESSIONS", "Broken", "bare_name", "in_one_line", "lines_of", "opened", "refuse_wide"]

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
# How compressed files begin, whatever they are called; the last three are never read.
_MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst", b"PK\x03\x04": ".zip", b"BZh9": ".bz2", b"\xfd7zXZ": ".xz"}
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Broken:
    """A row that could not even be parsed; `place` is where it stands in its file."""

    place: str | None
    reason: str
    excerpt: str


def bare_name(path: Path) -> str:
    """The file's name without `.gz` or `.zst`."""
    return path.stem if path.suffix.lower() in COMPRESSIONS else path.name


@contextmanager
def opened(path: Path) -> Iterator[io.BufferedIOBase]:
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


def _unpacked(path: Path, compression: str | None) -> io.BufferedIOBase:
    if compression == ".gz":
        return gzip.open(path, "rb")
    if compression == ".zst":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(path), compression="zstd"), _PIECE_BYTES)
    return io.BufferedReader(io.FileIO(path), _PIECE_BYTES)


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines with their line ends, without a byte order mark."""
    with opened(path) as stream:
        for number, line in enumerate(stream):
            if number == 0:
                refuse_wide(path, line)
                line = line.removeprefix(b"\xef\xbb\xbf")
            yield line


def refuse_wide(path: Path, head: bytes) -> None:
    """`DataError` when a file that begins like this is UTF-16 or UTF-32, or holds no text at all."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path}: UTF-16 or UTF-32; convert it to UTF-8")
    if b"\0" in head[:4096]:
        raise DataError(f"{path}: holds zero bytes: UTF-16 without its mark, or no text; convert it to UTF-8")


def in_one_line(error: Exception) -> str:
    """The first line of an exception's text, its type's name if it has none."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
