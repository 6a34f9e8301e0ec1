"""Work space that may be larger than memory: what goes beyond a share of it lies in a file without a name.

The file is in TMPDIR if that is set, else in /var/tmp, which unlike /tmp is never in memory; the system pages it in and
out, and it is gone when its last user is. Results are the same wherever an array lies.
"""

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError

__all__ = ["Pile", "empty", "memory_share", "nameless_file"]

_SHARE = 8  # an eighth of the machine's memory for each array, pile or shelf
_TEMPORARY = Path("/var/tmp")


def memory_share() -> int:
    """Bytes that one array, pile or shelf may take in memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _SHARE


def nameless_file(needed: int = 0) -> IO[bytes]:
    """An open file that is gone when it is closed; `DataError` when `needed` bytes do not fit on its disk."""
    folder = Path(os.environ.get("TMPDIR") or (_TEMPORARY if os.access(_TEMPORARY, os.W_OK) else tempfile.gettempdir()))
    try:
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise DataError(
                f"{needed / 1e9:.1f} GB of work space are needed, but {folder} has {free / 1e9:.1f} GB free; make room "
                "there, or set TMPDIR to a larger disk"
            )
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise DataError(f"no work space in {folder} ({error.strerror}); set TMPDIR to a folder on a disk") from error


def empty(size: int, dtype: Any) -> npt.NDArray[Any]:
    """`np.empty`, on disk when it is larger than `memory_share`."""
    bytes_needed = size * np.dtype(dtype).itemsize
    if bytes_needed <= memory_share():
        return np.empty(size, dtype=dtype)
    with nameless_file(bytes_needed) as file:  # the mapping keeps it
        return np.asarray(np.memmap(file, dtype=dtype, mode="w+", shape=(size,)))


class Pile:
    """Arrays in the order they were put; those that go beyond `memory_share` in all lie on disk and are read back."""

    def __init__(self) -> None:
        self._arrays: list[npt.NDArray[Any] | None] = []
        self._places: dict[int, tuple[int, npt.DTypeLike, tuple[int, ...]]] = {}
        self._room = memory_share()
        self._file: IO[bytes] | None = None
        self._end = 0
        self.total = self.largest = 0  # elements in all arrays, and in the largest

    def __getstate__(self) -> dict[str, Any]:
        """Sent to another process, all arrays go along, those on disk too."""
        return {"_arrays": list(self), "_places": {}, "_room": 0, "_file": None, "_end": 0} | {
            name: getattr(self, name) for name in ("total", "largest")
        }

    def __len__(self) -> int:
        return len(self._arrays)

    def append(self, array: npt.NDArray[Any]) -> None:
        self.total += array.size
        self.largest = max(self.largest, array.size)
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            self._arrays.append(array)
            return
        if self._file is None:
            self._file = nameless_file()
            weakref.finalize(self, self._file.close)
        self._places[len(self._arrays)] = (self._end, array.dtype, array.shape)
        self._arrays.append(None)
        content = np.ascontiguousarray(array).data.cast("B") if array.size else b""
        while content:
            written = os.pwrite(self._file.fileno(), content, self._end)
            content, self._end = content[written:], self._end + written

    def __getitem__(self, number: int) -> npt.NDArray[Any]:
        array = self._arrays[number]
        if array is not None:
            return array
        assert self._file is not None
        begin, dtype, shape = self._places[number]
        array = np.empty(shape, dtype=dtype)
        view = array.reshape(-1).view(np.uint8).data
        while view:
            read = os.preadv(self._file.fileno(), [view], begin)
            assert read, "the work file is shorter than what was written"
            view, begin = view[read:], begin + read
        return array

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for number in range(len(self)):
            yield self[number]

    def drained(self) -> Iterator[npt.NDArray[Any]]:
        """All arrays in order; each is let go of before the next one is read."""
        for number in range(len(self)):
            yield self[number]
            self._arrays[number] = None
            self._places.pop(number, None)
