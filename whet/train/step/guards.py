"""What stops a run that cannot learn, with the step and the reason, before it wastes a night."""

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from whet.core.errors import TrainingStoppedError
from whet.train.step.update import StepStats

__all__ = ["DeadSignal", "DeadSignalGuard", "NonFiniteGuard", "require_finite_weights"]

# Why a step taught nothing: no completion has a reward, no group has different ones, or what has an advantage is
# masked.
DeadSignal = Literal["unscorable", "equal", "cut_off"]
_CAUSES: Mapping[DeadSignal, str] = {
    "unscorable": "no completion could be scored; see `unscorable` in the rollouts, and mend the reward or its columns",
    "equal": "all completions of every prompt got the same reward, so there is nothing to learn from. Use easier "
    "prompts, more SFT, a higher rl.temperature or rl.num_generations, or a reward with partial credit, as closeness",
    "cut_off": "no token was trained: every completion that could teach was cut off at rl.max_completion_length, and "
    "rl.mask_truncated_completions leaves those out. Raise the one, or set the other to false",
}


class NonFiniteGuard:
    """Stops after `limit` steps in a row in which the loss or gradient of an update was not finite; it was skipped."""

    def __init__(self, stage: str, *, limit: int = 3) -> None:
        self.stage = stage
        self.limit = limit
        self.skipped_in_a_row = 0

    def watch(self, step: int, stats: StepStats) -> None:
        self.skipped_in_a_row = self.skipped_in_a_row + 1 if stats.skipped else 0
        if self.skipped_in_a_row >= self.limit:
            which = "loss" if not math.isfinite(stats.loss) else "gradient"
            raise TrainingStoppedError(
                f"{self.stage} stopped at step {step}: the {which} was not finite in {self.limit} steps in a row; "
                f"lower {self.stage}.learning_rate or look at the rows of these steps. The last checkpoint is whole."
            )


class DeadSignalGuard:
    """Stops after `limit` steps in a row in which no trained token had an advantage, and says why in the last one."""

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self.dead_in_a_row = 0

    def watch(self, step: int, dead: DeadSignal | None) -> None:
        """`dead` is None where something was learned."""
        self.dead_in_a_row = 0 if dead is None else self.dead_in_a_row + 1
        if dead is not None and self.dead_in_a_row >= self.limit:
            raise TrainingStoppedError(
                f"rl stopped at step {step}: nothing was learned in {self.limit} steps in a row; in this one "
                f"{_CAUSES[dead]}."
            )


def require_finite_weights(model: nn.Module, stage: str, step: int) -> None:
    """Refuse to save NaN or infinity; finite logits do not prove finite weights."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingStoppedError(
                f"{stage} stopped at step {step}: the weights of {name} are not finite; nothing was saved at this "
                f"step, the checkpoint before it is whole. Lower {stage}.learning_rate."
            )
