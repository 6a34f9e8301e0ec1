"""Log-probability and entropy of the asked-for tokens in one pass over the logits, which are never all kept.

Legend: A asked-for position, C channel, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whet.models.products import product

__all__ = ["LogitRule", "head_logprobs", "logit_rule", "logits_logprobs"]

# Logits made at once, and how many probabilities may be kept for the backward pass instead of computed again.
_CHUNK_LOGITS = 32_000_000
_KEEP_PROBABILITIES = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitRule:
    """What a model does to its logits behind the head: times `scale`, then `softcap` tanh(logits / softcap)."""

    scale: float = 1.0
    softcap: float | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        logits = logits if self.scale == 1.0 else logits * self.scale
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap


def logit_rule(config: Any) -> LogitRule:
    """The rule by the names that configs have for it; whether it is the model's whole rule, a comparison must show."""
    divisor = getattr(config, "logits_scaling", None)  # Granite
    factor = getattr(config, "logit_scale", None)  # Cohere
    multiplier = getattr(config, "lm_head_multiplier", None)  # Falcon H1
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma
    scale = (1.0 / divisor if divisor else 1.0) * (factor or 1.0) * (multiplier or 1.0)
    return LogitRule(scale=float(scale), softcap=float(cap) if cap else None)


class _HeadLogprobs(torch.autograd.Function):
    """logp_A = log softmax(rule(h W^T + b) / temperature)[target]; d logits = (onehot - p) g / temperature x rule'."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_AC: Tensor,
        weight_VC: Tensor,
        bias_V: Tensor | None,
        targets_A: Tensor,
        temperature: float,
        rule: LogitRule,
    ) -> tuple[Tensor, Tensor]:
        rows = max(1, _CHUNK_LOGITS // weight_VC.shape[0])
        keep = len(targets_A) * weight_VC.shape[0] <= _KEEP_PROBABILITIES and any(ctx.needs_input_grad[:3])
        logprobs, entropies, kept = [], [], []
        for hidden, targets in zip(hidden_AC.split(rows), targets_A.split(rows), strict=True):
            logits_V = _scaled(hidden, weight_VC, bias_V, temperature, rule)
            logits_V -= torch.logsumexp(logits_V, dim=-1, keepdim=True)
            logprobs.append(logits_V.gather(-1, targets[:, None])[:, 0])
            probabilities = logits_V.exp()
            # 0 * -inf is NaN: a token that is impossible adds nothing to the entropy
            logits_V.clamp_min_(torch.finfo(torch.float32).min)
            entropies.append(-torch.linalg.vecdot(probabilities, logits_V))
            if keep:
                kept.append(probabilities)
        ctx.save_for_backward(hidden_AC, weight_VC, bias_V, targets_A, *kept)
        ctx.rest = (rows, temperature, rule)
        entropy_A = torch.cat(entropies)
        ctx.mark_non_differentiable(entropy_A)
        return torch.cat(logprobs), entropy_A

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden_AC, weight_VC, bias_V, targets_A, *kept = ctx.saved_tensors
        rows, temperature, rule = ctx.rest
        gradient_A = gradients[0].float()
        hidden_gradient = torch.empty_like(hidden_AC) if ctx.needs_input_grad[0] else None
        weight_gradient = torch.zeros_like(weight_VC) if ctx.needs_input_grad[1] else None
        bias_gradient = torch.zeros_like(bias_V) if ctx.needs_input_grad[2] else None
        for index, start in enumerate(range(0, len(targets_A), rows)):
            piece = slice(start, start + rows)
            hidden, gradient = hidden_AC[piece], gradient_A[piece]
            slope = None
            if kept and rule.softcap is None:
                logits_gradient = kept[index] * -gradient[:, None]
            else:
                logits = _scaled(hidden, weight_VC, bias_V, temperature, rule)
                if rule.softcap is not None:  # of cap tanh(x / cap): 1 - tanh^2
                    slope = 1 - (logits * (temperature / rule.softcap)).square()
                logits_gradient = torch.softmax(logits, dim=-1) * -gradient[:, None]
            logits_gradient.scatter_add_(-1, targets_A[piece, None], gradient[:, None])
            if slope is not None:
                logits_gradient *= slope
            logits_gradient = logits_gradient.mul_(rule.scale / temperature).to(hidden.dtype)
            if hidden_gradient is not None:
                hidden_gradient[piece] = product(logits_gradient, weight_VC.t())
            if weight_gradient is not None:
                weight_gradient += product(hidden.t(), logits_gradient.t()).t()
            if bias_gradient is not None:
                bias_gradient += logits_gradient.sum(0)
        return hidden_gradient, weight_gradient, bias_gradient, None, None, None


def _scaled(hidden: Tensor, weight_VC: Tensor, bias_V: Tensor | None, temperature: float, rule: LogitRule) -> Tensor:
    """The logits at the temperature, float32, in memory of their own."""
    logits = product(hidden, weight_VC).float()
    logits = logits if bias_V is None else logits + bias_V
    if rule.softcap is None:
        return logits.mul_(rule.scale / temperature)
    return logits.mul_(rule.scale / rule.softcap).tanh_().mul_(rule.softcap / temperature)


def head_logprobs(
    hidden_AC: Tensor, head: nn.Module, targets_A: Tensor, *, temperature: float, rule: LogitRule
) -> tuple[Tensor, Tensor]:
    """(A,) log-probabilities, differentiable, and (A,) entropies in nats, not; both float32 at `temperature`.

    A head that is no plain linear layer is computed whole.
    """
    if type(head) is nn.Linear:
        logprob_A, entropy_A = _HeadLogprobs.apply(  # type: ignore[no-untyped-call]
            hidden_AC, head.weight, head.bias, targets_A, temperature, rule
        )
        return logprob_A, entropy_A
    return logits_logprobs(rule(head(hidden_AC)), targets_A, temperature=temperature)


def logits_logprobs(logits_AV: Tensor, targets_A: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """The same from logits that are there already."""
    all_AV = torch.log_softmax(logits_AV.float() / temperature, dim=-1)
    entropy_A = torch.special.entr(all_AV.detach().exp()).sum(-1)
    return all_AV.gather(-1, targets_A[:, None])[:, 0], entropy_A
