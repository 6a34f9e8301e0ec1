"""Estimators of KL(policy || reference) from samples of the policy (Schulman 2020, "Approximating KL divergence")."""

from torch import Tensor

__all__ = ["k1", "k2", "k3"]


def k1(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """log(p / q) of each sample: unbiased, high variance, often negative."""
    return logprobs - reference_logprobs


def k2(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """(log p/q)^2 / 2: biased, low variance, never negative."""
    return (logprobs - reference_logprobs).square() / 2


def k3(logprobs: Tensor, reference_logprobs: Tensor) -> Tensor:
    """q/p - 1 - log(q/p): unbiased, low variance, never negative (DeepSeekMath, arXiv:2402.03300, eq. 4).

    The log-ratio is bounded at 20 before it is exponentiated, so that one impossible token cannot overflow.
    """
    log_ratio = (reference_logprobs - logprobs).clamp(max=20.0)
    return log_ratio.exp() - 1 - log_ratio
