"""GRPO: the group is the baseline (DeepSeekMath, arXiv:2402.03300; DAPO, arXiv:2503.14476; Dr. GRPO, arXiv:2503.20783).

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

from typing import Literal, Protocol

import torch
from torch import Tensor

from whet.algorithms.algorithm import TokenLosses
from whet.algorithms.kl import k3

__all__ = ["Grpo", "clipped_surrogate", "group_advantages", "policy_ratio", "token_weights"]

LossType = Literal["dapo", "grpo", "dr_grpo"]


class GrpoSettings(Protocol):
    """The settings that GRPO reads; `RlSettings` of the recipe has them."""

    scale_rewards: Literal["group", "none"]
    loss_type: LossType
    epsilon: float
    epsilon_high: float | None
    beta: float
    max_completion_length: int


def group_advantages(rewards_PG: Tensor, *, scale: Literal["group", "none"], epsilon: float = 1e-4) -> Tensor:
    """Reward minus the group's mean, divided by its standard deviation (n - 1) plus `epsilon` when `scale` is "group".

    (P, G) from (P, G). DeepSeekMath, section 4.1.2 (the paper names neither the estimator nor an epsilon; these are
    TRL's); "none" is Dr. GRPO's.

    NaN marks a completion that could not be scored: it is left out of mean and deviation and gets advantage 0, and so
    does an infinite reward, which no mean survives. A group in which all scored rewards are equal, or fewer than two
    were scored, gets exactly 0 everywhere. Computed in float64, in which 1e8 and 1e8 + 1 differ, and returned in the
    rewards' own type.
    """
    is_scored_PG = torch.isfinite(rewards_PG)
    count_P1 = is_scored_PG.sum(-1, keepdim=True)
    low_P1 = torch.where(is_scored_PG, rewards_PG, torch.inf).amin(-1, keepdim=True)
    high_P1 = torch.where(is_scored_PG, rewards_PG, -torch.inf).amax(-1, keepdim=True)
    has_signal_P1 = (count_P1 >= 2) & (high_P1 > low_P1)
    # From the lowest reward on, because differences of near numbers are exact and their mean is not.
    unit_P1 = _unit(torch.maximum(low_P1.abs(), high_P1.abs()).double())
    above_PG = torch.where(is_scored_PG, rewards_PG.double() / unit_P1 - low_P1.double() / unit_P1, 0.0)
    mean_P1 = above_PG.sum(-1, keepdim=True) / count_P1.clamp_min(1)
    centred_PG = torch.where(is_scored_PG, above_PG - mean_P1, 0.0)
    if scale == "group":
        deviation_P1 = (centred_PG.square().sum(-1, keepdim=True) / (count_P1 - 1).clamp_min(1)).sqrt()
        centred_PG = centred_PG / (deviation_P1 + epsilon / unit_P1)
    else:
        centred_PG = centred_PG * unit_P1
    return torch.where(has_signal_P1, centred_PG, 0.0).to(rewards_PG.dtype)


def _unit(largest: Tensor) -> Tensor:
    """The power of two below each number, 1 for 0: divided by it exactly, 1e300 can be squared."""
    mantissa, _ = torch.frexp(largest)
    return torch.where(largest > 0, largest / (2 * mantissa), 1.0)


def policy_ratio(logprobs_BT: Tensor, old_logprobs_BT: Tensor) -> Tensor:
    """pi(token) / pi_old(token), (B, T); the log-ratio is bounded at 20 either way before it is exponentiated."""
    return (logprobs_BT - old_logprobs_BT).clamp(-20.0, 20.0).exp()


def clipped_surrogate(
    logprobs_BT: Tensor, old_logprobs_BT: Tensor, advantages_B: Tensor, *, epsilon: float, epsilon_high: float
) -> tuple[Tensor, Tensor]:
    """-min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon_high) A) per token, and where the clip was in force.

    PPO's objective (Schulman et al. 2017, arXiv:1707.06347, eq. 7) with DAPO's two bounds (eq. 10). Where the clip is
    in force the gradient is zero: above the upper bound of a good completion, below the lower bound of a bad one.
    """
    ratio_BT = policy_ratio(logprobs_BT, old_logprobs_BT)
    advantages_B1 = advantages_B[:, None]
    plain_BT = ratio_BT * advantages_B1
    clipped_BT = ratio_BT.clamp(1 - epsilon, 1 + epsilon_high) * advantages_B1
    return -torch.minimum(plain_BT, clipped_BT), clipped_BT < plain_BT


def token_weights(mask_BT: Tensor, *, loss_type: LossType, max_completion_length: int) -> Tensor:
    """How much each token's loss counts: dapo 1, grpo 1 / length of its completion, dr_grpo 1 / the length limit.

    With `Grpo.denominator` these are DAPO's eq. 12 (mean over all tokens), GRPO's eq. 3 (mean within each completion,
    then over completions) and Dr. GRPO's unbiased form (a constant length).
    """
    weights_BT = mask_BT.float()
    if loss_type == "grpo":
        return weights_BT / mask_BT.sum(-1, keepdim=True).clamp_min(1)
    return weights_BT / max_completion_length if loss_type == "dr_grpo" else weights_BT


class Grpo:
    """Group advantages, clipped ratio, optional KL term `beta` * k3."""

    def __init__(self, settings: GrpoSettings) -> None:
        self.settings = settings

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        return group_advantages(rewards_PG, scale=self.settings.scale_rewards)

    def token_weights(self, mask_BT: Tensor) -> Tensor:
        return token_weights(
            mask_BT, loss_type=self.settings.loss_type, max_completion_length=self.settings.max_completion_length
        )

    def denominator(self, mask_BT: Tensor) -> float:
        """All trained tokens for dapo; completions for grpo and dr_grpo, those without a trained token too."""
        return float(mask_BT.sum()) if self.settings.loss_type == "dapo" else float(mask_BT.shape[0])

    def token_losses(
        self,
        logprobs_BT: Tensor,
        old_logprobs_BT: Tensor,
        reference_logprobs_BT: Tensor,
        advantages_B: Tensor,
        mask_BT: Tensor,
    ) -> TokenLosses:
        settings = self.settings
        # Masked before any arithmetic: what stands at an untrained place may be -inf, and 0 x NaN is NaN in a gradient.
        logprobs_BT = torch.where(mask_BT, logprobs_BT, 0.0)
        old_logprobs_BT = torch.where(mask_BT, old_logprobs_BT, 0.0)
        losses_BT, is_clipped_BT = clipped_surrogate(
            logprobs_BT,
            old_logprobs_BT,
            advantages_B,
            epsilon=settings.epsilon,
            epsilon_high=settings.epsilon if settings.epsilon_high is None else settings.epsilon_high,
        )
        kl_BT = k3(logprobs_BT, torch.where(mask_BT, reference_logprobs_BT, 0.0))
        if settings.beta:
            losses_BT = losses_BT + settings.beta * kl_BT
        return TokenLosses(
            losses_BT=losses_BT * self.token_weights(mask_BT),
            ratio_BT=torch.where(mask_BT, policy_ratio(logprobs_BT.detach(), old_logprobs_BT), 0.0),
            is_clipped_BT=is_clipped_BT,
            kl_BT=kl_BT.detach(),
        )
