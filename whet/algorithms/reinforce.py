"""REINFORCE with a baseline (Williams 1992, "Simple statistical gradient-following algorithms").

    gradient = E[ (r - b) sum_t grad log pi(y_t) ]

The baseline is the mean reward of the step; no groups are needed. A completion's own reward is part of it, which scales
the gradient by (n - 1) / n and leaves its direction unbiased.

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

from typing import ClassVar

from torch import Tensor

from whet.algorithms.algorithm import TokenBatch
from whet.algorithms.grpo import group_advantages
from whet.algorithms.parts.policy_gradient import PolicyGradient
from whet.algorithms.parts.ratio import weighted_logprobs

__all__ = ["Reinforce", "centred_rewards"]


def centred_rewards(rewards_PG: Tensor) -> Tensor:
    """r minus the mean of all scored rewards of the step; 0 where there is none, and exactly 0 where all are equal."""
    return group_advantages(rewards_PG.view(1, -1), scale="none").view_as(rewards_PG)


class Reinforce(PolicyGradient):
    """Sum of (r - b) log pi over a completion's tokens, mean over completions.

    With several updates per rollout each token's ratio is a constant weight, unbounded: the importance weight that the
    policy gradient theorem asks for, token by token. On policy it is 1.
    """

    needs_groups: ClassVar[bool] = False

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        return centred_rewards(rewards_PG)

    @property
    def clip(self) -> tuple[float | None, float | None]:
        return None, None

    def surrogate(self, batch: TokenBatch, ratio_BT: Tensor) -> tuple[Tensor, Tensor]:
        return weighted_logprobs(batch.logprobs_BT, ratio_BT, batch.advantages_BT, low=None, high=None)

    def denominator(self, mask_BT: Tensor) -> float:
        """Completions, those without a trained token too."""
        return float(mask_BT.shape[0])

    @property
    def advantage_rule(self) -> str:
        return "r - mean of the step"

    @property
    def ratio_rule(self) -> str:
        return "of each token, as a constant weight"

    @property
    def denominator_rule(self) -> str:
        return "completions"
