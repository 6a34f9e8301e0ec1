"""Rankings as successive choices of the best that is left (Luce 1959; Plackett 1975; ListMLE, Xia et al. 2008).

    P(ranking) = product over its places k of exp(r_k) / sum over what is left, j >= k, of exp(r_j)

Legend: N ranking, K completion, J completion it is chosen from.
"""

import torch
from torch import Tensor

__all__ = ["plackett_luce_losses"]


def plackett_luce_losses(scores_NK: Tensor, ranks_NK: Tensor, mask_NK: Tensor) -> Tensor:
    """-log P(ranking) of each, (N,), from the scores and ranks of its completions, 0 the best; in float32 or better.

    Of two completions it is Bradley-Terry's loss. Completions of equal rank are a tie and say nothing of each other:
    each is chosen from itself and all that are worse, so that two tied ones alone cost nothing, and without ties it is
    the formula above. Where `mask_NK` is False there is no completion, whatever its score. A lone one costs 0.
    """
    scores_NK = torch.where(mask_NK, scores_NK, 0.0).to(torch.promote_types(scores_NK.dtype, torch.float32))
    is_itself_KJ = torch.eye(scores_NK.shape[1], dtype=torch.bool, device=scores_NK.device)
    is_left_NKJ = ((ranks_NK[:, None, :] > ranks_NK[:, :, None]) & mask_NK[:, None, :]) | is_itself_KJ
    of_what_is_left_NK = torch.where(is_left_NKJ, scores_NK[:, None, :], -torch.inf).logsumexp(-1)
    return torch.where(mask_NK, of_what_is_left_NK - scores_NK, 0.0).sum(-1)
