"""What one step of reinforcement learning leaves behind: its numbers for the log, and every rollout as a row.

Legend: P prompt, G completion of the same prompt, B = P x G completion, T token of the completion.
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whet.algorithms import TokenLosses
from whet.core.files import write_json_lines
from whet.core.records import Rollout, Score
from whet.rewards.groups import mixed_groups

__all__ = ["Clock", "TokenTally", "reward_metrics", "reward_totals", "rollout_metrics", "write_rollouts"]


class TokenTally:
    """Sums over the trained tokens of all updates of a step."""

    def __init__(self) -> None:
        self.tokens = self.clipped = self.kl = self.entropy = 0.0

    def add(self, losses: TokenLosses, entropy_BT: Tensor, mask_BT: Tensor) -> None:
        self.tokens += float(mask_BT.sum())
        self.clipped += float(losses.is_clipped_BT.sum())
        self.kl += float(losses.kl_BT.sum(dtype=torch.float64))
        self.entropy += float(torch.where(mask_BT, entropy_BT, 0).sum(dtype=torch.float64))

    def metrics(self) -> dict[str, float | None]:
        """Means over the tokens; None of each where no token was trained."""
        sums = {"rl/kl": self.kl, "rl/entropy": self.entropy, "rl/clip_share": self.clipped}
        return {name: value / self.tokens if self.tokens else None for name, value in sums.items()}


class Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now


def reward_metrics(rollouts: Sequence[Rollout], scores: Sequence[Score]) -> dict[str, float | int | None]:
    """Mean and deviation (n - 1) of the rewards that there are, the mean of each part, and how many have none.

    `reward/mixed_groups` counts the groups in which a part applies to some completions only, part by part.
    """
    values = [score.value for score in scores if score.value is not None]
    metrics: dict[str, float | int | None] = {"reward/mean": _mean(values), "reward/std": _deviation(values)}
    for name in scores[0].parts:
        metrics[f"reward/{name}"] = _mean([value for score in scores if (value := score.parts[name]) is not None])
    mixed = sum(mixed_groups(rollouts, scores).values())
    return metrics | {"reward/unscorable": len(scores) - len(values), "reward/mixed_groups": mixed}


def reward_totals(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Over all lines of the log: completions without a reward, and groups in which a part applied to some only."""
    totals = {"unscorable": 0, "mixed_groups": 0}
    for row in rows:
        for name in totals:
            totals[name] += row.get(f"reward/{name}") or 0
    return totals


def rollout_metrics(rollouts: Sequence[Rollout], advantages_PG: Tensor) -> dict[str, float | int | None]:
    """How long the completions are, how many were cut off, and how many groups taught nothing."""
    return {
        "rl/completion_length": _mean([float(len(rollout.completion_ids)) for rollout in rollouts]),
        "rl/truncated_share": sum(rollout.is_truncated for rollout in rollouts) / len(rollouts),
        "rl/zero_variance_share": float((advantages_PG == 0).all(-1).double().mean()),
    }


def _mean(values: Sequence[float]) -> float | None:
    """None without values. Divided before it is summed: the sum of two rewards of 1e308 is no float."""
    return math.fsum(value / len(values) for value in values) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    mean = _mean(values)
    if mean is None or len(values) < 2:
        return None
    return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) - 1)


def write_rollouts(
    out: Path, step: int, rollouts: Sequence[Rollout], scores: Sequence[Score], advantages_PG: Tensor
) -> None:
    """Every rollout of the step with its reward parts and its advantage."""
    rows: list[Mapping[str, Any]] = [
        {
            "step": step,
            "prompt_id": rollout.prompt.id,
            "prompt": rollout.prompt.text,
            "answer": rollout.prompt.answer,
            "sample": rollout.sample,
            "text": rollout.text,
            "finish": rollout.finish,
            "tokens": len(rollout.completion_ids),
            "logprob_mean": round(math.fsum(rollout.logprobs) / len(rollout.logprobs), 6),
            "parts": dict(score.parts),
            "reward": score.value,
            "unscorable": score.unscorable,
            "advantage": advantage,
        }
        for rollout, score, advantage in zip(rollouts, scores, advantages_PG.flatten().tolist(), strict=True)
    ]
    write_json_lines(out / "rollouts" / f"step-{step:06d}.jsonl", rows)
