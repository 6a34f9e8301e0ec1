"""What the critic learns: the returns, by squared error with PPO's clip, and how much of them it explains.

Legend: B completion, T completion token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ValueLosses", "explained_variance", "value_losses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueLosses:
    """(B, T), zero (False) where the mask is False; to be summed and divided once by the update's number of values."""

    losses_BT: Tensor
    is_clipped_BT: Tensor


def value_losses(
    values_BT: Tensor, old_values_BT: Tensor, returns_BT: Tensor, mask_BT: Tensor, *, cliprange_value: float | None
) -> ValueLosses:
    """max((V - R)^2, (clip(V, V_old - c, V_old + c) - R)^2) / 2 of each token; (V - R)^2 / 2 when c is None.

    The clip of OpenAI's PPO (baselines, ppo2): a value that has moved more than c from what it was before the first
    update, away from or past the return, gets no gradient where the clipped one is the worse of the two. Clipped means
    that it was.
    """
    dtype = torch.promote_types(values_BT.dtype, torch.float32)
    values_BT = torch.where(mask_BT, values_BT, 0.0).to(dtype)
    returns_BT = torch.where(mask_BT, returns_BT, 0.0).to(dtype)
    plain_BT = (values_BT - returns_BT).square()
    if cliprange_value is None:
        return ValueLosses(losses_BT=plain_BT / 2, is_clipped_BT=torch.zeros_like(mask_BT))
    old_BT = torch.where(mask_BT, old_values_BT, 0.0).to(dtype)
    moved_BT = old_BT + (values_BT - old_BT).clamp(-cliprange_value, cliprange_value)
    clipped_BT = (moved_BT - returns_BT).square()
    return ValueLosses(losses_BT=torch.maximum(plain_BT, clipped_BT) / 2, is_clipped_BT=clipped_BT > plain_BT)


def explained_variance(values_BT: Tensor, returns_BT: Tensor, mask_BT: Tensor) -> float | None:
    """1 - Var(R - V) / Var(R) where the mask is True: 1 is perfect, 0 no better than a constant, below 0 worse.

    None where the returns do not vary, or fewer than two stand there: then there is nothing to explain.
    """
    returns, errors = returns_BT[mask_BT].double(), (returns_BT - values_BT)[mask_BT].double()
    if len(returns) < 2 or float(returns.max()) == float(returns.min()):
        return None
    return 1.0 - float(errors.var() / returns.var())
