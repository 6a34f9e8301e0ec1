"""The policy's log-ratio to the reference, which DPO, IPO and KTO use as a completion's reward.

Legend: B completion, T completion token.
"""

from typing import Literal

from torch import Tensor

from whet.algorithms.parts.ratio import completion_lengths, masked_logprobs

__all__ = ["completion_log_ratios"]


def completion_log_ratios(
    logprobs_BT: Tensor, reference_logprobs_BT: Tensor, mask_BT: Tensor, *, average: Literal["sum", "mean"]
) -> Tensor:
    """log(pi(y) / pi_ref(y)) of each completion, (B,) in float64: summed over its trained tokens, or their mean.

    The tokens' differences are summed, not the differences of two long sums. 0 where nothing is trained.
    """
    policy_BT = masked_logprobs(logprobs_BT, mask_BT).double()
    reference_BT = masked_logprobs(reference_logprobs_BT, mask_BT).double()
    sums_B = (policy_BT - reference_BT).sum(-1)
    return sums_B if average == "sum" else sums_B / completion_lengths(mask_BT)[:, 0]
