"""The files that a preparation reads, by the names under which their digests are recorded; and what cannot be compared.

A finished run compares what it was made from: `preflight.reads` lists these files for the stage `data`, and a file that
was edited, added or taken away since is refused by name.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.data.sources.folders import data_files, folder_files, is_path, shown_name
from whet.data.sources.loaded import is_of_datasets
from whet.data.sources.request import Request, requests_in

__all__ = ["hub_sources", "source_files"]


def source_files(settings: DataSettings) -> dict[str, Path]:
    """Where each file lies that is read: `{"source:train.jsonl": Path("/data/train.jsonl")}`; absent ones are left out.

    Names hold no path of this machine; the second file of a name is called `NAME (2)`, as in the manifest.
    """
    files: dict[str, Path] = {}
    seen: Counter[str] = Counter()
    for name, path in _named(settings):
        seen[name] += 1
        files[f"source:{name}" if seen[name] == 1 else f"source:{name} ({seen[name]})"] = path
    return files


def hub_sources(settings: DataSettings) -> tuple[str, ...]:
    """The sources that are neither files nor embedded: nobody compares what the hub holds under their names today."""
    names = (request.name for _, request in requests_in(settings))
    return tuple(name for name in names if not (name.startswith("whet:") or is_path(name) or Path(name).exists()))


def _named(settings: DataSettings) -> Iterator[tuple[str, Path]]:
    for _, request in requests_in(settings):
        path = Path(request.name).expanduser()
        if path.is_file():
            yield shown_name(path.name), path
        elif path.is_dir():
            yield from _in_folder(path, request)
    if settings.earlier is not None:
        manifest = Path(settings.earlier) / "manifest.json"
        yield f"{manifest.parent.name}/manifest.json", manifest


def _in_folder(path: Path, request: Request) -> Iterator[tuple[str, Path]]:
    try:
        files = data_files(path) if is_of_datasets(path, request) else folder_files(path, request).files
    except (DataError, OSError):  # whoever reads it says what is wrong
        return
    for file in files:
        yield shown_name(file.relative_to(path).as_posix()), file
