"""Runs a recipe in processes that may write no file beyond a size, smaller ones first, until none is needed any more.

    python filling.py RECIPE RUN BYTES...

The kernel refuses what goes beyond (RLIMIT_FSIZE, which stands here for a full disk: Python, safetensors, tokenizers
and Arrow are each told in their own way). The last line of the output is JSON: the status and standard error of each.
"""

import json
import os
import resource
import sys

from whet import pipeline  # imported now, not in every fork
from whet.cli import main

__all__ = ["start"]


def start(recipe: str, run: str, most_bytes: int) -> tuple[int, str]:
    """One process's status and what it said."""
    reads, writes = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reads)
        sys.stderr = os.fdopen(writes, "w")
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        code: int | str | None = 0
        try:
            main(["run", recipe, "--run", run, "--quiet"])
        except SystemExit as end:
            code = end.code
        sys.stderr.close()
        os._exit(int(code or 0))
    os.close(writes)
    with os.fdopen(reads) as told:
        said = told.read()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said


if __name__ == "__main__":
    assert pipeline
    _recipe, _run, *_sizes = sys.argv[1:]
    print(json.dumps([start(_recipe, _run, int(size)) for size in _sizes]))  # noqa: T201
