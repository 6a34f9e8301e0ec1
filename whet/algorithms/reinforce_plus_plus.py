"""REINFORCE++: PPO's clip, no critic, advantages normalised over the whole step (Hu et al. 2025, arXiv:2501.03262).

    A_t = r - beta sum over i >= t of log(pi_old(y_i) / pi_ref(y_i)),   then whitened over all tokens of the step

A group's deviation depends on the reward that it divides; the step's hardly does. With one completion per prompt the
first form serves; with groups, the second ("w/ baseline"): the group's mean is subtracted first, and the KL term is k2
in the loss.

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

from typing import ClassVar

import torch
from torch import Tensor

from whet.algorithms.algorithm import Credit, ScoredStep
from whet.algorithms.grpo import group_advantages
from whet.algorithms.parts.gae import discounted_sums
from whet.algorithms.parts.kl_term import Estimator, Placement
from whet.algorithms.parts.policy_gradient import PolicyGradient, spread
from whet.algorithms.parts.whiten import WHITENED, whiten

__all__ = ["ReinforcePlusPlus", "ReinforcePlusPlusBaseline"]


class ReinforcePlusPlus(PolicyGradient):
    """Each token answers for its own and the later KL penalties; mean over all trained tokens."""

    needs_groups: ClassVar[bool] = False
    default_kl_placement: ClassVar[Placement] = "reward"

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        """The reward itself, NaN where there is none; it is centred with all tokens of the step."""
        return torch.where(torch.isfinite(rewards_PG), rewards_PG, torch.nan)

    def credit(self, step: ScoredStep) -> Credit:
        """Completions without an advantage are left out of mean and deviation and get 0."""
        advantages_BT = spread(self.advantages(step.rewards_PG.double()), step.mask_BT)
        later_BT = discounted_sums(self.kl.penalties(step), 1.0)
        return Credit(advantages_BT=whiten(advantages_BT - later_BT, step.mask_BT & advantages_BT.isfinite()))

    @property
    def advantage_rule(self) -> str:
        return f"r, {WHITENED}"


class ReinforcePlusPlusBaseline(ReinforcePlusPlus):
    """The reward minus the group's mean, whitened over the step."""

    needs_groups: ClassVar[bool] = True
    default_kl_placement: ClassVar[Placement] = "loss"
    default_kl_estimator: ClassVar[Estimator | None] = "k2"

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        """NaN too where a completion is the only one of its group with a score: it has no baseline."""
        is_scored_PG = torch.isfinite(rewards_PG)
        has_baseline_PG = is_scored_PG & (is_scored_PG.sum(-1, keepdim=True) >= 2)
        return torch.where(has_baseline_PG, group_advantages(rewards_PG, scale="none"), torch.nan)

    @property
    def advantage_rule(self) -> str:
        return f"r - mean of the group, {WHITENED}"
