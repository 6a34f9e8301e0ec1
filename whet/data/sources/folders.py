"""Which files of a folder are read: those of the split, and never for training what its name calls held out."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.runlog import printable
from whet.data.readers.files import ENDINGS, is_data_file
from whet.data.readers.lines import COMPRESSIONS
from whet.data.sources.request import Request

__all__ = ["FolderFiles", "data_files", "folder_files", "is_held_out_split", "is_path", "shown_name"]

# What `datasets` writes beside its data files.
_METADATA = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
# The words that name one split, as the hub understands them and as people write them.
_TRAINING = frozenset("train trains training trainset".split())
_VALIDATION = frozenset("validation validate valid val valset dev devel devset development".split())
_TEST = frozenset("test tests testing testset eval evals evaluation evalset".split())
_OTHER_HELD_OUT = frozenset("heldout holdout unseen benchmark benchmarks".split())
_GROUPS = (_TRAINING, _VALIDATION, _TEST)
_HELD_OUT = _VALIDATION | _TEST | _OTHER_HELD_OUT
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SHOWN = 8

Kind = Literal["training", "held out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFiles:
    """The files to read, and the data files beside them that are not read."""

    files: tuple[Path, ...]
    left_out: tuple[Path, ...]


def shown_name(name: str) -> str:
    """A file's name as text that can be written and printed; names are bytes, with line ends and worse in them."""
    return printable(name).replace("\n", "\\n")


def is_path(name: str) -> bool:
    """Whether a name that nothing lies under can only have been meant as a path, and not as a hub id."""
    is_rooted, ending = name.startswith((".", "/", "~")), Path(name).suffix
    return is_rooted or ending in (*ENDINGS, *COMPRESSIONS) or name.count("/") > 1


def is_held_out_split(value: object) -> bool:
    """Whether a row's `split` says that it is held out: `test`, `validation`, `Held-Out`."""
    return isinstance(value, str) and _kind_of_words(_words(value)) == "held out"


def folder_files(folder: Path, request: Request) -> FolderFiles:
    """The data files of a folder, hidden ones left out, that the request is for; `DataError` when there are none.

    For training: those called training, or, where none is, all that are not called held out. To be evaluated on: those
    called held out, or all where none is. A split that was asked for by name chooses by that name.
    """
    there = data_files(folder)
    _refuse_prepared(there)
    chosen = _chosen(there, folder, request)
    unreadable = next((file for file in chosen if not file.is_file()), None)
    if unreadable is not None:
        raise DataError(f"{unreadable}: neither a file nor a folder; take it out of {folder}")
    if not there:
        raise DataError(f"{folder}: no data file in this folder; known endings: {', '.join(ENDINGS)}")
    if not chosen:
        names = ", ".join(file.relative_to(folder).as_posix() for file in there[:_SHOWN])
        if request.split != DataSettings().split:
            raise DataError(f"{folder}: no file of it is of the split {request.split!r} ({names}); see data.split")
        raise DataError(
            f"{folder}: all its files are called held out ({names}); give the file itself, or its data.split, to train "
            "on it all the same"
        )
    return FolderFiles(files=tuple(chosen), left_out=tuple(file for file in there if file not in set(chosen)))


def data_files(folder: Path) -> list[Path]:
    """Every file of the folder and its folders that may hold rows, hidden ones and what `datasets` adds left out."""
    return sorted(file for file in folder.rglob("*") if _holds_rows(file, folder))


def _holds_rows(file: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return is_data_file(file) and not file.is_dir() and file.name not in _METADATA and not is_hidden


def _refuse_prepared(files: list[Path]) -> None:
    for file in files:
        if file.name == "manifest.json" and (file.parent / "ft_train.parquet").is_file():
            raise DataError(f"{file.parent}: was prepared by whet; give the files that its rows came from")


def _chosen(there: list[Path], folder: Path, request: Request) -> list[Path]:
    if request.split != DataSettings().split:
        wanted = next((group for group in _GROUPS if request.split.casefold() in group), {request.split.casefold()})
        return [file for file in there if wanted & _naming_words(file, folder, frozenset(wanted))]
    kinds = {file: _kind(file, folder) for file in there}
    order: tuple[Kind | None, ...] = ("held out", None, "training") if request.is_held_out else ("training", None)
    return next((found for kind in order if (found := [file for file in there if kinds[file] == kind])), [])


def _kind(file: Path, folder: Path) -> Kind | None:
    """What the nearest part of the path that says anything calls the file."""
    words = _naming_words(file, folder, _HELD_OUT | _TRAINING)
    return _kind_of_words(words)


def _kind_of_words(words: frozenset[str]) -> Kind | None:
    if words & _HELD_OUT:
        return "held out"
    return "training" if words & _TRAINING else None


def _naming_words(file: Path, folder: Path, known: frozenset[str]) -> frozenset[str]:
    """The words of the file's name, or of the nearest folder above it, that has one of the known words."""
    parts = file.relative_to(folder).parts
    return next((words for part in reversed(parts) if (words := _words(part)) & known), frozenset())


def _words(name: str) -> frozenset[str]:
    """`test-00000-of-00001.parquet` -> test, of, parquet; `HeldOut`, `held_out` -> held, out and heldout."""
    words = [word.casefold() for word in _WORDS.findall(name)]
    pairs = {first + second for first, second in pairwise(words)} & _OTHER_HELD_OUT
    return frozenset(words) | pairs
