"""PPO with a critic (Schulman et al. 2017, arXiv:1707.06347), as InstructGPT has it (arXiv:2203.02155, section 3.5).

Each token is an action. Its reward is the KL penalty, and at the last token the completion's score; its advantage is
GAE's, whitened; the policy is clipped by eq. 7, and the critic learns the returns (`parts/value_loss.py`).

Legend: B completion, T completion token.
"""

from dataclasses import replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from whet.algorithms.algorithm import Credit, Needs, ScoredStep
from whet.algorithms.parts.gae import gae
from whet.algorithms.parts.kl_term import Placement
from whet.algorithms.parts.policy_gradient import PolicyGradient, PolicySettings
from whet.algorithms.parts.whiten import WHITENED, whiten

__all__ = ["Ppo", "PpoSettings", "token_rewards"]


class PpoSettings(PolicySettings, Protocol):
    """The settings that PPO reads."""

    gamma: float
    lam: float
    whiten_advantages: bool
    bootstrap_truncated: bool


def token_rewards(scores_B: Tensor, penalties_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """-penalty at each trained token, and the completion's score at the last one: (B, T) in float64.

    A completion without a score has only penalties here; its tokens are not to be learnt from.
    """
    is_last_BT = mask_BT & (mask_BT.flip(-1).cumsum(-1).flip(-1) == 1)
    scores_BT = torch.where(torch.isfinite(scores_B), scores_B, 0.0).double()[:, None]
    return torch.where(is_last_BT, scores_BT, 0.0) - torch.where(mask_BT, penalties_BT, 0.0)


class Ppo(PolicyGradient):
    """GAE over tokens, clipped ratio, mean over all trained tokens."""

    settings: PpoSettings
    needs_groups: ClassVar[bool] = False
    default_kl_placement: ClassVar[Placement] = "reward"

    @property
    def needs(self) -> Needs:
        return replace(super().needs, critic=True)

    def credit(self, step: ScoredStep) -> Credit:
        """A completion that was cut at the limit goes on after its last token: the critic's value stands for the rest.

        With `bootstrap_truncated` off it counts as ended there, with nothing to come.
        """
        assert step.values_BT is not None
        assert step.last_values_B is not None
        scores_B = step.rewards_PG.flatten()
        has_return_BT = step.mask_BT & torch.isfinite(scores_B)[:, None]
        goes_on_B = step.is_truncated_B & self.settings.bootstrap_truncated
        found = gae(
            token_rewards(scores_B, self.kl.penalties(step), step.mask_BT),
            step.values_BT,
            torch.where(goes_on_B, step.last_values_B, 0.0),
            has_return_BT,
            gamma=self.settings.gamma,
            lam=self.settings.lam,
        )
        advantages_BT = found.advantages_BT
        if self.settings.whiten_advantages:
            advantages_BT = whiten(advantages_BT, has_return_BT)
        return Credit(
            advantages_BT=advantages_BT,
            returns_BT=found.returns_BT,
            has_return_BT=has_return_BT,
            td_errors_BT=found.td_errors_BT,
        )

    @property
    def advantage_rule(self) -> str:
        estimate = f"GAE, gamma {self.settings.gamma:g}, lambda {self.settings.lam:g}"
        return f"{estimate}, {WHITENED}" if self.settings.whiten_advantages else estimate
