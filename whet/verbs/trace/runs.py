"""Which prepared data and which runs are searched, and what is found in each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import DataError, RunFolderError, did_you_mean
from whet.data.look.trace import Alike, find
from whet.data.look.view import Prepared, RowView, joined
from whet.data.manifest import manifest_hash
from whet.verbs.trace.outcomes import Outcome, RunRecord

__all__ = ["Hit", "Traced", "places_to_search", "text_of", "trace"]

DEFAULT_RUNS = Path("runs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Prepared data, and the runs that were made from it: their folders have the very same manifest."""

    data_dir: Path
    manifest: str
    runs: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A row that was asked for, or is like it, and what each run did with it."""

    place: Place
    alike: Alike
    row: RowView
    outcomes: tuple[tuple[RunRecord, tuple[Outcome, ...]], ...]

    @property
    def trained_by(self) -> list[tuple[Path, str]]:
        """The runs and stages that trained on it."""
        return [(run.path, outcome.stage) for run, found in self.outcomes for outcome in found if outcome.was_trained]

    def as_json(self) -> dict[str, Any]:
        runs = [
            {"run": str(run.path), "recorded": run.recorded, "stages": [outcome.as_json() for outcome in found]}
            for run, found in self.outcomes
        ]
        return {
            "kind": self.alike.kind,
            "score": self.alike.score,
            "trained_on": bool(self.trained_by),
            **self.row.as_json(),
            "data": str(self.place.data_dir),
            "manifest": self.place.manifest,
            "runs": runs,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """The hits that are shown, and how many there are.

    `runs` were searched; `others` have other data than the folder that was given; `unread` says which prepared data
    cannot be read, and why.
    """

    hits: tuple[Hit, ...]
    total: int
    runs: tuple[Path, ...]
    others: tuple[Path, ...]
    unread: tuple[str, ...] = ()


def text_of(wanted: str) -> str:
    """What is wanted, or what stands in the file after an `@`."""
    if not wanted.startswith("@"):
        return wanted
    path = Path(wanted[1:]).expanduser()
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise DataError(f"{path}: cannot be read ({reason}); @FILE takes the text from a file") from error


def places_to_search(folder: Path | None, runs: Sequence[Path]) -> tuple[list[Place], list[Path]]:
    """Each prepared data with its runs, and the runs with other data when `folder` is prepared data.

    Without a folder, the runs that are named, or those in `runs`.
    """
    given = [run for path in runs for run in _runs_in(path)]
    if folder is None:
        if not runs and not DEFAULT_RUNS.is_dir():
            raise RunFolderError("no folder was given and there is no runs/ here: whet data trace FOLDER WANTED")
        return _by_manifest(given if runs else _runs_in(DEFAULT_RUNS)), []
    if not (folder / "manifest.json").is_file():
        return _by_manifest(list(dict.fromkeys([*_runs_in(folder), *given]))), []
    if not runs:
        given = [folder.parent] if _is_run(folder.parent) and folder.name == "data" else []
        given = given or (_runs_in(DEFAULT_RUNS, may_be_none=True) if DEFAULT_RUNS.is_dir() else [])
    own = manifest_hash(folder)
    made = tuple(run for run in given if manifest_hash(run / "data") == own)
    return [Place(data_dir=folder, manifest=own, runs=made)], [run for run in given if run not in made]


def _is_run(folder: Path) -> bool:
    return (folder / "data" / "manifest.json").is_file()


def _runs_in(folder: Path, *, may_be_none: bool = False) -> list[Path]:
    """The folder itself when it is a run, else the runs in it."""
    if _is_run(folder):
        return [folder]
    if not folder.is_dir():
        near = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
        raise RunFolderError(f"{folder}: no such folder{did_you_mean(folder.name, near)}")
    found = sorted(path for path in folder.iterdir() if _is_run(path))
    if not found and not may_be_none:
        raise RunFolderError(f"{folder}: neither prepared data, a run, nor a folder of runs (no manifest.json in it)")
    return found


def _by_manifest(runs: Sequence[Path]) -> list[Place]:
    """Runs with the very same data are searched once."""
    by_hash: dict[str, list[Path]] = {}
    for run in runs:
        by_hash.setdefault(manifest_hash(run / "data"), []).append(run)
    return [Place(data_dir=same[0] / "data", manifest=hash_, runs=tuple(same)) for hash_, same in by_hash.items()]


def trace(folder: Path | None, wanted: str, *, runs: Sequence[Path] = (), count: int = 5) -> Traced:
    """At most `count` rows for each prepared data, the likest first, with what every run did with them."""
    text = text_of(wanted)
    if not text.strip():
        raise DataError("an id or a text was expected, but this is empty")
    places, others = places_to_search(folder, runs)
    opened, unread = _opened(places)
    hits: list[Hit] = []
    total = 0
    for place, prepared, alike in _searched(opened, text):
        shown = alike[:count]
        total += len(alike)
        records = [RunRecord(run) for run in place.runs]
        for row, view in zip(shown, prepared.views([found.place for found in shown]), strict=True):
            outcomes = tuple((record, tuple(record.outcomes(view, prepared.rows))) for record in records)
            hits.append(Hit(place=place, alike=row, row=view, outcomes=outcomes))
    searched = tuple(run for place, _ in opened for run in place.runs)
    return Traced(hits=tuple(hits), total=total, runs=searched, others=tuple(others), unread=tuple(unread))


def _opened(places: Sequence[Place]) -> tuple[list[tuple[Place, Prepared]], list[str]]:
    """One damaged or outdated run among others does not keep them from being searched; alone it is an error."""
    opened, unread = [], []
    for place in places:
        try:
            opened.append((place, Prepared(place.data_dir)))
        except DataError as error:
            if len(places) == 1:
                raise
            unread.append(str(error))
    return opened, unread


def _searched(places: Sequence[tuple[Place, Prepared]], wanted: str) -> Iterator[tuple[Place, Prepared, list[Alike]]]:
    """An id that is known in one data set stands for its text in the others."""
    found = []
    text: str | None = None
    for place, prepared in places:
        alike = find(prepared, wanted)
        if text is None and alike and alike[0].kind == "id":
            text = joined(prepared.views([alike[0].place])[0].prompt)
        found.append((place, prepared, alike))
    for place, prepared, alike in found:
        yield place, prepared, alike if alike or text is None else find(prepared, text)
