"""Rewards found by name: in the table, or as a function in a file."""

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from whet.core.errors import RecipeError, did_you_mean
from whet.core.files import file_sha256
from whet.rewards import REWARDS
from whet.rewards.signature import parameters_of, signature_problem

__all__ = ["REWARD_MODEL", "RewardFile", "load_reward", "no_function", "reward_file"]

REWARD_MODEL = "reward_model"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardFile:
    """A reward that is a function in a file: `RewardFile(name="my.py:short", path=Path("a/my.py"), function="short")`.

    `name` is what the recipe says, and what every record of a run says; `path` is where that was found on this machine.
    """

    name: str
    path: Path
    function: str

    @property
    def sha256(self) -> str:
        """Of the file's bytes; what it imports is not in it."""
        return file_sha256(self.path)


def reward_file(name: str, *, folder: Path | None = None) -> RewardFile | None:
    """Which file and function a name means, None for a name of the table.

    `file.py:function` is looked for in `folder`, the recipe's own, then in the current folder. Raises `RecipeError` for
    what is neither.
    """
    if name in REWARDS:
        return None
    if name == REWARD_MODEL:
        raise RecipeError(f"reward {name!r} is the model that a run trains; only that run's rl.rewards can name it")
    file, colon, function = name.rpartition(":")
    if name.endswith(".py"):
        raise RecipeError(f"reward {name!r}: name the function too, as {name}:FUNCTION")
    if not colon or not file.endswith(".py"):
        raise RecipeError(
            f"reward {name!r} is not known{did_you_mean(name, [*REWARDS, REWARD_MODEL])} (or file.py:function)"
        )
    return RewardFile(name=name, path=_found(name, file, folder), function=function)


def _found(name: str, file: str, folder: Path | None) -> Path:
    places = [Path(file)] if folder is None else [folder / file, Path(file)]
    for path in places:
        if path.is_file():
            return path
    near = sorted({other.name for path in places for other in path.parent.glob("*.py")})
    hint = did_you_mean(Path(file).name, near)
    if Path(file).is_absolute() or folder is None or folder.resolve() == Path.cwd():
        raise RecipeError(f"reward {name!r}: no such file {file}{hint}")
    raise RecipeError(
        f"reward {name!r}: no such file {file}, neither in the recipe's folder ({folder}) nor in the current one{hint}"
    )


def load_reward(name: str, *, folder: Path | None = None) -> Callable[..., Any]:
    """A reward of the table, or `file.py:function` as `reward_file` finds it. The file is executed.

    The same file with the same content is executed once in a process, so that what it holds lives on.
    """
    found = reward_file(name, folder=folder)
    if found is None:
        return REWARDS[name]
    module = _import(found)
    function = getattr(module, found.function, None)
    if not callable(function) or inspect.isclass(function):
        what = "is a class" if inspect.isclass(function) else ""
        raise RecipeError(f"reward {name!r}: {no_function(found, what, _functions(module))}")
    if problem := signature_problem(parameters_of(function)):
        raise RecipeError(f"reward {name!r}: {problem}")
    reward: Callable[..., Any] = function
    return reward


def no_function(reward: RewardFile, what: str, functions: Sequence[str]) -> str:
    """What is said when the name is no function: `what` it is instead, "" when it is nothing."""
    place = reward.name.rpartition(":")[0]
    if what:
        return f"{reward.function!r} in {place} {what}; a function was expected"
    return f"{place} has no function {reward.function!r}{did_you_mean(reward.function, functions)}"


def _functions(module: ModuleType) -> list[str]:
    """What the file itself defines and can be called, classes left out."""
    return [
        key
        for key, value in vars(module).items()
        if callable(value) and not inspect.isclass(value) and getattr(value, "__module__", None) == module.__name__
    ]


def _import(reward: RewardFile) -> ModuleType:
    """The file as a module of its own, registered because dataclasses and the like look their module up."""
    path = reward.path.resolve()
    identity = hashlib.sha256(f"{path}\n{reward.sha256}".encode()).hexdigest()[:16]
    unique = f"whet_reward_{path.stem}_{identity}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # foreign code
        del sys.modules[unique]
        raise RecipeError(
            f"reward {reward.name!r}: {reward.path} fails when imported ({type(error).__name__}: {error})"
        ) from error
    return module
