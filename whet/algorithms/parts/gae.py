"""Generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438).

Legend: B completion, T completion token.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Gae", "discounted_sums", "gae"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gae:
    """(B, T) in float64, zero where the mask is False: A_t, delta_t, and the returns A_t + V_t for the critic."""

    advantages_BT: Tensor
    td_errors_BT: Tensor
    returns_BT: Tensor


def gae(
    rewards_BT: Tensor, values_BT: Tensor, last_values_B: Tensor, mask_BT: Tensor, *, gamma: float, lam: float
) -> Gae:
    """delta_t = r_t + gamma V_{t+1} - V_t and A_t = sum over l of (gamma lam)^l delta_{t+l} (eq. 11 and 16).

    `V_{t+1}` of a completion's last token is `last_values_B`: 0 where the episode ended there, the critic's value of
    the state after it where it was cut. A step is from one trained token to the next: padding on either side and gaps
    change nothing, whatever stands in them. With lam = 1 A_t is the return minus the value, with lam = 0 the TD error.

    Four tokens, rewards 0 0 0 1, values 0.5 0.6 0.4 0.8, gamma 1, lam 0.5, ended: delta = 0.1, -0.2, 0.4, 0.2, so
    A_4 = 0.2, A_3 = 0.4 + 0.5 x 0.2 = 0.5, A_2 = -0.2 + 0.5 x 0.5 = 0.05, A_1 = 0.1 + 0.5 x 0.05 = 0.125.
    """
    order_BT = (~mask_BT).long().argsort(dim=-1, stable=True)  # the trained tokens first, in their order
    is_token_BT = mask_BT.gather(-1, order_BT)

    def packed(values_BT: Tensor) -> Tensor:
        return torch.where(is_token_BT, values_BT.double().gather(-1, order_BT), 0.0)

    reward_BT, value_BT = packed(rewards_BT), packed(values_BT)
    is_last_BT = is_token_BT & ~torch.nn.functional.pad(is_token_BT[:, 1:], (0, 1))
    following_BT = torch.nn.functional.pad(value_BT[:, 1:], (0, 1))
    following_BT = torch.where(is_last_BT, last_values_B.double()[:, None], following_BT)
    td_error_BT = torch.where(is_token_BT, reward_BT + gamma * following_BT - value_BT, 0.0)
    advantage_BT = discounted_sums(td_error_BT, gamma * lam)

    def unpacked(values_BT: Tensor) -> Tensor:
        return torch.zeros_like(values_BT).scatter(-1, order_BT, torch.where(is_token_BT, values_BT, 0.0))

    return Gae(
        advantages_BT=unpacked(advantage_BT),
        td_errors_BT=unpacked(td_error_BT),
        returns_BT=unpacked(advantage_BT + value_BT),
    )


def discounted_sums(values_BT: Tensor, factor: float) -> Tensor:
    """sum over l >= 0 of factor^l values_{t+l}, (B, T), in log2(T) steps instead of T.

    Each step doubles the window: the sum over 2w values is that over w, plus factor^w times the one w places on.
    """
    width = 1
    while width < values_BT.shape[-1]:
        ahead_BT = torch.nn.functional.pad(values_BT[:, width:], (0, width))
        values_BT = values_BT + factor**width * ahead_BT
        width *= 2
    return values_BT
