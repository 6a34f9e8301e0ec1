import math
from dataclasses import replace

import pytest
import torch
from family import (
    NAN,
    REWARDS,
    Rows,
    check_against_plain,
    clip_loss,
    laid_out,
    make_batch,
    make_step,
    mean,
    options,
    rows_of,
)
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.algorithm import ScoredStep
from whet.algorithms.ppo import Ppo, token_rewards


def test_token_rewards_by_hand() -> None:
    # the score stands at the last trained token, wherever that is; penalties at all of them
    mask_BT = tensor([[False, True, True, False, True, False], [True, True, False, False, False, False]])
    penalties_BT = torch.full((2, 6), 0.25, dtype=torch.float64)
    found = token_rewards(tensor([2.0, NAN]), penalties_BT, mask_BT)
    assert found.tolist() == [[0.0, -0.25, -0.25, 0.0, 1.75, 0.0], [-0.25, -0.25, 0.0, 0.0, 0.0, 0.0]]


def plain_credit(step: ScoredStep, *, beta: float, gamma: float, lam: float, bootstraps: bool) -> tuple[Rows, Rows]:
    """Advantages before whitening, and returns; a loop from the last token backwards. Zeros without a score."""
    sampled, reference = rows_of(step.old_logprobs_BT, step.mask_BT), rows_of(step.reference_logprobs_BT, step.mask_BT)
    values = rows_of(step.values_BT, step.mask_BT)
    advantages, returns = [], []
    for i, score in enumerate(step.rewards_PG.flatten().tolist()):
        if not math.isfinite(score):
            advantages.append([0.0] * len(values[i]))
            returns.append([0.0] * len(values[i]))
            continue
        goes_on = bool(step.is_truncated_B[i]) and bootstraps
        following, advantage = float(step.last_values_B[i]) if goes_on else 0.0, 0.0
        row = []
        for t in reversed(range(len(values[i]))):
            reward = -beta * (sampled[i][t] - reference[i][t]) + (score if t == len(values[i]) - 1 else 0.0)
            error = reward + gamma * following - values[i][t]
            advantage = error + gamma * lam * advantage
            row.append(advantage)
            following = values[i][t]
        advantages.append(row[::-1])
        returns.append([a + v for a, v in zip(row[::-1], values[i], strict=True)])
    return advantages, returns


@pytest.mark.parametrize("beta", [0.0, 0.1])
@pytest.mark.parametrize("bootstraps", [True, False])
@pytest.mark.parametrize("whitens", [True, False])
def test_loss_and_gradient_are_the_papers(beta: float, bootstraps: bool, whitens: bool) -> None:
    step = make_step(beta=beta)
    algorithm = Ppo(options(beta=beta, gamma=0.97, lam=0.8, bootstrap_truncated=bootstraps, whiten_advantages=whitens))
    advantages, returns = plain_credit(step, beta=beta, gamma=0.97, lam=0.8, bootstraps=bootstraps)
    is_scored = [math.isfinite(score) for score in REWARDS.flatten().tolist()]
    if whitens:
        numbers = [a for row, known in zip(advantages, is_scored, strict=True) if known for a in row]
        variance = math.fsum((a - mean(numbers)) ** 2 for a in numbers) / (len(numbers) - 1)
        advantages = [
            [(a - mean(numbers)) / math.sqrt(variance + 1e-8) if known else 0.0 for a in row]
            for row, known in zip(advantages, is_scored, strict=True)
        ]
    credit = algorithm.credit(step)
    assert_close(credit.advantages_BT, laid_out(advantages, step.mask_BT))
    assert_close(credit.returns_BT, laid_out(returns, step.mask_BT))
    assert torch.equal(credit.has_return_BT, step.mask_BT & tensor(is_scored)[:, None])

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total, tokens = 0.0, 0
        for i, row in enumerate(now):
            for t, logprob in enumerate(row):
                total += clip_loss(logprob - old[i][t], advantages[i][t], 0.8, 1.2)
                tokens += 1
        return total / tokens

    losses = check_against_plain(algorithm, step, plain)
    assert losses.is_clipped_BT.any()


