"""What every algorithm of the RL loop offers. The loop knows nothing else of them.

    ScoredStep ── credit() ──► Credit ──► TokenBatch ── losses() ──► PolicyLosses ──► sum / denominator()
    the whole step             the whole step     a piece of it

`PolicyAlgorithm` is that interface. `Algorithm` is the part of it that the loop asks for today, for algorithms whose
advantages are one number per completion and follow from the rewards alone.

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from torch import Tensor

__all__ = [
    "Algorithm",
    "Conventions",
    "Credit",
    "Needs",
    "OldLogprobs",
    "PolicyAlgorithm",
    "PolicyLosses",
    "ScoredStep",
    "TokenBatch",
    "TokenLosses",
]

# Which log-probabilities the ratio divides by: the learning policy's own, detached (one update per rollout: the ratio
# is 1); the policy's, computed with the training code before the first of several updates; or the sampler's own.
OldLogprobs = Literal["own_detached", "before_first_update", "sampler"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLosses:
    """Per-token values, all (B, T) and zero (False) where the mask is False: the weighted loss, and what to log of it.

    Gradients flow through `losses_BT` alone. `ratio_BT` is the learning policy's probability of the token over that of
    the policy that sampled it: 1 while the two are the same.
    """

    losses_BT: Tensor
    ratio_BT: Tensor
    is_clipped_BT: Tensor
    kl_BT: Tensor


class Algorithm(Protocol):
    """What the RL loop asks of an algorithm; it is made from the recipe's `rl` section."""

    def __init__(self, settings: Any) -> None: ...

    def advantages(self, rewards_PG: Tensor) -> Tensor:
        """(P, G) from (P, G) rewards, NaN where a completion could not be scored; zero teaches nothing."""

    def token_weights(self, mask_BT: Tensor) -> Tensor:
        """(B, T) weight of each token's loss, zero where the mask is False."""

    def denominator(self, mask_BT: Tensor) -> float:
        """What one optimizer step's weighted losses are divided by, from the whole step's mask."""

    def token_losses(
        self,
        logprobs_BT: Tensor,
        old_logprobs_BT: Tensor,
        reference_logprobs_BT: Tensor,
        advantages_B: Tensor,
        mask_BT: Tensor,
    ) -> TokenLosses:
        """The loss of each token, to be summed and divided once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the loop must hold and compute for an algorithm; what is False is neither in memory nor computed.

    PPO with its KL penalty in the reward is
    `Needs(groups=False, reference=True, critic=True, teacher=False, old_logprobs=True, entropy=False)`.
    """

    groups: bool  # at least two completions of each prompt
    reference: bool  # log-probabilities of the frozen reference
    critic: bool  # values of every state, before the first update, and a critic that learns `Credit.returns_BT`
    teacher: bool  # log-probabilities of the model to distil
    old_logprobs: bool  # the policy's own before the first update, even when there is only one update
    entropy: bool  # a differentiable entropy of each token's distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredStep:
    """All rollouts of one step with what was computed of them before its first update: what advantages are made from.

    Rewards are float64, NaN where a completion could not be scored, and never a stand-in. Everything (B, T) is aligned
    with `mask_BT`, may hold anything where the mask is False, and is None unless `Needs` asks for it. A row's trained
    tokens may begin late, end early and have gaps (the tokens of a tool).
    """

    rewards_PG: Tensor
    is_truncated_B: Tensor  # cut at the length limit: the episode did not end where the tokens do
    mask_BT: Tensor
    beta: float  # weight of the KL term in this step; moves when it is adaptive
    old_logprobs_BT: Tensor | None = None
    reference_logprobs_BT: Tensor | None = None
    teacher_logprobs_BT: Tensor | None = None
    values_BT: Tensor | None = None  # the critic's value of the state in which the token was chosen
    last_values_B: Tensor | None = None  # its value of the state after the last token


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What each token is taught, (B, T) in float64, and zero where the mask is False or the completion has no score.

    `advantages_BT` goes to the policy. For a critic there are also the `returns_BT` it regresses on, where
    `has_return_BT` is True, and the `td_errors_BT` that the advantages are sums of.
    """

    advantages_BT: Tensor
    returns_BT: Tensor | None = None
    has_return_BT: Tensor | None = None
    td_errors_BT: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """A piece of the step, whole completions, on its way to a loss: all (B, T), anything where the mask is False."""

    logprobs_BT: Tensor  # of the learning policy; the only one that carries a gradient, beside the entropy
    old_logprobs_BT: Tensor
    advantages_BT: Tensor
    mask_BT: Tensor
    beta: float
    reference_logprobs_BT: Tensor | None = None
    entropy_BT: Tensor | None = None  # nats; differentiable where `Needs.entropy`


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLosses:
    """Per-token values, all (B, T) and zero (False) where the mask is False: the weighted loss, and what to log of it.

    Gradients flow through `losses_BT` alone. `ratio_BT` is what multiplied the advantage before any clip: of the token
    or of its whole completion. `is_clipped_BT` is True where a bound was in force. `kl_BT` is the estimate, unweighted;
    None without a reference.
    """

    losses_BT: Tensor
    ratio_BT: Tensor
    is_clipped_BT: Tensor
    kl_BT: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conventions:
    """What a run's record says of its numbers, so that none has two readings; plain words and numbers, for JSON.

    GRPO's first two are `advantage="r - mean of the group, divided by its deviation (n - 1) + 1e-4"` and
    `ratio="of each token"`.
    """

    advantage: str
    ratio: str
    clip: tuple[float | None, float | None]  # lower and upper bound of the ratio; None where there is none
    denominator: str
    kl: str
    old_logprobs: OldLogprobs


class PolicyAlgorithm(Protocol):
    """The whole interface: one loop, with or without groups, critic, reference and teacher."""

    def __init__(self, settings: Any) -> None: ...

    @property
    def needs(self) -> Needs:
        """What to hold and compute; fixed for a run."""

    def credit(self, step: ScoredStep) -> Credit:
        """Advantages of a whole step; called once, before its first update."""

    def losses(self, batch: TokenBatch) -> PolicyLosses:
        """The loss of each token, to be summed over all pieces of an update and divided once by its denominator."""

    def denominator(self, mask_BT: Tensor) -> float:
        """What one update's summed losses are divided by; the denominators of its pieces add up to it."""

    def conventions(self, old_logprobs: OldLogprobs) -> Conventions:
        """For the run's record; the loop says which log-probabilities were the old ones."""
