"""A file's rows, by the reader of its ending."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.readers import READERS
from whet.data.readers.lines import Reading, bare_name

__all__ = ["ENDINGS", "file_rows", "is_data_file"]

ENDINGS = tuple(READERS)
# Ways to pack a file that are not read.
_PACKED = (".bz2", ".xz", ".zip", ".lz4", ".7z", ".br", ".lzma")
_AS_IT_IS = Reading()


def is_data_file(path: Path) -> bool:
    """Whether the name is that of rows: of a file which `file_rows` reads, or refuses for how it is packed."""
    return any(Path(name).suffix.lower() in ENDINGS for name in (bare_name(path), _unpacked_name(path)))


def _unpacked_name(path: Path) -> str:
    return path.stem if path.suffix.lower() in _PACKED else path.name


def file_rows(path: Path, reading: Reading = _AS_IT_IS) -> Iterator[Any]:
    """Every row as JSON has it, or `Broken`. `DataError` when the file as a whole cannot be read, maybe half-way.

    What `reading` names matters to tables only: if it calls columns by their places, `"1"`, `"2"`, and the first line
    does not hold such names, then that line is a row, and the columns are called by their places.
    """
    ending = Path(bare_name(path)).suffix.lower()
    if ending not in READERS:
        raise DataError(
            f"{path}: unknown ending {ending!r}; known: {', '.join(ENDINGS)}, the text ones also with .gz or .zst"
        )
    yield from READERS[ending](path, reading)
