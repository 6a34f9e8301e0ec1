"""The folder that a preparation is written into: made when it is not there, and never somebody else's."""

import os
from collections.abc import Iterable
from pathlib import Path

from whet.core.errors import DataError
from whet.core.files import sweep_leftovers
from whet.core.records import PURPOSES
from whet.data.manifest import UNUSED
from whet.data.readers.files import is_data_file

__all__ = ["make_ready"]

# What a preparation, and the run around it, leaves in its folder.
_OURS = {"manifest.json", "rejected.jsonl", "edges.parquet", "complete.json"} | {
    f"{name}.parquet" for name in (*PURPOSES, UNUSED)
}
_SHOWN = 5


def make_ready(out: Path, sources: Iterable[str]) -> None:
    """Make the folder and take out of it what an interrupted preparation left half-written.

    `DataError` when it cannot be made, when it holds what no preparation wrote, or when it lies inside a source, which
    would be read with the files in it the next time.
    """
    try:
        around = next((name for name in sources if _is_read_with(out, name)), None)
        if around is None:
            out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{out}: no folder can be made there ({reason}); give another one") from error
    if around is not None:
        raise DataError(f"{out}: lies inside the source {around} and would be read as a part of it; give another one")
    found = sorted(file.name for file in out.iterdir() if not file.name.startswith("."))
    foreign = [name for name in found if name not in _OURS]
    if foreign and (len(foreign) == len(found) or any(is_data_file(out / name) for name in foreign)):
        names = ", ".join(foreign[:_SHOWN]) + (f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else "")
        raise DataError(
            f"{out}: holds what no preparation wrote ({names}); give a folder that is new, empty or was prepared before"
        )
    sweep_leftovers(out)


def _is_read_with(out: Path, name: str) -> bool:
    """Whether reading the folder `name` would read what lies in `out`: hidden folders are left out."""
    if not name or not os.path.isdir(name):  # noqa: PTH112 - False for what cannot be a name, where Path raises
        return False
    folder, inner = Path(name).resolve(), out.resolve()
    return inner.is_relative_to(folder) and not any(part.startswith(".") for part in inner.relative_to(folder).parts)
