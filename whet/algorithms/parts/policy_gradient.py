"""What all algorithms of the RL loop share: credit, ratio, surrogate, average. A paper's file replaces what it changes.

    loss of a token = weight x ( -min(ratio A, clip(ratio, low, high) A) + KL term - entropy_coef x entropy )

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

from dataclasses import replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from whet.algorithms.algorithm import Conventions, Credit, Needs, OldLogprobs, PolicyLosses, ScoredStep, TokenBatch
from whet.algorithms.parts.kl_term import Estimator, KlTerm, Placement
from whet.algorithms.parts.ratio import clipped_surrogate, masked_logprobs, policy_ratio

__all__ = ["PolicyGradient", "PolicySettings", "spread", "trained"]


class PolicySettings(Protocol):
    """What every algorithm reads of its settings. None means the algorithm's own default, its paper's."""

    epsilon: float | None
    epsilon_high: float | None
    beta: float
    kl_estimator: Estimator | None
    kl_placement: Placement | None
    use_bias_correction_kl: bool
    entropy_coef: float


def spread(values_PG: Tensor, mask_BT: Tensor) -> Tensor:
    """A completion's value at each of its trained tokens, zero elsewhere: (B, T) in float64 from (P, G)."""
    return torch.where(mask_BT, values_PG.double().flatten()[:, None], 0.0)


def trained(batch: TokenBatch) -> TokenBatch:
    """The batch in float32 or better, with zeros where the mask is False and no infinite log-probabilities."""
    mask_BT, reference_BT, entropy_BT = batch.mask_BT, batch.reference_logprobs_BT, batch.entropy_BT
    logprobs_BT = masked_logprobs(batch.logprobs_BT, mask_BT)
    return replace(
        batch,
        logprobs_BT=logprobs_BT,
        old_logprobs_BT=masked_logprobs(batch.old_logprobs_BT, mask_BT),
        advantages_BT=torch.where(mask_BT, batch.advantages_BT, 0.0).to(logprobs_BT.dtype),
        reference_logprobs_BT=None if reference_BT is None else masked_logprobs(reference_BT, mask_BT),
        entropy_BT=None if entropy_BT is None else torch.where(mask_BT, entropy_BT, 0.0),
    )


class PolicyGradient:
    """An algorithm of the loop but for its advantages: token ratio, clip at 0.2, mean over all trained tokens.

    A default stands where the settings are None.
    """

    default_epsilon: ClassVar[float] = 0.2
    default_epsilon_high: ClassVar[float | None] = None  # None: the same as below
    default_kl_placement: ClassVar[Placement] = "loss"
    default_kl_estimator: ClassVar[Estimator | None] = None  # None: the one whose gradient suits the place
    needs_groups: ClassVar[bool] = True

    def __init__(self, settings: PolicySettings) -> None:
        self.settings = settings

    # What is asked of the loop

    @property
    def kl(self) -> KlTerm:
        """Estimator and place as given, else the paper's; else k3 in the loss, k1 in the reward."""
        placement = self.settings.kl_placement or self.default_kl_placement
        own = self.default_kl_estimator if placement == self.default_kl_placement else None
        usual: Estimator = "k3" if placement == "loss" else "k1"
        return KlTerm(
            estimator=self.settings.kl_estimator or own or usual,
            placement=placement,
            is_corrected=self.settings.use_bias_correction_kl,
        )

    @property
    def needs(self) -> Needs:
        uses_reference = self.settings.beta > 0
        return Needs(
            groups=self.needs_groups,
            reference=uses_reference,
            critic=False,
            teacher=False,
            old_logprobs=uses_reference and self.kl.placement == "reward",
            entropy=self.settings.entropy_coef != 0,
        )

    # From rewards to advantages

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        """(P, G) from (P, G) rewards, NaN where there is no score; zero teaches nothing."""
        raise NotImplementedError

    def credit(self, step: ScoredStep) -> Credit:
        """The same advantage at every token of a completion; a KL penalty in the reward is summed over its tokens."""
        penalties_PG = self.kl.penalties(step).sum(-1).view_as(step.rewards_PG)
        return Credit(advantages_BT=spread(self.advantages(step.rewards_PG.double() - penalties_PG), step.mask_BT))

    # From advantages to losses

    @property
    def clip(self) -> tuple[float | None, float | None]:
        """Lower and upper bound of the ratio; None where there is none."""
        below = self.default_epsilon if self.settings.epsilon is None else self.settings.epsilon
        above = self.default_epsilon_high if self.settings.epsilon_high is None else self.settings.epsilon_high
        return 1 - below, 1 + (below if above is None else above)

    def ratio(self, batch: TokenBatch) -> Tensor:
        """What multiplies the advantage, (B, T)."""
        return policy_ratio(batch.logprobs_BT, batch.old_logprobs_BT)

    def surrogate(self, batch: TokenBatch, ratio_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each token before KL, entropy and weight, and where a bound was in force."""
        low, high = self.clip
        return clipped_surrogate(ratio_BT, batch.advantages_BT, low=low, high=high)

    def token_weights(self, mask_BT: Tensor) -> Tensor:
        """(B, T) weight of each token's loss, float64, zero where the mask is False."""
        return mask_BT.double()

    def denominator(self, mask_BT: Tensor) -> float:
        """What one optimizer step's weighted losses are divided by, from the whole step's mask."""
        return float(mask_BT.sum())

    def losses(self, batch: TokenBatch) -> PolicyLosses:
        batch = trained(batch)
        ratio_BT, kl_BT = self.ratio(batch), self.kl.estimates(batch)
        losses_BT, is_clipped_BT = self.surrogate(batch, ratio_BT)
        losses_BT = losses_BT + self.kl.losses(batch, kl_BT)
        if self.settings.entropy_coef:
            assert batch.entropy_BT is not None
            losses_BT = losses_BT - self.settings.entropy_coef * batch.entropy_BT
        return PolicyLosses(
            losses_BT=losses_BT * self.token_weights(batch.mask_BT).to(losses_BT.dtype),
            ratio_BT=torch.where(batch.mask_BT, ratio_BT.detach(), 0.0),
            is_clipped_BT=is_clipped_BT,
            kl_BT=None if kl_BT is None else kl_BT.detach(),
        )

    # For the run's record

    @property
    def advantage_rule(self) -> str:
        """The advantage in words, with its estimator and its epsilon."""
        raise NotImplementedError

    @property
    def ratio_rule(self) -> str:
        return "of each token"

    @property
    def denominator_rule(self) -> str:
        return "trained tokens"

    def conventions(self, old_logprobs: OldLogprobs) -> Conventions:
        return Conventions(
            advantage=self.advantage_rule,
            ratio=self.ratio_rule,
            clip=self.clip,
            denominator=self.denominator_rule,
            kl=self.kl.told(self.settings.beta),
            old_logprobs=old_logprobs,
        )
