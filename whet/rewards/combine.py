"""Rewards added up with their parts kept. A part that fails is never a 0."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from whet.core.recipe import RewardSettings
from whet.core.records import Prompt, Rollout, Score
from whet.rewards.call import Verdict, call_reward
from whet.rewards.columns import columns_of
from whet.rewards.groups import groups_of, stand_ins
from whet.rewards.load import REWARD_MODEL, load_reward
from whet.rewards.needs import GIVEN_IN_RL, require_columns

__all__ = [
    "REWARD_MODEL",
    "RewardSum",
    "Scorer",
    "call_reward",
    "finite_score",
    "load_reward",
    "total_score",
]


class Scorer(Protocol):
    """What a reward model offers."""

    def scores_of(self, rollouts: Sequence[Rollout]) -> list[float | str]:
        """One score per rollout, in order; in place of one, why there is none."""


def finite_score(score: float | str) -> Verdict:
    """A reward model's score as a verdict."""
    return score if isinstance(score, str) or math.isfinite(score) else f"gave {score}, not a finite number"


def total_score(
    weights: Sequence[tuple[str, float]],
    verdicts: Mapping[str, Verdict],
    *,
    seconds: float,
    stand_in: Mapping[str, float] | None = None,
) -> Score:
    """The weighted sum over the parts that apply; no value, and why, when a part failed or none applies.

    `stand_in` has what counts for parts that do not apply where they do to others of the group.
    """
    failed = [f"{name}: {verdict}" for name, verdict in verdicts.items() if isinstance(verdict, str)]
    parts = {name: None if isinstance(verdict, str) else verdict for name, verdict in verdicts.items()}
    applying = [weight * value for name, weight in weights if (value := parts[name]) is not None]
    if not failed and not applying:
        failed = ["no reward applies to this row"]
    applying += [weight * stand_in[name] for name, weight in weights if stand_in and name in stand_in]
    # Plain `sum` of floats gives infinity where `fsum` raises; the order of the parts is fixed, so it is repeatable.
    if not failed and not math.isfinite(sum(applying)):
        failed = ["the weighted sum of the rewards is not finite"]
    if failed:
        return Score(value=None, parts=parts, unscorable="; ".join(failed), seconds=seconds)
    return Score(value=math.fsum(applying), parts=parts, seconds=seconds)


class RewardSum:
    """The weighted sum of a recipe's rewards. A part that applies to none of a prompt's completions is left out.

    One that applies to some of them counts as its mean over these for the others (`whet.rewards.groups`). When a part
    fails, the completion has no value: half a sum would be compared with whole ones. `learned` scores the
    part `reward_model`; `max_completion_length` (tokens) reaches every function as a column of that name. Files are
    looked for in `folder`, the recipe's, then in the current one.
    """

    def __init__(
        self,
        rewards: Sequence[RewardSettings],
        *,
        learned: Scorer | None = None,
        max_completion_length: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.rewards = rewards
        self.learned = learned
        self.max_completion_length = max_completion_length
        self.functions = {
            reward.name: load_reward(reward.name, folder=folder) for reward in rewards if reward.name != REWARD_MODEL
        }

    def require_columns(self, prompts: Sequence[Prompt], *, where: str) -> list[str]:
        """As `needs.require_columns`, for the functions of this sum."""
        return require_columns(self.functions, prompts, where=where, given=GIVEN_IN_RL)

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Score]:
        """One score per rollout, in order."""
        began = time.perf_counter()
        parts = {reward.name: self._part(reward, rollouts) for reward in self.rewards}
        seconds = (time.perf_counter() - began) / max(1, len(rollouts))
        weights = [(reward.name, reward.weight) for reward in self.rewards]
        missing = stand_ins(parts, groups_of(rollouts), completions=len(rollouts))
        return [
            total_score(
                weights,
                {name: verdicts[place] for name, verdicts in parts.items()},
                seconds=seconds,
                stand_in=missing[place],
            )
            for place in range(len(rollouts))
        ]

    def _part(self, reward: RewardSettings, rollouts: Sequence[Rollout]) -> list[Verdict]:
        if reward.name == REWARD_MODEL:
            return self._learned(rollouts)
        columns = columns_of([rollout.prompt for rollout in rollouts])
        if self.max_completion_length is not None:
            columns["max_completion_length"] = [self.max_completion_length] * len(rollouts)
        return call_reward(
            self.functions[reward.name],
            [rollout.prompt.text for rollout in rollouts],
            [rollout.text for rollout in rollouts],
            [rollout.completion_ids for rollout in rollouts],
            columns,
            timeout_s=reward.timeout_s,
        )

    def _learned(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        assert self.learned is not None
        return [finite_score(score) for score in self.learned.scores_of(rollouts)]
