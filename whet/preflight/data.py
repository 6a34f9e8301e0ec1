"""Whether the files that a recipe's rows come from are there and can be read as such: from names and first rows."""

from pathlib import Path

from whet.core.errors import DataError
from whet.core.recipe import Recipe
from whet.data.sources.read import require_readable
from whet.data.sources.request import Request, request_for, requests_in

__all__ = ["data_problems", "seen_data_problems"]


def data_problems(recipe: Recipe, folder: Path | None) -> list[str]:
    """Every source, of rows and of benchmarks; `data.earlier` must be a folder that was prepared."""
    settings = recipe.data
    problems = [problem for key, request in requests_in(settings) for problem in _problems(key, request)]
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


def _problems(key: str, request: Request) -> list[str]:
    try:
        require_readable(request)
    except DataError as error:
        return [str(error) if str(error).startswith("data.") else f"{key}: {error}"]
    return []
