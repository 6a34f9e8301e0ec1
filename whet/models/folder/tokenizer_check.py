"""Whether a folder's `tokenizer.json` can be used, tried where it can do no harm."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from whet.core.digests import file_digest
from whet.core.errors import ModelError
from whet.core.runlog import printable
from whet.models.folder import tokenizer_trial

__all__ = ["require_usable_tokenizer"]

_CPU_S = 60
# For the library, and for each byte of the file: vocabularies grow about tenfold when they are loaded.
_MEMORY, _MEMORY_PER_BYTE = 3 << 30, 40
_tried: dict[str, str | None] = {}


def require_usable_tokenizer(folder: Path) -> None:
    """`ModelError` in one line for a file that fails, panics, or needs more than its time and memory.

    A file of the same content is tried once per process. A folder without the file is left to its loader.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    digest = file_digest(path)
    if digest not in _tried:
        _tried[digest] = _problem(path)
    if (problem := _tried[digest]) is not None:
        raise ModelError(f"{path}: {problem}")


def _problem(path: Path) -> str | None:
    memory = _MEMORY + _MEMORY_PER_BYTE * path.stat().st_size
    done = subprocess.run(
        [sys.executable, "-P", tokenizer_trial.__file__, str(path.resolve()), str(_CPU_S), str(memory)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            "PYTHONUTF8": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "RAYON_NUM_THREADS": "1",
        },
        check=False,
    )
    if done.stdout.endswith(b"}\n"):
        said = json.loads(done.stdout)["problem"]
        return None if said is None else f"cannot be used ({printable(said, limit=300)})"
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"cannot be used (a few lines of text take it more than {_CPU_S} s)"
    return f"cannot be used (it ended the process that tried it, {done.returncode})"