def test_whitened_advantages_are_centred_whatever_stands_in_the_padding() -> None:
    algorithm, step = Ppo(options()), make_step()
    step = replace(step, values_BT=torch.where(step.mask_BT, step.values_BT, 1e6))
    credit = algorithm.credit(step)
    found = credit.advantages_BT[credit.has_return_BT]
    assert float(found.mean()) == pytest.approx(0.0, abs=1e-12)
    assert float(found.std()) == pytest.approx(1.0, abs=1e-6)
    assert not credit.advantages_BT[~credit.has_return_BT].any()


def test_with_lambda_1_and_values_of_0_the_return_is_the_score_less_the_later_penalties() -> None:
    step = replace(make_step(beta=0.1), is_truncated_B=torch.zeros(12, dtype=torch.bool))
    step = replace(step, values_BT=torch.zeros_like(step.values_BT))
    credit = Ppo(options(beta=0.1, lam=1.0, whiten_advantages=False)).credit(step)
    # the first completion: 8.5 at its end, 0.1 log(pi_old / pi_ref) taken off at each of its 6 tokens
    penalties = 0.1 * (step.old_logprobs_BT[0] - step.reference_logprobs_BT[0])
    assert_close(credit.advantages_BT[0], 8.5 - penalties.flip(0).cumsum(0).flip(0))


def test_a_critic_that_knows_the_outcome_leaves_nothing_to_learn() -> None:
    # V = the score at every token, gamma 1, no penalty: every TD error is 0
    rewards_PG = tensor([[2.0], [-1.0]])
    mask_BT = tensor([[True, True, True], [True, True, False]])
    step = replace(
        make_step(rewards_PG=rewards_PG, mask_BT=mask_BT),
        values_BT=rewards_PG.expand(2, 3),
        is_truncated_B=tensor([False, False]),
    )
    credit = Ppo(options()).credit(step)
    assert not credit.advantages_BT.any()
    assert not credit.td_errors_BT.any()


def test_a_truncated_completion_is_worth_what_the_critic_expects_to_follow() -> None:
    # one token, V = 0.5, no reward yet, V after it 2, gamma 0.9: delta = 0 + 0.9 x 2 - 0.5 = 1.3; ended: -0.5
    step = replace(
        make_step(rewards_PG=tensor([[0.0]]), mask_BT=tensor([[True]])),
        values_BT=tensor([[0.5]]),
        last_values_B=tensor([2.0]),
        is_truncated_B=tensor([True]),
    )
    for bootstraps, expected in ((True, 1.3), (False, -0.5)):
        found = Ppo(options(gamma=0.9, bootstrap_truncated=bootstraps, whiten_advantages=False)).credit(step)
        assert float(found.td_errors_BT) == pytest.approx(expected)
        assert float(found.returns_BT) == pytest.approx(expected + 0.5)


def test_needs() -> None:
    assert Ppo(options()).needs.critic
    assert not Ppo(options()).needs.groups
    in_reward, in_loss = Ppo(options(beta=0.1)).needs, Ppo(options(beta=0.1, kl_placement="loss")).needs
    assert (in_reward.reference, in_reward.old_logprobs) == (True, True)
    assert (in_loss.reference, in_loss.old_logprobs) == (True, False)


def test_the_penalty_in_the_loss_leaves_the_rewards_alone() -> None:
    algorithm, step = Ppo(options(beta=0.1, kl_placement="loss")), make_step(beta=0.1)
    without = Ppo(options()).credit(make_step())
    assert_close(algorithm.credit(step).advantages_BT, without.advantages_BT)
    batch = make_batch(algorithm, step, distance=0.0)
    plain_BT = Ppo(options()).losses(batch).losses_BT
    # k3 of each trained token
    gap_BT = batch.reference_logprobs_BT - batch.logprobs_BT.detach()
    expected_BT = torch.where(step.mask_BT, 0.1 * (gap_BT.exp() - 1 - gap_BT), 0.0)
    assert_close((algorithm.losses(batch).losses_BT - plain_BT).detach(), expected_BT)
