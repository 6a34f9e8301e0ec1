import math
from dataclasses import replace

import pytest
from family import (
    NAN,
    REWARDS,
    Rows,
    check_against_plain,
    clip_loss,
    laid_out,
    make_step,
    mean,
    options,
    rows_of,
    scored,
)
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.reinforce_plus_plus import ReinforcePlusPlus, ReinforcePlusPlusBaseline


def whitened_by_hand(rows: list[list[float] | None], lengths: list[int]) -> Rows:
    """Over all numbers; None stands for a completion that is left out and gets zeros."""
    numbers = [value for row in rows if row is not None for value in row]
    variance = math.fsum((value - mean(numbers)) ** 2 for value in numbers) / (len(numbers) - 1)
    scale = math.sqrt(variance + 1e-8)
    return [
        [0.0] * length if row is None else [(value - mean(numbers)) / scale for value in row]
        for row, length in zip(rows, lengths, strict=True)
    ]


def test_credit_by_hand() -> None:
    # Two completions of two tokens, rewards 1 and 0, beta 0.5. log(pi_old / pi_ref): 0.2, 0.4 and 0, -0.2.
    # A: 1 - 0.5 (0.2 + 0.4) = 0.7, 1 - 0.5 x 0.4 = 0.8; 0 - 0.5 (0 - 0.2) = 0.1, 0.1.
    # mean 0.425, squares 0.075625 + 0.140625 + 2 x 0.105625 = 0.4275, / 3 = 0.1425, root 0.377492
    old_BT = tensor([[-1.0, -1.0], [-1.0, -1.0]]).double()
    step = make_step(beta=0.5, rewards_PG=tensor([[1.0], [0.0]]), mask_BT=old_BT < 0)
    step = replace(step, old_logprobs_BT=old_BT, reference_logprobs_BT=old_BT - tensor([[0.2, 0.4], [0.0, -0.2]]))
    found_BT = ReinforcePlusPlus(options(beta=0.5)).credit(step).advantages_BT
    expected = tensor([[0.275, 0.375], [-0.325, -0.325]]).double() / 0.377492
    assert_close(found_BT, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_loss_and_gradient_are_the_papers(beta: float) -> None:
    step = make_step(beta=beta)
    sampled, reference = rows_of(step.old_logprobs_BT, step.mask_BT), rows_of(step.reference_logprobs_BT, step.mask_BT)
    rows: list[list[float] | None] = []
    for i, reward in enumerate(REWARDS.flatten().tolist()):
        gaps = [p - q for p, q in zip(sampled[i], reference[i], strict=True)]
        rows.append([reward - beta * math.fsum(gaps[t:]) for t in range(len(gaps))] if math.isfinite(reward) else None)
    advantages = whitened_by_hand(rows, [len(row) for row in sampled])
    credit = ReinforcePlusPlus(options(beta=beta)).credit(step)
    assert_close(credit.advantages_BT, laid_out(advantages, step.mask_BT))

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total, tokens = 0.0, 0
        for i, row in enumerate(now):
            for t, logprob in enumerate(row):
                total += clip_loss(logprob - old[i][t], advantages[i][t], 0.8, 1.2)
                tokens += 1
        return total / tokens

    losses = check_against_plain(ReinforcePlusPlus(options(beta=beta)), step, plain)
    assert losses.is_clipped_BT.any()


def test_with_baseline_the_group_mean_goes_first_and_the_penalty_is_k2_in_the_loss() -> None:
    step = make_step(beta=0.1)
    reference = rows_of(step.reference_logprobs_BT, step.mask_BT)
    rows: list[list[float] | None] = []
    for p, rewards in enumerate(REWARDS.tolist()):
        centre = mean(scored(rewards))
        for g, reward in enumerate(rewards):
            tokens = len(reference[4 * p + g])
            rows.append([reward - centre] * tokens if math.isfinite(reward) else None)
    advantages = whitened_by_hand(rows, [len(row) for row in reference])

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total, tokens = 0.0, 0
        for i, row in enumerate(now):
            for t, logprob in enumerate(row):
                total += clip_loss(logprob - old[i][t], advantages[i][t], 0.8, 1.2)
                total += 0.1 * (logprob - reference[i][t]) ** 2 / 2
                tokens += 1
        return total / tokens

    check_against_plain(ReinforcePlusPlusBaseline(options(beta=0.1)), step, plain)


def test_a_completion_without_a_baseline_of_its_own_teaches_nothing() -> None:
    # the second group has one score alone: nothing to compare it with, though the step's mean is not 0
    rewards_PG = tensor([[1.0, 0.0], [NAN, 5.0], [2.0, 0.0]])
    step = make_step(rewards_PG=rewards_PG, mask_BT=make_step().mask_BT[:6])
    found_BT = ReinforcePlusPlusBaseline(options()).credit(step).advantages_BT
    assert not found_BT[2:4].any()
    assert found_BT[:2].any()


def test_k2_is_the_default_where_the_paper_has_it_and_not_in_the_reward() -> None:
    assert ReinforcePlusPlusBaseline(options(beta=0.1)).conventions("sampler").kl == "k2 in the loss, weight 0.1"
    moved = ReinforcePlusPlusBaseline(options(beta=0.1, kl_placement="reward"))
    assert moved.conventions("sampler").kl == "k1 in the reward, weight 0.1"
