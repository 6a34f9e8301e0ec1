"""GSPO: the ratio of whole completions (Zheng et al. 2025, arXiv:2507.18071).

    s_i = (pi(y_i) / pi_old(y_i))^(1 / |y_i|)                                            (eq. 7)
    J = E[ 1/G sum_i min(s_i A_i, clip(s_i, 1 - epsilon, 1 + epsilon) A_i) ]             (eq. 5)

One completion is clipped or not, with all its tokens. The bounds are those of section 5.1, far narrower than a token's,
because a mean over many tokens moves far less.

Legend: B completion, T completion token.
"""

from typing import ClassVar

from torch import Tensor

from whet.algorithms.algorithm import TokenBatch
from whet.algorithms.grpo import Grpo, LossType
from whet.algorithms.parts.ratio import mean_ratio

__all__ = ["Gspo", "GspoToken"]


class Gspo(Grpo):
    """GRPO's advantages, one length-normalised ratio per completion, mean over completions."""

    default_epsilon: ClassVar[float] = 3e-4
    default_epsilon_high: ClassVar[float | None] = 4e-4
    # A completion's loss stands at each of its tokens, and these weigh 1 / |y|.
    default_loss_type: ClassVar[LossType] = "grpo"

    def ratio(self, batch: TokenBatch) -> Tensor:
        return mean_ratio(batch.logprobs_BT, batch.old_logprobs_BT, batch.mask_BT)

    @property
    def ratio_rule(self) -> str:
        return "of the completion, geometric mean over its tokens"


class GspoToken(Gspo):
    """s_it = sg[s_i] pi(y_it) / sg[pi(y_it)] (section 4.3): the completion's ratio in value, the token's in gradient.

    With one advantage per completion it is GSPO, in loss and gradient; it may have one per token.
    """

    def ratio(self, batch: TokenBatch) -> Tensor:
        own_BT = (batch.logprobs_BT - batch.logprobs_BT.detach()).exp()
        return super().ratio(batch).detach() * own_BT
