"""RLOO: the other completions of the group are the baseline (Ahmadian et al. 2024, arXiv:2402.14740).

    gradient = E[ 1/G sum_i (R_i - mean of the other R_j) grad log pi(y_i) ],   R = r - beta log(pi(y) / pi_ref(y))

A completion is one action: the KL penalty is part of its reward, and with several updates per rollout its ratio is the
whole completion's, clipped as PPO's (as TRL has it; the paper updates once).

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

from typing import ClassVar

import torch
from torch import Tensor

from whet.algorithms.algorithm import TokenBatch
from whet.algorithms.grpo import group_advantages
from whet.algorithms.parts.kl_term import Placement
from whet.algorithms.parts.policy_gradient import PolicyGradient
from whet.algorithms.parts.ratio import completion_lengths, product_ratio

__all__ = ["Rloo", "leave_one_out_advantages"]


def leave_one_out_advantages(rewards_PG: Tensor) -> Tensor:
    """r_i minus the mean of the group's other scored rewards, (P, G): n / (n - 1) times r_i minus the mean of all n.

    0 where it was not scored or is the only one that was, and exactly 0 where all scored ones are equal.
    """
    scored_P1 = torch.isfinite(rewards_PG).sum(-1, keepdim=True)
    return group_advantages(rewards_PG, scale="none") * scored_P1 / (scored_P1 - 1).clamp_min(1)


class Rloo(PolicyGradient):
    """Leave-one-out advantages, not divided by a deviation; the completion's ratio; mean over completions."""

    default_kl_placement: ClassVar[Placement] = "reward"

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        return leave_one_out_advantages(rewards_PG)

    def ratio(self, batch: TokenBatch) -> Tensor:
        return product_ratio(batch.logprobs_BT, batch.old_logprobs_BT, batch.mask_BT)

    def surrogate(self, batch: TokenBatch, ratio_BT: Tensor) -> tuple[Tensor, Tensor]:
        """A completion's loss in equal shares at its tokens."""
        losses_BT, is_clipped_BT = super().surrogate(batch, ratio_BT)
        return losses_BT / completion_lengths(batch.mask_BT), is_clipped_BT

    def denominator(self, mask_BT: Tensor) -> float:
        """Completions, those without a trained token too."""
        return float(mask_BT.shape[0])

    @property
    def advantage_rule(self) -> str:
        return "r - mean of the group's others"

    @property
    def ratio_rule(self) -> str:
        return "of the completion, product over its tokens"

    @property
    def denominator_rule(self) -> str:
        return "completions"
