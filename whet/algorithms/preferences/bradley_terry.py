"""Preferences as differences of one scalar (Bradley and Terry 1952; Ouyang et al. 2022, arXiv:2203.02155, eq. 1).

Legend: N pair.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from whet.algorithms.masked import masked_mean

__all__ = ["bradley_terry_losses", "pair_accuracy"]


def bradley_terry_losses(
    chosen_N: Tensor, rejected_N: Tensor, *, center_coefficient: float, margin_N: Tensor | float = 0.0
) -> Tensor:
    """-log sigmoid(r_chosen - r_rejected - margin) of each pair, (N,); ln 2 where the two are equal and no margin is.

    A margin asks for that much more distance (Llama 2, arXiv:2307.09288, eq. 2). Rewards are determined up to a
    constant only; `center_coefficient` times (r_chosen + r_rejected)^2 keeps them around zero (Eisenstein et al. 2023,
    arXiv:2312.09244, eq. 2).
    """
    chosen_N, rejected_N = chosen_N.float(), rejected_N.float()
    losses_N = -F.logsigmoid(chosen_N - rejected_N - margin_N)
    return losses_N + center_coefficient * (chosen_N + rejected_N).square() if center_coefficient else losses_N


def pair_accuracy(chosen_N: Tensor, rejected_N: Tensor) -> float | None:
    """The share of pairs whose chosen side has the larger reward; a tie is wrong. None without pairs."""
    return masked_mean((chosen_N > rejected_N).float(), torch.ones_like(chosen_N, dtype=torch.bool))
