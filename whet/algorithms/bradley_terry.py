"""Preferences as differences of one scalar (Bradley and Terry 1952; Ouyang et al. 2022, arXiv:2203.02155, eq. 1)."""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["bradley_terry_losses"]


def bradley_terry_losses(chosen_N: Tensor, rejected_N: Tensor, *, center_coefficient: float) -> Tensor:
    """-log sigmoid(r_chosen - r_rejected) of each pair, (N,); ln 2 where the two are equal.

    Rewards are determined up to a constant only; `center_coefficient` times (r_chosen + r_rejected)^2 keeps them around
    zero (Eisenstein et al. 2023, arXiv:2312.09244, section 5).
    """
    chosen_N, rejected_N = chosen_N.float(), rejected_N.float()
    losses_N = -F.logsigmoid(chosen_N - rejected_N)
    return losses_N + center_coefficient * (chosen_N + rejected_N).square() if center_coefficient else losses_N
