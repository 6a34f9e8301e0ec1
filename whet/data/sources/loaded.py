"""Rows through the `datasets` library: a hub id, a folder that it saved, a folder with a data set card."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.data.readers.lines import in_one_line

__all__ = ["has_hub_card", "loaded_rows", "was_saved"]


def was_saved(folder: Path) -> bool:
    """Whether `datasets` wrote this folder."""
    return (folder / "dataset_info.json").is_file() or (folder / "dataset_dict.json").is_file()


def has_hub_card(folder: Path) -> bool:
    """Whether the folder's README says, as the hub's do, which files are which configuration and split."""
    card = folder / "README.md"
    if not card.is_file():
        return False
    text = card.read_text(encoding="utf-8", errors="replace")
    return text.startswith("---") and re.search(r"^(configs|dataset_info):", text, re.MULTILINE) is not None


def loaded_rows(name: str, settings: DataSettings, *, from_disk: bool) -> Iterator[Any]:
    """The rows of the split, mapped from disk one at a time."""
    import datasets

    datasets.disable_progress_bars()
    try:
        yield from _split_of(name, settings, from_disk=from_disk)
    except (OSError, ValueError, RuntimeError, ImportError, datasets.exceptions.DatasetsError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"data source {name!r} cannot be loaded ({in_one_line(error)}); give a file, a folder, or a hub id, and "
            "for a hub id data.config and data.split"
        ) from error


def _split_of(name: str, settings: DataSettings, *, from_disk: bool) -> Any:
    import datasets

    if not from_disk:
        return datasets.load_dataset(name, settings.config, split=settings.split)
    loaded = datasets.load_from_disk(name)
    if not isinstance(loaded, datasets.DatasetDict):
        return loaded
    if settings.split not in loaded:
        raise DataError(f"{name}: no split {settings.split!r}; it has {', '.join(map(str, loaded))}")
    return loaded[settings.split]
