"""Every algorithm learns through its interface alone: one small loop, blind to which of them runs.

The policy is a table of logits, the task to say one token of five, another one for each prompt; each completion is cut
or ends by chance. Legend: P prompt, G completion of the same prompt, B = P x G, T completion token, V vocabulary.
"""

import math
from dataclasses import dataclass

import pytest
import torch
from family import Settings, options
from torch import Tensor

from whet.algorithms import FAMILY
from whet.algorithms.algorithm import Credit, PolicyAlgorithm, ScoredStep, TokenBatch
from whet.algorithms.parts.adaptive_kl import adapted_beta
from whet.algorithms.parts.value_loss import value_losses

PROMPTS, GENERATIONS, TOKENS, VOCABULARY = 4, 8, 3, 5
WANTED_P = torch.tensor([0, 3, 1, 2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    tokens_BT: Tensor
    mask_BT: Tensor
    is_truncated_B: Tensor
    rewards_PG: Tensor


class Loop:
    """Sample, score, credit, two updates per batch; holds only what the algorithm needs."""

    def __init__(self, algorithm: PolicyAlgorithm, *, beta: float = 0.0) -> None:
        self.algorithm, self.beta = algorithm, beta
        self.generator = torch.Generator().manual_seed(0)
        self.logits_PTV = torch.zeros(PROMPTS, TOKENS, VOCABULARY, requires_grad=True)
        self.values_PT = torch.zeros(PROMPTS, TOKENS + 1, requires_grad=True)
        self.policy = torch.optim.Adam([self.logits_PTV], lr=0.1)
        self.critic = torch.optim.Adam([self.values_PT], lr=0.1)
        self.teacher_PTV = 3.0 * torch.nn.functional.one_hot(WANTED_P, VOCABULARY)[:, None].expand(-1, TOKENS, -1)
        self.generations = GENERATIONS if algorithm.needs.groups else 1
        self.repeats = 1 if algorithm.needs.groups else GENERATIONS

    def prompts(self) -> Tensor:
        return torch.arange(PROMPTS).repeat(self.repeats)

    def distributions(self, logits_PTV: Tensor) -> Tensor:
        return logits_PTV.float().log_softmax(-1)[self.prompts().repeat_interleave(self.generations)]

    def logprobs(self, logits_PTV: Tensor, rollouts: Rollouts) -> Tensor:
        return self.distributions(logits_PTV).gather(-1, rollouts.tokens_BT[..., None])[..., 0]

    @torch.no_grad()
    def sample(self) -> Rollouts:
        chances = self.distributions(self.logits_PTV).exp()
        tokens_BT = torch.multinomial(chances.view(-1, VOCABULARY), 1, generator=self.generator).view(-1, TOKENS)
        lengths_B = torch.randint(1, TOKENS + 1, (len(tokens_BT),), generator=self.generator)
        mask_BT = torch.arange(TOKENS) < lengths_B[:, None]
        wanted_B = WANTED_P[self.prompts()].repeat_interleave(self.generations)
        share_B = ((tokens_BT == wanted_B[:, None]) & mask_BT).sum(-1) / lengths_B
        unscored_B = torch.rand(len(tokens_BT), generator=self.generator) < 0.1
        return Rollouts(
            tokens_BT=tokens_BT,
            mask_BT=mask_BT,
            is_truncated_B=torch.rand(len(tokens_BT), generator=self.generator) < 0.2,
            rewards_PG=share_B.double().masked_fill(unscored_B, math.nan).view(-1, self.generations),
        )

    @torch.no_grad()
    def score(self, rollouts: Rollouts) -> ScoredStep:
        needs, rows = self.algorithm.needs, self.prompts().repeat_interleave(self.generations)
        lengths_B = rollouts.mask_BT.sum(-1)
        reference_PTV = torch.zeros_like(self.logits_PTV)
        return ScoredStep(
            rewards_PG=rollouts.rewards_PG,
            is_truncated_B=rollouts.is_truncated_B,
            mask_BT=rollouts.mask_BT,
            beta=self.beta,
            old_logprobs_BT=self.logprobs(self.logits_PTV, rollouts),
            reference_logprobs_BT=self.logprobs(reference_PTV, rollouts) if needs.reference else None,
            teacher_logprobs_BT=self.logprobs(self.teacher_PTV, rollouts) if needs.teacher else None,
            values_BT=self.values_PT[rows, :TOKENS] if needs.critic else None,
            last_values_B=self.values_PT[rows, lengths_B] if needs.critic else None,
        )

    def update(self, rollouts: Rollouts, step: ScoredStep, credit: Credit) -> None:
        batch = TokenBatch(
            logprobs_BT=self.logprobs(self.logits_PTV, rollouts),
            old_logprobs_BT=step.old_logprobs_BT,
            reference_logprobs_BT=step.reference_logprobs_BT,
            advantages_BT=credit.advantages_BT,
            mask_BT=step.mask_BT,
            beta=self.beta,
        )
        loss = self.algorithm.losses(batch).losses_BT.sum() / self.algorithm.denominator(step.mask_BT)
        self.policy.zero_grad()
        loss.backward()
        self.policy.step()
        if self.algorithm.needs.critic:
            self.learn_values(step, credit)

    def learn_values(self, step: ScoredStep, credit: Credit) -> None:
        values_BT = self.values_PT[self.prompts().repeat_interleave(self.generations), :TOKENS]
        losses = value_losses(values_BT, step.values_BT, credit.returns_BT, credit.has_return_BT, cliprange_value=0.2)
        self.critic.zero_grad()
        (losses.losses_BT.sum() / credit.has_return_BT.sum()).backward()
        self.critic.step()

    def run(self, steps: int) -> None:
        for _ in range(steps):
            rollouts = self.sample()
            step = self.score(rollouts)
            credit = self.algorithm.credit(step)
            for _ in range(2):
                self.update(rollouts, step, credit)

    def chance_of_the_wanted(self) -> float:
        chances = self.logits_PTV.detach().softmax(-1)
        return float(chances[torch.arange(PROMPTS), :, WANTED_P].mean())

    def divergence(self) -> float:
        """KL(policy || reference) of a completion of full length; the reference is uniform."""
        logprobs = self.logits_PTV.detach().log_softmax(-1)
        return float((logprobs.exp() * (logprobs + math.log(VOCABULARY))).sum(-1).sum(-1).mean())


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_it_learns(name: str) -> None:
    # a chance of 1 in 5 at first; GSPO's own bounds of 0.0004 stop each batch after its first update
    loop = Loop(FAMILY[name](options()))
    assert loop.chance_of_the_wanted() == pytest.approx(0.2)
    loop.run(50)
    assert loop.chance_of_the_wanted() > 0.6


@pytest.mark.parametrize("name", sorted(set(FAMILY) - {"distillation"}))
def test_a_weight_on_the_divergence_keeps_it_near_the_reference(name: str) -> None:
    distances = []
    for beta in (0.0, 1.0):
        loop = Loop(FAMILY[name](Settings(beta=beta)), beta=beta)
        loop.run(50)
        distances.append(loop.divergence())
    assert distances[1] < 0.5 * distances[0]


def test_an_adaptive_weight_holds_its_target() -> None:
    # left alone, a weight of 0.3 holds the divergence near 1.3
    loop, found = Loop(FAMILY["ppo"](Settings(beta=0.3)), beta=0.3), []
    for _ in range(120):
        loop.run(1)
        found.append(loop.divergence())
        loop.beta = adapted_beta(loop.beta, kl=found[-1], target=2.0, horizon=640, completions=32)
    assert sum(found[60:]) / 60 == pytest.approx(2.0, abs=0.3)
