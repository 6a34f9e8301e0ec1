"""GRPO: the group is the baseline (DeepSeekMath, arXiv:2402.03300; DAPO, arXiv:2503.14476; Dr. GRPO, arXiv:2503.20783).

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from whet.algorithms.algorithm import TokenLosses
from whet.algorithms.kl import k3
from whet.algorithms.parts.groups import centred
from whet.algorithms.parts.policy_gradient import PolicyGradient, PolicySettings
from whet.algorithms.parts.ratio import clipped_surrogate, completion_lengths, policy_ratio

__all__ = ["Grpo", "GrpoSettings", "group_advantages", "token_weights"]

LossType = Literal["dapo", "grpo", "dr_grpo"]
Scale = Literal["batch", "group", "none"]


class GrpoSettings(PolicySettings, Protocol):
    """The settings that GRPO reads."""

    scale_rewards: Scale | None
    loss_type: LossType | None
    max_completion_length: int


def group_advantages(rewards_PG: Tensor, *, scale: Scale, epsilon: float = 1e-4) -> Tensor:
    """Reward minus the group's mean, divided by the standard deviation (n - 1) plus `epsilon` of what `scale` names.

    (P, G) from (P, G). "group": DeepSeekMath, section 4.1.2 (the paper names neither estimator nor epsilon; these are
    TRL's). "batch": of all scored rewards of the step (Liu et al. 2025, arXiv:2508.08221). "none": Dr. GRPO's.

    NaN marks a completion that could not be scored: it is left out of mean and deviation and gets advantage 0, and so
    does an infinite reward, which no mean survives. A group in which all scored rewards are equal, or fewer than two
    were scored, gets exactly 0 everywhere. Computed in float64, in which 1e8 and 1e8 + 1 differ, and returned in the
    rewards' own type.
    """
    group = centred(rewards_PG)
    if scale == "none":
        return (group.values * group.unit).to(rewards_PG.dtype)
    compared = group if scale == "group" else centred(rewards_PG.reshape(1, -1))
    advantages_PG = group.values * (group.unit / compared.unit) / (compared.deviation() + epsilon / compared.unit)
    return torch.where(group.has_signal, advantages_PG, 0.0).to(rewards_PG.dtype)  # not 0 / 0


def token_weights(mask_BT: Tensor, *, loss_type: LossType, max_completion_length: int) -> Tensor:
    """How much each token's loss counts: dapo 1, grpo 1 / length of its completion, dr_grpo 1 / the length limit.

    With `Grpo.denominator` these are DAPO's eq. 12 (mean over all tokens), GRPO's eq. 3 (mean within each completion,
    then over completions) and Dr. GRPO's unbiased form (a constant length).
    """
    weights_BT = mask_BT.double()
    if loss_type == "grpo":
        return weights_BT / completion_lengths(mask_BT)
    return weights_BT / max_completion_length if loss_type == "dr_grpo" else weights_BT


_ADVANTAGE_RULES: Mapping[Scale, str] = {
    "group": "r - mean of the group, divided by its deviation (n - 1) + 1e-4",
    "batch": "r - mean of the group, divided by the step's deviation (n - 1) + 1e-4",
    "none": "r - mean of the group",
}
_DENOMINATOR_RULES: Mapping[LossType, str] = {
    "dapo": "trained tokens",
    "grpo": "tokens of the completion, then completions",
    "dr_grpo": "max_completion_length, then completions",
}


class Grpo(PolicyGradient):
    """Group advantages, clipped ratio of each token, optional KL term `beta` * k3 in the loss."""

    settings: GrpoSettings
    default_scale: ClassVar[Scale] = "group"
    default_loss_type: ClassVar[LossType] = "dapo"  # as TRL; the paper's own is "grpo"

    @property
    def scale(self) -> Scale:
        return self.settings.scale_rewards or self.default_scale

    @property
    def loss_type(self) -> LossType:
        return self.settings.loss_type or self.default_loss_type

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        return group_advantages(rewards_PG, scale=self.scale)

    def token_weights(self, mask_BT: Tensor) -> Tensor:
        return token_weights(
            mask_BT, loss_type=self.loss_type, max_completion_length=self.settings.max_completion_length
        )

    def denominator(self, mask_BT: Tensor) -> float:
        """All trained tokens for dapo; completions for grpo and dr_grpo, those without a trained token too."""
        return float(mask_BT.sum()) if self.loss_type == "dapo" else float(mask_BT.shape[0])

    @property
    def advantage_rule(self) -> str:
        return _ADVANTAGE_RULES[self.scale]

    @property
    def denominator_rule(self) -> str:
        return _DENOMINATOR_RULES[self.loss_type]

    def token_losses(
        self,
        logprobs_BT: Tensor,
        old_logprobs_BT: Tensor,
        reference_logprobs_BT: Tensor,
        advantages_B: Tensor,
        mask_BT: Tensor,
    ) -> TokenLosses:
        # Masked before any arithmetic: what stands at an untrained place may be -inf, and 0 x NaN is NaN in a gradient.
        logprobs_BT = torch.where(mask_BT, logprobs_BT, 0.0)
        old_logprobs_BT = torch.where(mask_BT, old_logprobs_BT, 0.0)
        ratio_BT = policy_ratio(logprobs_BT, old_logprobs_BT)
        low, high = self.clip
        losses_BT, is_clipped_BT = clipped_surrogate(ratio_BT, advantages_B[:, None], low=low, high=high)
        kl_BT = k3(logprobs_BT, torch.where(mask_BT, reference_logprobs_BT, 0.0))
        if self.settings.beta:
            losses_BT = losses_BT + self.settings.beta * kl_BT
        return TokenLosses(
            losses_BT=losses_BT * self.token_weights(mask_BT).to(losses_BT.dtype),
            ratio_BT=torch.where(mask_BT, ratio_BT.detach(), 0.0),
            is_clipped_BT=is_clipped_BT,
            kl_BT=kl_BT.detach(),
        )
