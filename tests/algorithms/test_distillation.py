import math
from dataclasses import replace

import pytest
import torch
from family import NAN, Rows, check_against_plain, make_batch, make_step, options, rows_of
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.distillation import Distillation


def test_loss_and_gradient_are_the_papers() -> None:
    step = make_step()
    sampled, teacher = rows_of(step.old_logprobs_BT, step.mask_BT), rows_of(step.teacher_logprobs_BT, step.mask_BT)

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total, tokens = 0.0, 0
        for i, row in enumerate(now):
            for t, logprob in enumerate(row):
                weight = math.exp(constant[i][t] - old[i][t])
                total -= weight * (teacher[i][t] - sampled[i][t]) * logprob
                tokens += 1
        return total / tokens

    check_against_plain(Distillation(options()), step, plain)


def test_the_expected_gradient_is_that_of_the_divergence_from_the_teacher() -> None:
    # All 5 tokens of a vocabulary, each weighed by its probability: minus the gradient of KL(policy || teacher).
    generator = torch.Generator().manual_seed(0)
    logits_V = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher_V = torch.randn(5, generator=generator, dtype=torch.float64).log_softmax(-1)
    policy_V = logits_V.log_softmax(-1)
    mask_BT = torch.ones(5, 1, dtype=torch.bool)
    step = replace(
        make_step(rewards_PG=torch.full((5, 1), NAN), mask_BT=mask_BT),
        old_logprobs_BT=policy_V.detach()[:, None],
        teacher_logprobs_BT=teacher_V[:, None],
    )
    algorithm = Distillation(options())
    batch = replace(make_batch(algorithm, step), logprobs_BT=policy_V[:, None])
    expected_loss = (policy_V.detach().exp() * algorithm.losses(batch).losses_BT[:, 0]).sum()
    (found,) = torch.autograd.grad(expected_loss, logits_V)
    divergence = (logits_V.softmax(-1) * (logits_V.log_softmax(-1) - teacher_V)).sum()
    (expected,) = torch.autograd.grad(divergence, logits_V)
    assert_close(found, expected)


def test_what_the_teacher_holds_impossible_is_driven_out_finitely() -> None:
    step = replace(
        make_step(rewards_PG=tensor([[NAN]]), mask_BT=tensor([[True, True]])),
        old_logprobs_BT=tensor([[-1.0, -1.0]]),
        teacher_logprobs_BT=tensor([[-math.inf, -3.0]]),
    )
    assert Distillation(options()).credit(step).advantages_BT.tolist() == [[-20.0, -2.0]]


def test_needs_a_teacher_and_the_policy_that_sampled_and_no_groups() -> None:
    needs = Distillation(options()).needs
    assert (needs.teacher, needs.old_logprobs, needs.groups, needs.reference) == (True, True, False, False)


def test_a_penalty_of_the_reference_can_stand_beside_it() -> None:
    step = make_step(beta=0.5)
    found = Distillation(options(beta=0.5, kl_placement="reward")).credit(step).advantages_BT
    lead_BT = step.teacher_logprobs_BT - step.old_logprobs_BT
    penalty_BT = 0.5 * (step.old_logprobs_BT - step.reference_logprobs_BT)
    assert_close(found, torch.where(step.mask_BT, lead_BT - penalty_BT, 0.0))
    assert pytest.approx(0.0) != float(found.abs().sum())
