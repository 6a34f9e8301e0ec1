"""Dr. GRPO: GRPO without its two biases (Liu et al. 2025, arXiv:2503.20783, section 3.2).

GRPO divides by a group's deviation, so that questions that are nearly always or nearly never solved weigh more, and by
a completion's length, so that long wrong answers are punished less. Without either the gradient is the plain policy
gradient's, up to a constant.
"""

from typing import ClassVar

from whet.algorithms.grpo import Grpo, LossType, Scale

__all__ = ["DrGrpo"]


class DrGrpo(Grpo):
    """Reward minus the group's mean; every token of every completion weighs 1 / `max_completion_length`."""

    default_scale: ClassVar[Scale] = "none"
    default_loss_type: ClassVar[LossType] = "dr_grpo"
