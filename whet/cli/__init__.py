"""The command line: words in, recipe out, one function called. No logic, and no torch before the recipe is valid.

Exit codes: 0 done, 1 the run or the proof failed, 2 the command or its input is wrong, 130 interrupted.
"""

import errno
import io
import os
import sys
from collections.abc import Sequence

import cyclopts

from whet.cli import contamination, data, look, run, start  # noqa: F401  (they add their verbs to the app)
from whet.cli.app import app, fail
from whet.core.errors import RecipeError, RunFolderError, TrainingStoppedError, WhetError
from whet.core.runlog import printable

__all__ = ["app", "main"]

_LONGEST_LINE = 2000
# What a full or forbidden disk answers; anything else of the operating system's errors is our mistake.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `whet` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character shows its escape
            stream.reconfigure(errors="backslashreplace")
    try:
        app(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except TrainingStoppedError as error:
        fail(str(error), 1)
    except RecipeError as error:
        fail(str(error), 2)
    except RunFolderError as error:
        fail("\n".join(printable(line, limit=_LONGEST_LINE) for line in str(error).split("\n")), 2)
    except WhetError as error:
        fail(printable(str(error), limit=_LONGEST_LINE).replace("\n", "\\n"), 2)
    except cyclopts.CycloptsError as error:
        fail(f"whet: {str(error).strip()} (see whet --help)", 2)
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror}; what was saved stays saved, and the same command goes on from there", 1)
