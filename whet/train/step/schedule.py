"""The learning rate at a step: a pure function, so that a resumed run has no scheduler state to lose."""

import math
from typing import Literal

__all__ = ["learning_rate_at"]


def learning_rate_at(
    step: int,
    *,
    steps: int,
    peak: float,
    warmup_ratio: float,
    kind: Literal["cosine", "linear", "constant"],
) -> float:
    """Linear warm-up over `ceil(warmup_ratio * steps)` steps, then cosine or linear decay to zero, or constant.

    `step` counts from 0. The first step already moves (peak / warm-up steps, not 0); the rate would reach zero at
    `step == steps`, which is never run.

    >>> [round(learning_rate_at(s, steps=4, peak=1.0, warmup_ratio=0.25, kind="linear"), 3) for s in range(4)]
    [1.0, 1.0, 0.667, 0.333]
    """
    warmup = math.ceil(warmup_ratio * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    if kind == "constant":
        return peak
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.5 * (1 + math.cos(math.pi * progress)) if kind == "cosine" else 1 - progress)
