"""IPO: a margin to reach, not to grow without end (Azar et al. 2023, arXiv:2310.12036).

Legend: N pair.
"""

from torch import Tensor

__all__ = ["ipo_losses"]


def ipo_losses(chosen_log_ratios_N: Tensor, rejected_log_ratios_N: Tensor, *, beta: float) -> Tensor:
    """(log ratio of chosen - log ratio of rejected - 1 / (2 beta))^2 of each pair, (N,) (eq. 17; beta is its tau).

    DPO's loss of a pair always falls as the margin grows; this one is least at a margin of 1 / (2 beta) and pulls back
    beyond. The log-ratios are means over the completion's tokens: the paper does not say so, its authors do, and sums
    would make the margin a question of length.
    """
    return (chosen_log_ratios_N - rejected_log_ratios_N - 1 / (2 * beta)).square()
