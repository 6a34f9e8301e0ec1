"""The KL divergence from the reference, in the reward or in the loss: the same numbers, other gradients.

In the loss, an estimate k of each token is differentiated; on policy, the expectation of its gradient is that of

    k1   nothing: E[grad log p] = 0, it only adds noise
    k2   KL(policy || reference) of the token's distribution, the one that is wanted
    k3   KL(reference || policy) of the token's distribution, the other direction
    k1 or k3 times the token's ratio (`is_corrected`)   KL(policy || reference), also off policy

In the reward, k is a number, and the gradient is E[k grad log p] with k summed over this and the later tokens:

    k1   KL(policy || reference) of the whole completion: that of a token in the loss ignores what follows it
    k2   of second order in the distance where KL's own is of first: next to nothing near the reference
    k3   likewise: KL(policy || reference) minus KL(reference || policy), which nearly cancel

(Tang and Munos 2025, arXiv:2506.09477; the ratio: DeepSeek-V3.2, arXiv:2512.02556.) All of it is measured in
`tests/algorithms/parts/test_kl_term.py`.

Legend: B completion, T completion token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from whet.algorithms.algorithm import ScoredStep, TokenBatch
from whet.algorithms.kl import k1, k2, k3
from whet.algorithms.parts.ratio import masked_logprobs, policy_ratio

__all__ = ["Estimator", "KlTerm", "Placement"]

Estimator = Literal["k1", "k2", "k3"]
Placement = Literal["loss", "reward"]
ESTIMATORS: Mapping[Estimator, Callable[[Tensor, Tensor], Tensor]] = {"k1": k1, "k2": k2, "k3": k3}

# Nats that a token costs which the reference holds impossible: enough to drive it out, no infinite reward or loss.
_FURTHEST = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KlTerm:
    """Which estimate, where it enters, and whether the token's ratio multiplies it before it is differentiated."""

    estimator: Estimator
    placement: Placement
    is_corrected: bool = False

    def penalties(self, step: ScoredStep) -> Tensor:
        """beta k of each trained token, (B, T) in float64, between the policy that sampled and the reference.

        Zero where the mask is False, and everywhere when beta is 0 or the term is in the loss.
        """
        if self.placement == "loss" or not step.beta:
            return torch.zeros(step.mask_BT.shape, dtype=torch.float64, device=step.mask_BT.device)
        assert step.old_logprobs_BT is not None
        assert step.reference_logprobs_BT is not None
        old_BT = masked_logprobs(step.old_logprobs_BT, step.mask_BT).double()
        reference_BT = masked_logprobs(step.reference_logprobs_BT, step.mask_BT).double()
        return step.beta * self._estimate(old_BT, reference_BT)

    def estimates(self, batch: TokenBatch) -> Tensor | None:
        """k of each token of a masked batch, differentiable, (B, T); None without a reference."""
        if batch.reference_logprobs_BT is None:
            return None
        return self._estimate(batch.logprobs_BT, batch.reference_logprobs_BT)

    def losses(self, batch: TokenBatch, estimates_BT: Tensor | None) -> Tensor | float:
        """What is added to each token's loss, (B, T); 0 where nothing is."""
        if self.placement == "reward" or not batch.beta:
            return 0.0
        assert estimates_BT is not None
        if self.is_corrected:
            estimates_BT = estimates_BT * policy_ratio(batch.logprobs_BT, batch.old_logprobs_BT)
        return batch.beta * estimates_BT

    def told(self, beta: float) -> str:
        """For the run's record: "k3 in the loss, weight 0.04"."""
        corrected = ", times the ratio" if self.is_corrected and self.placement == "loss" else ""
        return f"{self.estimator} in the {self.placement}{corrected}, weight {beta:g}" if beta else "none"

    def _estimate(self, logprobs_BT: Tensor, reference_BT: Tensor) -> Tensor:
        reference_BT = torch.maximum(reference_BT, logprobs_BT.detach() - _FURTHEST)
        return ESTIMATORS[self.estimator](logprobs_BT, reference_BT)
