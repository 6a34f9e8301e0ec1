"""CISPO: the clip is on the weight, not on the update (MiniMax-M1, arXiv:2506.13585, eq. 4 and 5).

    J = E[ 1 / sum_i |o_i|  sum_i sum_t sg(clip(r_it, 1 - epsilon, 1 + epsilon_high)) A_i log pi(o_it) ]

PPO's clip drops a token's gradient, those of rare and telling tokens first; here every token keeps one, of bounded
weight. The paper sets no lower bound, and tunes the upper without naming it; 5 is ScaleRL's (arXiv:2510.13786).

Legend: B completion, T completion token.
"""

from typing import ClassVar

from torch import Tensor

from whet.algorithms.algorithm import TokenBatch
from whet.algorithms.grpo import Grpo
from whet.algorithms.parts.ratio import weighted_logprobs

__all__ = ["Cispo"]


class Cispo(Grpo):
    """GRPO's advantages, the token's clipped ratio as a constant weight, mean over all trained tokens."""

    default_epsilon_high: ClassVar[float | None] = 4.0

    @property
    def clip(self) -> tuple[float | None, float | None]:
        low, high = super().clip
        return (None if self.settings.epsilon is None else low), high

    def surrogate(self, batch: TokenBatch, ratio_BT: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.clip
        return weighted_logprobs(batch.logprobs_BT, ratio_BT, batch.advantages_BT, low=low, high=high)

    @property
    def ratio_rule(self) -> str:
        return "of each token, as a constant weight"
