"""Rewards found by name, called safely, and added up with their parts kept. A part that fails is never a 0."""

import asyncio
import importlib.util
import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from whet.core.errors import RecipeError, did_you_mean
from whet.core.recipe import RewardSettings
from whet.core.records import Prompt, Rollout, Score
from whet.rewards import REWARDS

__all__ = ["RewardSum", "call_reward", "load_reward"]

REWARD_MODEL = "reward_model"
# One part's verdict on one completion: a number, None (does not apply), or why it failed.
Verdict = float | str | None


class Scorer(Protocol):
    """What a reward model offers."""

    def scores(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[str]]) -> list[list[float]]:
        """One list of scores per prompt."""


def load_reward(name: str) -> Callable[..., Any]:
    """A reward of the table, or `file.py:function`."""
    if name in REWARDS:
        return REWARDS[name]
    file, colon, function = name.rpartition(":")
    if not colon or not file.endswith(".py"):
        raise RecipeError(
            f"reward {name!r} is not known{did_you_mean(name, [*REWARDS, REWARD_MODEL])} (or file.py:function)"
        )
    path = Path(file)
    if not path.is_file():
        raise RecipeError(f"reward {name!r}: no such file {file}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RecipeError(f"reward {name!r}: {file} fails when imported ({type(error).__name__}: {error})") from error
    found = getattr(module, function, None)
    if not callable(found):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise RecipeError(f"reward {name!r}: {file} has no function {function!r}{did_you_mean(function, functions)}")
    reward: Callable[..., Any] = found
    return reward


def call_reward(
    reward: Callable[..., Any],
    prompts: Sequence[str],
    completions: Sequence[str],
    completion_ids: Sequence[Sequence[int]],
    columns: Mapping[str, Sequence[Any]],
) -> list[Verdict]:
    """A verdict per completion, whatever the function does.

    `f(completion, **row)` is called once per completion; anything else as TRL does, with `prompts`, `completions`,
    `completion_ids` and each column as a list, and may be async. An exception, a wrong count, a value that is no
    number or not finite becomes a reason, not a score.
    """
    if next(iter(inspect.signature(reward).parameters), "") == "completion":
        rows = [{name: values[index] for name, values in columns.items()} for index in range(len(completions))]
        return [_one(reward, text, row) for text, row in zip(completions, rows, strict=True)]
    try:
        values = reward(prompts=prompts, completions=completions, completion_ids=completion_ids, **columns)
        if inspect.isawaitable(values):
            values = asyncio.run(_awaited(values))
        values = list(values)
    except Exception as error:  # a reward is foreign code: whatever it raises is recorded for its rows
        return [f"{type(error).__name__}: {error}"] * len(completions)
    if len(values) != len(completions):
        return [f"gave {len(values)} values for {len(completions)} completions"] * len(completions)
    return [_checked(value) for value in values]


async def _awaited(value: Any) -> Any:
    return await value


def _one(reward: Callable[..., Any], completion: str, row: Mapping[str, Any]) -> Verdict:
    try:
        return _checked(reward(completion, **row))
    except Exception as error:  # likewise, for this row
        return f"{type(error).__name__}: {error}"


def _checked(value: Any) -> Verdict:
    if value is None:
        return None
    if not isinstance(value, int | float):
        return f"gave {type(value).__name__}, not a number"
    return float(value) if math.isfinite(value) else f"gave {value}, not a finite number"


class RewardSum:
    """The weighted sum of a recipe's rewards. Parts that do not apply (None) are left out of the sum.

    When a part fails, the completion has no value: half a sum would be compared with whole ones.
    """

    def __init__(self, rewards: Sequence[RewardSettings], *, learned: Scorer | None = None) -> None:
        self.rewards = rewards
        self.learned = learned
        self.functions = {reward.name: load_reward(reward.name) for reward in rewards if reward.name != REWARD_MODEL}
        assert learned is not None or all(reward.name != REWARD_MODEL for reward in rewards)

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Score]:
        """One score per rollout, in order."""
        began = time.perf_counter()
        parts = {reward.name: self._part(reward.name, rollouts) for reward in self.rewards}
        seconds = (time.perf_counter() - began) / max(1, len(rollouts))
        return [
            self._score({name: verdicts[index] for name, verdicts in parts.items()}, seconds)
            for index in range(len(rollouts))
        ]

    def _part(self, name: str, rollouts: Sequence[Rollout]) -> list[Verdict]:
        if name == REWARD_MODEL:
            return self._learned(rollouts)
        columns: dict[str, list[Any]] = {"answer": [rollout.prompt.answer for rollout in rollouts]}
        for key in sorted({key for rollout in rollouts for key in rollout.prompt.columns}):
            columns[key] = [rollout.prompt.columns.get(key) for rollout in rollouts]
        for reserved in ("completions", "prompts", "completion_ids", "completion", "ranks"):
            columns.pop(reserved, None)
        return call_reward(
            self.functions[name],
            [rollout.prompt.text for rollout in rollouts],
            [rollout.text for rollout in rollouts],
            [rollout.completion_ids for rollout in rollouts],
            columns,
        )

    def _learned(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        assert self.learned is not None
        groups: dict[str, list[int]] = {}
        for index, rollout in enumerate(rollouts):
            groups.setdefault(rollout.prompt.id, []).append(index)
        prompts = [rollouts[rows[0]].prompt for rows in groups.values()]
        texts = [[rollouts[row].text for row in rows] for rows in groups.values()]
        verdicts: list[Verdict] = [None] * len(rollouts)
        for rows, scores in zip(groups.values(), self.learned.scores(prompts, texts), strict=True):
            for row, score in zip(rows, scores, strict=True):
                verdicts[row] = _checked(score)
        return verdicts

    def _score(self, verdicts: Mapping[str, Verdict], seconds: float) -> Score:
        failed = [f"{name}: {verdict}" for name, verdict in verdicts.items() if isinstance(verdict, str)]
        parts = {name: None if isinstance(verdict, str) else verdict for name, verdict in verdicts.items()}
        applying = [reward.weight * value for reward in self.rewards if (value := parts[reward.name]) is not None]
        if failed:
            return Score(value=None, parts=parts, unscorable="; ".join(failed)[:500], seconds=seconds)
        if not applying:
            return Score(value=None, parts=parts, unscorable="no reward applies to this row", seconds=seconds)
        return Score(value=math.fsum(applying), parts=parts, seconds=seconds)
