"""From logits to the next token: greedy, temperature, top-k, top-p; randomness that belongs to the rollout alone.

Legend: R row being decoded, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["SamplingSettings", "choose_tokens", "uniforms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSettings:
    """How to draw: `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 keep every token."""

    temperature: float
    max_completion_length: int
    top_p: float = 1.0
    top_k: int = 0


def uniforms(seed: int, count: int) -> np.ndarray:
    """`count` uniform numbers in [0, 1) that belong to one rollout: the first ones do not depend on `count`.

    A counter-based generator (Philox, Salmon et al. 2011), so that a rollout draws the same numbers whatever else is
    in its batch, and can be sampled again alone.
    """
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


def choose_tokens(logits_RV: Tensor, uniform_R: Tensor, settings: SamplingSettings) -> tuple[Tensor, Tensor]:
    """The next token of each row and its log-probability (nats), both (R,).

    The log-probability is of the whole distribution at the temperature, before top-k and top-p cut it: that is what the
    policy is trained on. Greedy reports it at temperature 1. Sampling inverts the cumulative distribution in float64.
    """
    logits_RV = logits_RV.float()
    if settings.temperature == 0:
        token_R = logits_RV.argmax(-1)
        return token_R, _logprob(logits_RV, token_R)
    logits_RV = logits_RV / settings.temperature
    kept_RV = _cut(logits_RV, settings) if settings.top_k or settings.top_p < 1 else logits_RV
    cumulative_RV = torch.softmax(kept_RV, dim=-1).double().cumsum(-1)
    target_R1 = uniform_R[:, None] * cumulative_RV[:, -1:]
    token_R = torch.searchsorted(cumulative_RV, target_R1, right=True)[:, 0].clamp_max(logits_RV.shape[-1] - 1)
    return token_R, _logprob(logits_RV, token_R)


def _logprob(logits_RV: Tensor, token_R: Tensor) -> Tensor:
    return logits_RV.gather(-1, token_R[:, None])[:, 0] - torch.logsumexp(logits_RV, dim=-1)


def _cut(logits_RV: Tensor, settings: SamplingSettings) -> Tensor:
    """Impossible outside the k likeliest and the smallest set whose probability reaches p; one token always stays."""
    ordered_RV, order_RV = logits_RV.sort(dim=-1, descending=True, stable=True)
    before_RV = torch.softmax(ordered_RV, dim=-1).cumsum(-1).roll(1, dims=-1)
    before_RV[:, 0] = 0
    dropped_RV = before_RV >= settings.top_p
    if settings.top_k:
        dropped_RV[:, settings.top_k :] = True
    return logits_RV.masked_fill(dropped_RV.scatter(-1, order_RV, dropped_RV), -torch.inf)
