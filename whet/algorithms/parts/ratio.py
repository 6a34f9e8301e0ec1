"""The ratio of the learning policy to the one that sampled, of tokens and of completions; its clip, on either side.

Legend: B completion, T completion token.
"""

import torch
from torch import Tensor

__all__ = [
    "clipped_surrogate",
    "completion_lengths",
    "masked_logprobs",
    "mean_ratio",
    "policy_ratio",
    "product_ratio",
    "weighted_logprobs",
]

# e^20 is 485 million: one impossible token cannot overflow, and no clip is near.
_BOUND = 20.0
# What a log-probability of -inf counts as, so that no infinity meets a zero or another; nothing real is so low.
_IMPOSSIBLE = -1e4


def masked_logprobs(logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """The log-probabilities of trained tokens, finite, and 0 elsewhere, in float32 or better; a NaN stays one.

    Masked before any arithmetic: what stands at an untrained place may be NaN, and 0 x NaN is NaN in a gradient.
    """
    dtype = torch.promote_types(logprobs_BT.dtype, torch.float32)
    return torch.where(mask_BT, logprobs_BT, 0.0).to(dtype).clamp_min(_IMPOSSIBLE)


def policy_ratio(logprobs_BT: Tensor, old_logprobs_BT: Tensor) -> Tensor:
    """pi(token) / pi_old(token), (B, T); the log-ratio is bounded at 20 either way before it is exponentiated."""
    return (logprobs_BT - old_logprobs_BT).clamp(-_BOUND, _BOUND).exp()


def product_ratio(logprobs_BT: Tensor, old_logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """pi(completion) / pi_old(completion), the product over its trained tokens, at each of them: (B, T).

    The true importance weight of a completion; its log is bounded as a token's is. 1 where nothing is trained.
    """
    log_ratio_B = torch.where(mask_BT, logprobs_BT - old_logprobs_BT, 0.0).sum(-1)
    return log_ratio_B.clamp(-_BOUND, _BOUND).exp()[:, None].expand_as(mask_BT)


def mean_ratio(logprobs_BT: Tensor, old_logprobs_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """The geometric mean of a completion's token ratios, over the trained ones and at each of them: (B, T)."""
    log_ratio_B = torch.where(mask_BT, logprobs_BT - old_logprobs_BT, 0.0).sum(-1) / completion_lengths(mask_BT)[:, 0]
    return log_ratio_B.clamp(-_BOUND, _BOUND).exp()[:, None].expand_as(mask_BT)


def completion_lengths(mask_BT: Tensor) -> Tensor:
    """Trained tokens of each completion, (B, 1); 1 where there are none, so that it can be divided by."""
    return mask_BT.sum(-1, keepdim=True).clamp_min(1)


def clipped_surrogate(
    ratio_BT: Tensor, advantages_BT: Tensor, *, low: float | None, high: float | None
) -> tuple[Tensor, Tensor]:
    """-min(ratio A, clip(ratio, low, high) A), and where the clip was in force (Schulman et al. 2017, eq. 7).

    Where it was the gradient is zero: above the upper bound of a good token, below the lower bound of a bad one.
    """
    plain_BT = ratio_BT * advantages_BT
    clipped_BT = ratio_BT.clamp(low, high) * advantages_BT
    return -torch.minimum(plain_BT, clipped_BT), clipped_BT < plain_BT


def weighted_logprobs(
    logprobs_BT: Tensor, ratio_BT: Tensor, advantages_BT: Tensor, *, low: float | None, high: float | None
) -> tuple[Tensor, Tensor]:
    """-sg(clip(ratio, low, high)) A log pi, and where the ratio was outside.

    The gradient is -clip(ratio) A grad log pi: never cut off, only bounded.
    """
    weights_BT = ratio_BT.detach()
    if low is not None or high is not None:
        weights_BT = weights_BT.clamp(low, high)
    return -weights_BT * advantages_BT * logprobs_BT, weights_BT != ratio_BT.detach()
