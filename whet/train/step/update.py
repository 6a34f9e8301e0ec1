"""One update of the weights. The only file that calls backward, clips, or steps."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

__all__ = ["StepStats", "UpdateStats", "step_stats", "update"]

MicroBatch = TypeVar("MicroBatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStats:
    """What one update did: the loss before it and the global gradient norm before clipping.

    `is_applied` is False when either was not finite: then weights and optimizer state are as they were.
    """

    loss: float
    grad_norm: float
    is_applied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStats:
    """The updates of one step: means over all of them, not finite where one was not; how many were skipped for that."""

    loss: float
    grad_norm: float
    skipped: int


def step_stats(updates: Sequence[UpdateStats]) -> StepStats:
    """At least one update."""
    return StepStats(
        loss=sum(stats.loss for stats in updates) / len(updates),
        grad_norm=sum(stats.grad_norm for stats in updates) / len(updates),
        skipped=sum(not stats.is_applied for stats in updates),
    )


def update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    micro_batches: Iterable[MicroBatch],
    losses: Callable[[MicroBatch], Tensor],
    *,
    denominator: float,
    learning_rate: float,
    max_grad_norm: float,
) -> UpdateStats:
    """Sum the losses of all micro-batches, divide once by the whole step's `denominator`, clip, step.

    `losses` returns values of any shape that are zero wherever nothing is trained; they are summed, never averaged, so
    four micro-batches give the gradient of one batch. A loss or gradient that is not finite changes nothing.
    """
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for micro_batch in micro_batches:
        loss = losses(micro_batch).sum() / denominator
        loss.backward()
        total += float(loss.detach())
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    grad_norm = float(nn.utils.clip_grad_norm_(parameters, max_grad_norm))
    is_finite = math.isfinite(total) and math.isfinite(grad_norm)
    if is_finite:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return UpdateStats(loss=total, grad_norm=grad_norm, is_applied=is_finite)
