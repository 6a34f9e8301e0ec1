"""Whether the files that a recipe's rows come from are there and can be read as such: from names and first rows."""

from collections.abc import Iterator
from pathlib import Path

from whet.core.errors import DataError
from whet.core.recipe import DataSettings, Recipe
from whet.core.recipe.data import sources_in
from whet.core.records import EVALUATION_PURPOSES
from whet.data.sources.read import require_readable
from whet.data.sources.request import Request, request_for

__all__ = ["data_problems", "seen_data_problems"]


def data_problems(recipe: Recipe, folder: Path | None) -> list[str]:
    """Every source, of rows and of benchmarks; `data.earlier` must be a folder that was prepared."""
    settings = recipe.data
    problems = [problem for key, request in _requests(settings) for problem in _problems(key, request)]
    if settings.earlier is not None and not (Path(settings.earlier) / "manifest.json").is_file():
        problems.append(f"data.earlier: {settings.earlier}: no manifest.json; give a folder that whet prepared")
    return problems


def seen_data_problems(recipe: Recipe, folder: Path | None) -> list[str]:
    """`evaluate.contamination`: files, folders, hub ids; runs and prepared folders are known by their manifest."""
    problems: list[str] = []
    for name in recipe.evaluate.contamination if recipe.evaluate is not None else ():
        is_prepared = any((path / "manifest.json").is_file() for path in (Path(name), Path(name) / "data"))
        if not is_prepared:
            problems += _problems("evaluate.contamination", request_for(name, recipe.data))
    return problems


def _requests(settings: DataSettings) -> Iterator[tuple[str, Request]]:
    """Each source with the setting that names it."""
    for source in sources_in(settings):
        yield "data.source", request_for(source, settings)
    if settings.preferences is not None:
        yield "data.preferences", request_for(settings.preferences, settings)
    for purpose, source in settings.pinned.items():
        is_held_out = purpose in EVALUATION_PURPOSES
        yield f"data.pinned.{purpose}", request_for(source, settings, is_held_out=is_held_out)
    for source in settings.benchmarks:
        yield "data.benchmarks", request_for(source, settings, is_held_out=True)


def _problems(key: str, request: Request) -> list[str]:
    try:
        require_readable(request)
    except DataError as error:
        return [str(error) if str(error).startswith("data.") else f"{key}: {error}"]
    return []
