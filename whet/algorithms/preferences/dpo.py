"""DPO: the policy as its own reward model (Rafailov et al. 2023, arXiv:2305.18290).

Legend: N pair.
"""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["dpo_losses"]


def dpo_losses(chosen_log_ratios_N: Tensor, rejected_log_ratios_N: Tensor, *, beta: float) -> Tensor:
    """-log sigmoid(beta (log ratio of chosen - log ratio of rejected)) of each pair, (N,) (eq. 7).

    Log-ratios of policy and reference, summed over the completion's tokens; beta times one is the implicit reward
    (eq. 5, up to a constant of the prompt). ln 2 while the policy is the reference. The gradient of a chosen log-ratio
    is -beta sigmoid(-beta margin): a pair that is ordered already hardly counts.
    """
    return -F.logsigmoid(beta * (chosen_log_ratios_N - rejected_log_ratios_N))
