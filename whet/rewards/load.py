"""Rewards found by name: in the table, or as a function in a file."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from whet.core.errors import RecipeError, did_you_mean
from whet.rewards import REWARDS

__all__ = ["REWARD_MODEL", "load_reward"]

REWARD_MODEL = "reward_model"


def load_reward(name: str) -> Callable[..., Any]:
    """A reward of the table, or `file.py:function`, the file as seen from the current folder. The file is executed."""
    if name in REWARDS:
        return REWARDS[name]
    if name == REWARD_MODEL:
        raise RecipeError(f"reward {name!r} is the model that a run trains; only that run's rl.rewards can name it")
    file, colon, function = name.rpartition(":")
    if name.endswith(".py"):
        raise RecipeError(f"reward {name!r}: name the function too, as {name}:FUNCTION")
    if not colon or not file.endswith(".py"):
        raise RecipeError(
            f"reward {name!r} is not known{did_you_mean(name, [*REWARDS, REWARD_MODEL])} (or file.py:function)"
        )
    path = Path(file)
    if not path.is_file():
        raise RecipeError(f"reward {name!r}: no such file {file}")
    module = _import(path, name)
    found = getattr(module, function, None)
    if not callable(found):
        functions = [
            key for key, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__
        ]
        raise RecipeError(f"reward {name!r}: {file} has no function {function!r}{did_you_mean(function, functions)}")
    reward: Callable[..., Any] = found
    return reward


def _import(path: Path, name: str) -> ModuleType:
    """The file as a module of its own, registered because dataclasses and the like look their module up."""
    unique = f"whet_reward_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # foreign code
        del sys.modules[unique]
        raise RecipeError(f"reward {name!r}: {path} fails when imported ({type(error).__name__}: {error})") from error
    return module
