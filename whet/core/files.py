"""Files that are either whole or absent: atomic writes, content hashes, JSON lines."""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

from whet.core.errors import DataError

__all__ = [
    "append_json_line",
    "atomic_directory",
    "atomic_file",
    "content_id",
    "file_sha256",
    "is_leftover",
    "read_json",
    "read_json_lines",
    "read_sealed",
    "sweep_leftovers",
    "write_bytes",
    "write_json",
    "write_json_lines",
    "write_sealed",
    "write_text",
    "writing",
]


def content_id(*parts: str) -> str:
    """The first 16 hex digits of the SHA-256 of the parts: the identity of a row, whatever file it came from.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ. Lone surrogates are encoded as they are.
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(f"{len(encoded)}:".encode())
        digest.update(encoded)
    return digest.hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes as hex, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# A name that something has until it is whole, or while it makes room; it ends in the process that writes it.
_HIDDEN = re.compile(r"\..+\.(?:partial|old)-(\d+)", re.DOTALL)


def _hidden(path: Path, kind: Literal["partial", "old"] = "partial") -> Path:
    return path.with_name(f".{path.name}.{kind}-{os.getpid()}")


def is_leftover(name: str) -> bool:
    """Whether the name is one that this module gives to what is not whole: `.model.partial-4711`."""
    return _HIDDEN.fullmatch(name) is not None


def sweep_leftovers(folder: Path) -> None:
    """Remove, at any depth, what dead processes left half-written in a folder that no other process writes to.

    What a living process writes stays; one that has this process's own number is a dead namesake's.
    """
    for inner in os.scandir(folder):
        found = _HIDDEN.fullmatch(inner.name)
        is_folder = inner.is_dir(follow_symlinks=False)
        if found is not None and (int(found[1]) == os.getpid() or not _is_alive(int(found[1]))):
            shutil.rmtree(inner.path) if is_folder else Path(inner.path).unlink()
        elif is_folder:
            sweep_leftovers(Path(inner.path))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return process > 0


# How libraries that are written in Rust say what the operating system told them.
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """An error of the operating system meanwhile becomes an `OSError` that names this path.

    A write knows no name, and libraries tell of a full disk in their own ways.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and not _is_hidden(error.filename)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    except Exception as error:
        found = _SYSTEM_ERROR.search(str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error


def _is_hidden(path: str | bytes | int) -> bool:
    return isinstance(path, int) or any(map(is_leftover, Path(os.fsdecode(path)).parts))


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream to fill: a crash at any moment leaves either the old file or the new one, never a part of either."""
    partial = _hidden(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write the whole file at once, as `atomic_file` does."""
    with atomic_file(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8; a lone surrogate becomes its escape, because a report must be readable everywhere."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Indented JSON with keys in the order given; NaN and infinity are refused, they are not JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """One JSON object a line, atomically as a whole."""
    with atomic_file(path) as stream:
        for row in rows:
            line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
            stream.write(line.encode("utf-8", "backslashreplace"))


def append_json_line(path: Path, row: Any) -> None:
    """Append one line and flush it to the operating system; a reader never sees half a line before its newline."""
    with writing(path), path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parse one JSON file of ours; a damaged one is a `DataError` that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, no JSON, a number without end, nested without end
        raise DataError(f"{path}: not valid JSON ({error}); it was damaged or edited after it was written") from error


def write_sealed(path: Path, record: Mapping[str, Any]) -> None:
    """`write_json` with a last key `seal`, the SHA-256 of all that the others hold."""
    write_json(path, {**record, "seal": _seal(record)})


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` took; `DataError` when it is not, value for value, what was written."""
    record = read_json(path)
    if not isinstance(record, dict) or record.pop("seal", None) != _seal(record):
        raise DataError(f"{path}: its seal is broken; it was damaged or edited after it was written")
    return record


def _seal(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def read_json_lines(path: Path) -> Iterator[Any]:
    """Rows of a file that whet wrote; a last line without its newline (a crash while appending) is left out."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line.decode())
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}:{number}: not valid JSON ({error})") from error


@contextlib.contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield a hidden sibling folder to fill; on success every file is synced and it takes the target's place.

    On any exception the hidden folder is removed and the target is untouched. An older target is replaced whole: it is
    renamed away first, so a crash between the two renames leaves the older content under its hidden name only for
    that instant.
    """
    partial = _hidden(target)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            _sync_tree(partial)
            if target.exists():
                old = _hidden(target, "old")
                target.rename(old)
                partial.rename(target)
                shutil.rmtree(old)
            else:
                partial.rename(target)
            _sync_directory(target.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _sync_tree(folder: Path) -> None:
    """Every file of the folder, then every folder, is on the disk."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _sync_directory(file)
    _sync_directory(folder)
