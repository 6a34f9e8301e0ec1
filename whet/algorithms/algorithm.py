"""What every algorithm of the RL loop offers. The loop knows nothing else of them.

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

__all__ = ["Algorithm", "TokenLosses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLosses:
    """Per-token values, all (B, T) and zero (False) where the mask is False: the weighted loss, and what to log of it.

    Gradients flow through `losses_BT` alone. `ratio_BT` is the learning policy's probability of the token over that of
    the policy that sampled it: 1 while the two are the same.
    """

    losses_BT: Tensor
    ratio_BT: Tensor
    is_clipped_BT: Tensor
    kl_BT: Tensor


class Algorithm(Protocol):
    """What the RL loop asks of an algorithm; it is made from the recipe's `rl` section."""

    def __init__(self, settings: Any) -> None: ...

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        """(P, G) from (P, G) rewards, NaN where a completion could not be scored; zero teaches nothing."""

    def token_weights(self, mask_BT: Tensor) -> Tensor:
        """(B, T) weight of each token's loss, zero where the mask is False."""

    def denominator(self, mask_BT: Tensor) -> float:
        """What one optimizer step's weighted losses are divided by, from the whole step's mask."""

    def token_losses(
        self,
        logprobs_BT: Tensor,
        old_logprobs_BT: Tensor,
        reference_logprobs_BT: Tensor,
        advantages_B: Tensor,
        mask_BT: Tensor,
    ) -> TokenLosses:
        """The loss of each token, to be summed and divided once."""
