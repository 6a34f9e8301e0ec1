"""DAPO: GRPO for long reasoning (Yu et al. 2025, arXiv:2503.14476), four changes.

Clip-higher (eq. 10): the upper bound is further away, so that unlikely tokens can become likely. Dynamic sampling (eq.
11): `parts/groups.py`. Token-level loss (eq. 12): a completion weighs by its tokens. Over-long shaping (eq. 13): the
reward `overlong`, or no gradient from what was cut (`mask_truncated_completions`). No KL term.
"""

from typing import ClassVar

from whet.algorithms.grpo import Grpo

__all__ = ["Dapo"]


class Dapo(Grpo):
    """Group advantages divided by the group's deviation, ratio within [0.8, 1.28], mean over all trained tokens."""

    default_epsilon_high: ClassVar[float | None] = 0.28
