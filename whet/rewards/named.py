"""Whether the rewards that a recipe names are there, read from the files' text: nothing is executed, no torch.

What only running a file can tell (an error while it is imported, a function that is made rather than written) is found
when the run starts, before its first stage.
"""

from collections.abc import Iterator
from pathlib import Path

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.rewards import REWARDS
from whet.rewards.load import REWARD_MODEL, no_function, reward_file
from whet.rewards.needs import GIVEN_IN_RL
from whet.rewards.signature import Parameters, columns_needed, parameters_of, signature_problem
from whet.rewards.source import SourceError, read_source

__all__ = ["reward_problems"]


def reward_problems(recipe: Recipe, *, folder: Path | None) -> list[str]:
    """One line per problem, `SETTING: what is wrong and what to do`, of every reward that the recipe mentions.

    `folder` is the recipe file's own, from which relative files are found before the current one; None without a file.
    """
    problems: list[str] = []
    seen: set[str] = set()
    for key, name in _mentioned(recipe):
        is_rl = key.startswith("rl.")
        if is_rl and name in seen:
            problems.append(f"{key}: reward {name!r} stands twice; give it once, the weights added")
        elif problem := _problem(name, folder, is_rl=is_rl):
            problems.append(f"{key}: reward {name!r}{problem}")
        seen.add(name)
    return problems


def _mentioned(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Every setting that names a reward, and what it names."""
    if recipe.rl is not None:
        for place, reward in enumerate(recipe.rl.rewards):
            yield f"rl.rewards.{place}.name", reward.name
    if recipe.evaluate is not None:
        yield "evaluate.reward", recipe.evaluate.reward


def _problem(name: str, folder: Path | None, *, is_rl: bool) -> str | None:
    """What follows the reward's name in the line, None for one that can be called."""
    if name == REWARD_MODEL and is_rl:
        return None
    try:
        needed = columns_needed(_parameters(name, folder))
    except RecipeError as error:
        return str(error).removeprefix(f"reward {name!r}")
    only_rl = [column for column in needed if column in GIVEN_IN_RL and not is_rl]
    return f" needs {only_rl[0]!r}, which only rl gives; name a verifier" if only_rl else None


def _parameters(name: str, folder: Path | None) -> Parameters:
    """What the function names, nothing where only running its file can tell; raises `RecipeError` for what is none."""
    found = reward_file(name, folder=folder)
    if found is None:
        return parameters_of(REWARDS[name])
    try:
        source = read_source(found.path)
    except SourceError as error:
        raise RecipeError(f"reward {name!r}: {error}") from error
    if (what := source.what_instead(found.function)) is not None:
        raise RecipeError(f"reward {name!r}: {no_function(found, what, source.possible())}")
    parameters = source.functions.get(found.function, {})
    problem = (signature_problem(parameters) if parameters else None) or source.missing_import
    if problem:
        raise RecipeError(f"reward {name!r}: {problem}")
    return parameters
