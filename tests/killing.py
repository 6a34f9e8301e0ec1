"""Runs a recipe in processes that kill themselves, each at a given file operation, until one comes to its end.

    python killing.py RECIPE RUN each              each process one operation further than the last that died
    python killing.py RECIPE RUN 'rename data/manifest.json' ...     in turn before the first operation of that name

A process is a fork of this one, in which everything is imported and nothing was used: it starts in no time. SIGKILL
comes before the operation that Python announces (`sys.addaudithook`), so the folder is as the operation before left it.
The last line of the output is JSON: the operations that were not done, and how the last process ended.
"""

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import whet
from whet import pipeline  # imported now, not in every fork

__all__ = ["kill_at", "kill_each"]

_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NAMED_SECOND = {"os.rename": "rename", "os.symlink": "symlink"}
_NAMED_FIRST = {"open": "open", "os.mkdir": "mkdir", "os.remove": "remove", "os.rmdir": "rmdir"}
_OWN_NUMBER, _KIND = r"(\.partial|\.old)-[0-9]+", r"\1"
_MOST = 600


def operation(event: str, arguments: tuple[Any, ...], run: str) -> str | None:
    """`rename sft/model` for what changes something in the run's folder, None for anything else."""
    verb = _NAMED_SECOND.get(event) or _NAMED_FIRST.get(event)
    path = arguments[1] if event in _NAMED_SECOND else arguments[0] if verb else None
    if not isinstance(path, str | os.PathLike) or (event == "open" and not arguments[2] & _CHANGES):
        return None
    name = os.fspath(path)
    if name != run and not name.startswith(run + "/"):
        return None
    return f"{verb} {re.sub(_OWN_NUMBER, _KIND, os.path.relpath(name, run))}"


def start(recipe: str, run: str, is_last: Callable[[str], bool]) -> str | int:
    """One process: the operation that it died before, or the status it ended with."""
    reads, writes = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reads)

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            name = operation(event, arguments, run)
            if name is not None and is_last(name):
                os.write(writes, name.encode())
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        whet.run(recipe, run=run, quiet=True)
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as told:
        name = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert (status == -signal.SIGKILL) == bool(name)
    return name or status


def kill_each(recipe: str, run: str) -> tuple[list[str], int]:
    """Die before the first, the second, the third operation, and so on; from the first again with each stage done."""
    died: list[str] = []
    count = done = 0
    while len(died) < _MOST:
        if done != (done := len(list(Path(run).glob("*/complete.json")))):
            count = 0
        left = count = count + 1

        def is_last(name: str) -> bool:
            nonlocal left
            left -= 1
            return left == 0

        ended = start(recipe, run, is_last)
        if isinstance(ended, int):
            return died, ended
        died.append(ended)
    raise AssertionError(f"no end after {_MOST} kills; the last before: {died[-5:]}")


def kill_at(recipe: str, run: str, names: list[str]) -> tuple[list[str], int]:
    """Die before each of these operations in turn, then go through."""
    died = [start(recipe, run, lambda name, wanted=wanted: name == wanted) for wanted in names]
    return [str(name) for name in died], int(start(recipe, run, lambda name: False))


if __name__ == "__main__":
    assert pipeline
    _recipe, _run, *_names = sys.argv[1:]
    _found = kill_each(_recipe, _run) if _names == ["each"] else kill_at(_recipe, _run, _names)
    print(json.dumps(_found))  # noqa: T201
