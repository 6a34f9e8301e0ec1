"""On-policy distillation: a teacher's log-probabilities as the advantage of each token that the policy sampled.

    A_t = log pi_teacher(y_t) - log pi_old(y_t)

Its expected gradient is that of -KL(policy || teacher) of each token's distribution, on the policy's own completions
(Agarwal et al. 2024, arXiv:2306.13649, with the reverse KL; Thinking Machines Lab 2025, "On-Policy Distillation").
Rewards play no part: a completion need not be scored.

Legend: B completion, T completion token.
"""

from dataclasses import replace

from torch import Tensor

from whet.algorithms.algorithm import Credit, Needs, ScoredStep
from whet.algorithms.parts.ratio import masked_logprobs
from whet.algorithms.reinforce import Reinforce

__all__ = ["Distillation"]

# Nats. What the teacher holds impossible is driven out, without an infinite advantage.
_FURTHEST = 20.0


class Distillation(Reinforce):
    """The teacher's lead at each token, within 20 nats; REINFORCE's loss; mean over all trained tokens."""

    @property
    def needs(self) -> Needs:
        return replace(super().needs, teacher=True, old_logprobs=True)

    def credit(self, step: ScoredStep) -> Credit:
        assert step.teacher_logprobs_BT is not None
        assert step.old_logprobs_BT is not None
        teacher_BT = masked_logprobs(step.teacher_logprobs_BT, step.mask_BT).double()
        old_BT = masked_logprobs(step.old_logprobs_BT, step.mask_BT).double()
        lead_BT = (teacher_BT - old_BT).clamp(-_FURTHEST, _FURTHEST)
        return Credit(advantages_BT=lead_BT - self.kl.penalties(step))

    def denominator(self, mask_BT: Tensor) -> float:
        return float(mask_BT.sum())

    @property
    def advantage_rule(self) -> str:
        return "log pi_teacher - log pi_old of each token, within 20 nats"

    @property
    def denominator_rule(self) -> str:
        return "trained tokens"
