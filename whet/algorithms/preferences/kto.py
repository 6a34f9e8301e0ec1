"""KTO: good and bad completions that need not come in pairs (Ethayarajh et al. 2024, arXiv:2402.01306).

Legend: N completion.
"""

import torch
from torch import Tensor

__all__ = ["kto_losses", "kto_reference_point"]


def kto_reference_point(mismatched_log_ratios_N: Tensor) -> Tensor:
    """z_0: the mean log-ratio of completions put to other prompts than their own, at least 0, without a gradient.

    An estimate of KL(policy || reference), of the whole step: the mean of its pieces' own would not be the step's, and
    the clamp would act on each. 0 where there are none.
    """
    count = max(mismatched_log_ratios_N.numel(), 1)
    return (mismatched_log_ratios_N.detach().sum() / count).clamp_min(0)


def kto_losses(
    log_ratios_N: Tensor,
    is_desirable_N: Tensor,
    reference_point: Tensor,
    *,
    beta: float,
    desirable_weight: float,
    undesirable_weight: float,
) -> Tensor:
    """weight (1 - sigmoid(+-beta (log ratio - z_0))) of each completion, (N,): + where it is desirable (section 4.1).

    Log-ratios of policy and reference, summed over the completion's tokens. The sigmoid saturates both ways: what is
    hopeless counts as little as what is done. The weights make up for unequal numbers of good and bad.
    """
    leads_N = beta * (log_ratios_N - reference_point)
    return torch.where(
        is_desirable_N, desirable_weight * torch.sigmoid(-leads_N), undesirable_weight * torch.sigmoid(leads_N)
    )
