"""Files by content: the SHA-256 of a file is computed once while the file stays as it is, and ahead of need.

A file is taken to be as it was while its inode, size and times are. Nothing of this outlives the process: what another
process or another day did to a file is always read.
"""

import os
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path

from whet.core.files import file_sha256

__all__ = ["file_digest", "hash_ahead", "identity_of", "present_digests"]

_Identity = tuple[int, int, int, int, int]
# A file changed so shortly before may change again without its times showing it: they have the clock's tick.
_SETTLED_NS = 50_000_000
_THREADS = min(4, os.cpu_count() or 1)


class _Known:
    """The digests of this process by identity, those under way too."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.digests: dict[_Identity, Future[str]] = {}

    def claim(self, identity: _Identity) -> tuple[Future[str], bool]:
        """The digest to be, and whether whoever asks has to compute it."""
        with self.lock:
            found = self.digests.get(identity)
            if found is not None:
                return found, False
            return self.digests.setdefault(identity, Future()), True

    def forget(self, identity: _Identity) -> None:
        with self.lock:
            self.digests.pop(identity, None)


_known = _Known()
# A fork has none of the threads that were computing.
os.register_at_fork(after_in_child=_known.__init__)  # type: ignore[misc]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes as hex; waits for it when it is under way."""
    identity = identity_of(path)
    future, is_ours = _known.claim(identity)
    if is_ours:
        try:
            future.set_result(file_sha256(path))
        except BaseException as error:
            _known.forget(identity)
            future.set_exception(error)
            raise
        if identity_of(path) != identity or time.time_ns() - max(identity[3:]) < _SETTLED_NS:
            _known.forget(identity)
    return future.result()


def present_digests(files: Mapping[str, Path]) -> dict[str, str]:
    """The digests of those of these files that are there, by the same names."""
    return {name: file_digest(path) for name, path in files.items() if path.is_file()}


def hash_ahead(paths: Iterable[Path]) -> None:
    """Begin to compute digests beside whatever else this process does; who asks for one first waits for it."""
    files = [path for path in paths if path.is_file()]
    for place in range(_THREADS):
        threading.Thread(target=_hash_each, args=(files[place::_THREADS],), name="digests", daemon=True).start()


def _hash_each(files: Iterable[Path]) -> None:
    for path in files:
        try:
            file_digest(path)
        except OSError:
            continue  # who needs it is told


def identity_of(path: Path) -> _Identity:
    """What stays while a file does: device, inode, size and times."""
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
