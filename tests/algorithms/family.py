"""Steps, settings and a check against plain loops, for the tests of the RL loop's algorithms.

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from whet.algorithms.algorithm import PolicyAlgorithm, PolicyLosses, ScoredStep, TokenBatch

Rows = list[list[float]]

NAN = math.nan
# 3 prompts, 4 completions each: padding on either side, gaps, a completion without a trained token, a lone token.
MASK = torch.tensor(
    [
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [1, 1, 0, 0, 1, 1],
        [1, 1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 0, 1, 0, 1, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1],
    ],
    dtype=torch.bool,
)
# One group with a completion that could not be scored, one all right, one with an infinite reward.
REWARDS = torch.tensor([[8.5, NAN, 4.2, 2.5], [1.0, 1.0, 1.0, 1.0], [0.0, 1.0, math.inf, 0.25]], dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that an algorithm may read, each as its own default has it."""

    epsilon: float | None = None
    epsilon_high: float | None = None
    beta: float = 0.0
    kl_estimator: str | None = None
    kl_placement: str | None = None
    use_bias_correction_kl: bool = False
    entropy_coef: float = 0.0
    scale_rewards: str | None = None
    loss_type: str | None = None
    max_completion_length: int = 8
    gamma: float = 1.0
    lam: float = 0.95
    whiten_advantages: bool = True
    bootstrap_truncated: bool = True


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_step(*, beta: float = 0.0, rewards_PG: Tensor = REWARDS, mask_BT: Tensor = MASK) -> ScoredStep:
    """A step with everything that any algorithm may need."""
    size = mask_BT.shape
    old_BT = -noise(1, *size).abs() - 0.5
    return ScoredStep(
        rewards_PG=rewards_PG,
        is_truncated_B=torch.arange(size[0]) % 4 == 3,
        mask_BT=mask_BT,
        beta=beta,
        old_logprobs_BT=old_BT,
        reference_logprobs_BT=old_BT + 0.3 * noise(2, *size),
        teacher_logprobs_BT=old_BT + 0.5 * noise(3, *size),
        values_BT=noise(4, *size),
        last_values_B=noise(5, size[0]),
    )


def make_batch(
    algorithm: PolicyAlgorithm, step: ScoredStep, *, distance: float = 0.4, dtype: torch.dtype = torch.float64
) -> TokenBatch:
    """The whole step on its way to a loss, the policy `distance` away from the old one."""
    size = step.mask_BT.shape
    return TokenBatch(
        logprobs_BT=(step.old_logprobs_BT + distance * noise(6, *size)).to(dtype).requires_grad_(),
        old_logprobs_BT=step.old_logprobs_BT.to(dtype),
        reference_logprobs_BT=step.reference_logprobs_BT.to(dtype) if algorithm.needs.reference else None,
        entropy_BT=noise(7, *size).abs().to(dtype).requires_grad_() if algorithm.needs.entropy else None,
        advantages_BT=algorithm.credit(step).advantages_BT,
        mask_BT=step.mask_BT,
        beta=step.beta,
    )


def part_of(batch: TokenBatch, rows: slice) -> TokenBatch:
    """Some completions of a batch."""
    tensors = {name: getattr(batch, name) for name in TokenBatch.__dataclass_fields__}
    return replace(batch, **{name: value[rows] for name, value in tensors.items() if isinstance(value, Tensor)})


def loss_of(algorithm: PolicyAlgorithm, batch: TokenBatch) -> tuple[Tensor, PolicyLosses]:
    losses = algorithm.losses(batch)
    return losses.losses_BT.sum() / algorithm.denominator(batch.mask_BT), losses


def rows_of(values_BT: Tensor, mask_BT: Tensor) -> Rows:
    """What stands at each completion's trained tokens, as plain numbers."""
    return [values[mask].tolist() for values, mask in zip(values_BT.detach().double(), mask_BT, strict=True)]


def laid_out(rows: Rows, mask_BT: Tensor) -> Tensor:
    """The other way round, zeros elsewhere."""
    values_BT = torch.zeros(mask_BT.shape, dtype=torch.float64)
    values_BT[mask_BT] = torch.tensor([value for row in rows for value in row], dtype=torch.float64)
    return values_BT


def slopes(loss: Callable[[Rows], float], rows: Rows, *, width: float = 1e-5) -> Rows:
    """d loss / d each number, by central differences."""
    found = []
    for i, row in enumerate(rows):
        found.append([])
        for t in range(len(row)):
            moved = []
            for step in (width, -width):
                other = [list(values) for values in rows]
                other[i][t] += step
                moved.append(loss(other))
            found[i].append((moved[0] - moved[1]) / (2 * width))
    return found


def check_against_plain(
    algorithm: PolicyAlgorithm,
    step: ScoredStep,
    plain: Callable[[Rows, Rows, Rows], float],
    *,
    distance: float = 0.4,
) -> PolicyLosses:
    """Loss and gradient equal those of `plain(logprobs, constant_logprobs, old)`, a loop over trained tokens.

    What the paper detaches `plain` takes from `constant_logprobs`, the same numbers that do not move. In float64 to
    1e-8, in float32 to 1e-6.
    """
    for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 1e-6)):
        batch = make_batch(algorithm, step, distance=distance, dtype=dtype)
        loss, losses = loss_of(algorithm, batch)
        loss.backward()
        now, old = rows_of(batch.logprobs_BT, step.mask_BT), rows_of(batch.old_logprobs_BT, step.mask_BT)
        assert float(loss.detach()) == pytest.approx(plain(now, now, old), abs=tolerance, rel=tolerance)
        expected = slopes(lambda moved, now=now, old=old: plain(moved, now, old), now)
        torch.testing.assert_close(
            batch.logprobs_BT.grad.double(), laid_out(expected, step.mask_BT), atol=tolerance, rtol=tolerance
        )
    return losses


def scored(rewards: list[float]) -> list[float]:
    return [reward for reward in rewards if math.isfinite(reward)]


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def deviation(values: list[float]) -> float:
    """With n - 1."""
    return math.sqrt(math.fsum((value - mean(values)) ** 2 for value in values) / (len(values) - 1))


def clip_loss(log_ratio: float, advantage: float, low: float, high: float) -> float:
    ratio = math.exp(log_ratio)
    return -min(ratio * advantage, min(max(ratio, low), high) * advantage)


def options(**fields: Any) -> Settings:
    return Settings(**fields)
