"""The KL weight that holds a target (Ziegler et al. 2019, arXiv:1909.08593, section 2.2)."""

__all__ = ["adapted_beta"]


def adapted_beta(beta: float, *, kl: float | None, target: float, horizon: float, completions: int) -> float:
    """beta (1 + e completions / horizon), with e = clip((KL - target) / target, -0.2, 0.2); the next step's weight.

    `kl` is the step's mean over completions of the log-ratio summed over their tokens (nats). The paper's
    proportional gain of 0.1 is completions / horizon = 0.1. The weight stays as it is when nothing was measured.
    """
    if kl is None:
        return beta
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return beta * (1.0 + error * completions / horizon)
