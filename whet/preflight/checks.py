"""Everything that can be known to fail before a run does anything, all of it at once.

Add a check: write a function `(recipe, folder of the recipe's file) -> problems`, each one line `SETTING: what is wrong
and what to do`, and put it into CHECKS with the stages that need what it looks at. It may take some hundredths of a
second, and changes nothing.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from whet.core.errors import ModelError, RecipeError
from whet.core.recipe import STAGES, Recipe, Stage
from whet.core.recipe.file import LoadedRecipe
from whet.core.runlog import printable
from whet.models.folder.check import folder_problems
from whet.models.folder.found import EMBEDDED, local_folder
from whet.preflight.data import data_problems, seen_data_problems
from whet.preflight.limits import limit_problems
from whet.preflight.reads import reads_base
from whet.rewards.named import reward_problems

__all__ = ["CHECKS", "Check", "require_ready"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`problems` looks; `needed_by` tells for a stage that is still to be done whether it needs what is looked at."""

    problems: Callable[[Recipe, Path | None], list[str]]
    needed_by: Callable[[Stage, Recipe], bool]


def stage_problems(recipe: Recipe, folder: Path | None) -> list[str]:
    """A recipe that names no stage, not even data, would draw a report of what nobody asked for."""
    if set(recipe.stages()) > {"data", "report"} or "data" in recipe.model_fields_set:
        return []
    return [
        "stages: the recipe names none; add sft, reward_model, rl or evaluate (`whet init demo` writes all of them), "
        "or data to prepare rows alone"
    ]


def model_problems(recipe: Recipe, folder: Path | None) -> list[str]:
    """The base model's folder as it lies there; one of the hub as far as it is in the cache."""
    try:
        found = local_folder(recipe.model)
        problems = [] if found is None or recipe.model in EMBEDDED else folder_problems(found)
    except ModelError as error:
        problems = [str(error)]
    return [f"model: {problem.removeprefix('model ')}" for problem in problems]


def _is(*names: Stage) -> Callable[[Stage, Recipe], bool]:
    return lambda stage, recipe: stage in names


CHECKS: Mapping[str, Check] = {
    "stages": Check(problems=stage_problems, needed_by=_is(*STAGES)),
    "data": Check(problems=data_problems, needed_by=_is("data")),
    "model": Check(problems=model_problems, needed_by=reads_base),
    "limits": Check(problems=limit_problems, needed_by=_is("sft", "reward_model", "rl", "evaluation")),
    "rewards": Check(
        problems=lambda recipe, folder: reward_problems(recipe, folder=folder), needed_by=_is("rl", "evaluation")
    ),
    "seen data": Check(problems=seen_data_problems, needed_by=_is("evaluation")),
}


def require_ready(loaded: LoadedRecipe, run: Path | None = None) -> None:
    """Raise one `RecipeError` with a line per problem, each with its place in the recipe.

    What only stages need that are complete in the folder `run` is not looked at: a run may be moved away from its
    sources.
    """
    todo = [stage for stage in loaded.recipe.stages() if run is None or not (run / stage / "complete.json").exists()]
    problems = [problem for check in CHECKS.values() for problem in _problems(check, loaded, todo)]
    if problems:
        raise RecipeError([_placed(problem, loaded) for problem in problems])


def _problems(check: Check, loaded: LoadedRecipe, todo: Collection[Stage]) -> list[str]:
    recipe = loaded.recipe
    return check.problems(recipe, loaded.folder) if any(check.needed_by(stage, recipe) for stage in todo) else []


def _placed(problem: str, loaded: LoadedRecipe) -> str:
    """`demo.yaml:7: model: ...`; a flag is the setting's name already."""
    key, _, text = problem.partition(": ")
    place = loaded.where(key)
    line = f"{place}: {text}" if place == f"--{key.replace('_', '-')}" else f"{place}: {problem}"
    return printable(line, limit=1000).replace("\n", "\\n")
