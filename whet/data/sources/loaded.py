"""Rows through the `datasets` library: a hub id, a folder that it saved, a folder with a data set card."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.readers.lines import Broken, in_one_line, too_long
from whet.data.sources.request import Request

__all__ = ["is_of_datasets", "loaded_rows", "was_saved"]


def is_of_datasets(folder: Path, request: Request) -> bool:
    """Whether `datasets` is to read the folder: it wrote it, or a configuration or a card says how to."""
    return was_saved(folder) or request.config is not None or _has_hub_card(folder)


def was_saved(folder: Path) -> bool:
    """Whether `datasets` wrote this folder."""
    return (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file()


def _has_hub_card(folder: Path) -> bool:
    """Whether the folder's README says, as the hub's do, which files are which configuration and split."""
    card = folder / "README.md"
    if not card.is_file():
        return False
    text = card.read_text(encoding="utf-8", errors="replace")
    return text.startswith("---") and re.search(r"^(configs|dataset_info):", text, re.MULTILINE) is not None


def loaded_rows(name: str, request: Request, *, from_disk: bool) -> Iterator[Any]:
    """The rows of the split, mapped from disk one at a time."""
    import datasets

    datasets.disable_progress_bars()
    try:
        for row in _undecoded(_split_of(name, request, from_disk=from_disk)):
            yield row if _size(row) <= request.max_row_bytes else Broken(None, too_long(request.reading), "")
    except (OSError, ValueError, RuntimeError, ImportError, datasets.exceptions.DatasetsError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"data source {name!r} cannot be loaded ({in_one_line(error)}); give a file, a folder, or a hub id, and "
            "for a hub id data.config and data.split"
        ) from error


def _split_of(name: str, request: Request, *, from_disk: bool) -> Any:
    import datasets

    if not from_disk:
        return datasets.load_dataset(name, request.config, split=request.split)
    loaded = datasets.load_from_disk(name)
    if not isinstance(loaded, datasets.DatasetDict):
        return loaded
    if request.split not in loaded:
        raise DataError(f"{name}: no split {request.split!r}; it has {', '.join(map(str, loaded))}")
    return loaded[request.split]


def _undecoded(rows: Any) -> Any:
    """The rows with pictures and sounds as the files have them: nothing here looks at them."""
    for name, feature in (rows.features or {}).items():
        if getattr(feature, "decode", False):
            rows = rows.cast_column(name, type(feature)(decode=False))
    return rows


def _size(value: Any) -> int:
    """About how many bytes a row's values take."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 8
