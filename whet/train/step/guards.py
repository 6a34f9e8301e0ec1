"""What stops a run that cannot learn, with the step and the reason, before it wastes a night."""

import math

import torch
from torch import nn

from whet.core.errors import TrainingStoppedError
from whet.train.step.update import UpdateStats

__all__ = ["DeadSignalGuard", "NonFiniteGuard", "require_finite_weights"]


class NonFiniteGuard:
    """Stops after `limit` steps in a row whose loss or gradient was not finite; each such step was skipped."""

    def __init__(self, stage: str, *, limit: int = 3) -> None:
        self.stage = stage
        self.limit = limit
        self.skipped_in_a_row = 0

    def watch(self, step: int, stats: UpdateStats) -> None:
        self.skipped_in_a_row = 0 if stats.is_applied else self.skipped_in_a_row + 1
        if self.skipped_in_a_row >= self.limit:
            which = "loss" if not math.isfinite(stats.loss) else "gradient"
            raise TrainingStoppedError(
                f"{self.stage} stopped at step {step}: the {which} was not finite in {self.limit} steps in a row; "
                f"lower {self.stage}.learning_rate or look at the rows of these steps. The last checkpoint is whole."
            )


class DeadSignalGuard:
    """Stops after `limit` steps in a row without any reward variance: every advantage was zero, nothing was learned."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.dead_in_a_row = 0

    def watch(self, step: int, *, zero_variance_share: float, unscorable_share: float) -> None:
        self.dead_in_a_row = self.dead_in_a_row + 1 if zero_variance_share >= 1.0 else 0
        if self.dead_in_a_row < self.limit:
            return
        if unscorable_share >= 1.0:
            reason = "no completion could be scored; see `unscorable` in the rollouts"
        else:
            reason = "all completions of every prompt got the same reward, so there is nothing to learn from"
        raise TrainingStoppedError(
            f"rl stopped at step {step}: for {self.limit} steps in a row {reason}. Use easier prompts, more SFT, a "
            "higher rl.temperature or rl.num_generations, or a reward with partial credit such as closeness."
        )


def require_finite_weights(model: nn.Module, stage: str, step: int) -> None:
    """Refuse to save NaN or infinity; finite logits do not prove finite weights."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingStoppedError(
                f"{stage} stopped at step {step}: the weights of {name} are not finite; nothing was saved at this "
                f"step, the checkpoint before it is whole. Lower {stage}.learning_rate."
            )
