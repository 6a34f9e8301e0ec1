"""Log-probability and entropy of the asked-for tokens in one pass over the logits, which are never all kept.

Legend: A asked-for position, C channel, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["head_logprobs"]

# Rows of logits made at once; and how many probabilities may be kept for the backward pass instead of computed again.
_CHUNK_LOGITS = 4_000_000
_KEEP_PROBABILITIES = 32_000_000


class _HeadLogprobs(torch.autograd.Function):
    """logp_A = log softmax(h W^T / temperature)[target]; d logits = (onehot - p) g / temperature."""

    @staticmethod
    def forward(
        ctx: Any, hidden_AC: Tensor, weight_VC: Tensor, targets_A: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        rows = max(1, _CHUNK_LOGITS // weight_VC.shape[0])
        keep = len(targets_A) * weight_VC.shape[0] <= _KEEP_PROBABILITIES and any(ctx.needs_input_grad[:2])
        logprobs, entropies, kept = [], [], []
        for hidden, targets in zip(hidden_AC.split(rows), targets_A.split(rows), strict=True):
            logits_V = (hidden @ weight_VC.t()).float().div_(temperature)
            logits_V -= torch.logsumexp(logits_V, dim=-1, keepdim=True)
            logprobs.append(logits_V.gather(-1, targets[:, None])[:, 0])
            probabilities = logits_V.exp()
            # 0 * -inf is NaN: a token that is impossible adds nothing to the entropy
            entropies.append(-(probabilities * logits_V.clamp_min(torch.finfo(torch.float32).min)).sum(-1))
            if keep:
                kept.append(probabilities)
        ctx.save_for_backward(hidden_AC, weight_VC, targets_A, *kept)
        ctx.rows, ctx.temperature = rows, temperature
        entropy_A = torch.cat(entropies)
        ctx.mark_non_differentiable(entropy_A)
        return torch.cat(logprobs), entropy_A

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        hidden_AC, weight_VC, targets_A, *kept = ctx.saved_tensors
        gradient_A = gradients[0]
        hidden_gradient = torch.empty_like(hidden_AC)
        weight_gradient = torch.zeros_like(weight_VC) if ctx.needs_input_grad[1] else None
        for index, start in enumerate(range(0, len(targets_A), ctx.rows)):
            piece = slice(start, start + ctx.rows)
            hidden, gradient = hidden_AC[piece], gradient_A[piece]
            if kept:
                logits_gradient = kept[index] * -gradient[:, None]
            else:
                logits = (hidden @ weight_VC.t()).float().div_(ctx.temperature)
                logits_gradient = torch.softmax(logits, dim=-1) * -gradient[:, None]
            logits_gradient.scatter_add_(-1, targets_A[piece, None], gradient[:, None])
            logits_gradient = logits_gradient.div_(ctx.temperature).to(hidden.dtype)
            hidden_gradient[piece] = logits_gradient @ weight_VC
            if weight_gradient is not None:
                weight_gradient.addmm_(logits_gradient.t(), hidden)
        return hidden_gradient, weight_gradient, None, None


def head_logprobs(
    hidden_AC: Tensor, head: nn.Module, targets_A: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """(A,) log-probabilities, differentiable, and (A,) entropies in nats, not; both float32 at `temperature`.

    A head with a bias, or one that is no plain linear layer, is computed whole.
    """
    if type(head) is nn.Linear and head.bias is None:
        logprob_A, entropy_A = _HeadLogprobs.apply(hidden_AC, head.weight, targets_A, temperature)
        return logprob_A, entropy_A
    all_AV = torch.log_softmax(head(hidden_AC).float() / temperature, dim=-1)
    entropy_A = torch.special.entr(all_AV.detach().exp()).sum(-1)
    return all_AV.gather(-1, targets_A[:, None])[:, 0], entropy_A
