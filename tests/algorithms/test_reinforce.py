import math
from dataclasses import replace

import pytest
import torch
from family import NAN, REWARDS, Rows, check_against_plain, loss_of, make_batch, make_step, mean, options, scored
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.reinforce import Reinforce, centred_rewards


def test_advantages_by_hand() -> None:
    # scored: 8.5 6.8 4.2 2.5, mean 5.5, across the groups
    found = centred_rewards(tensor([[8.5, 6.8], [4.2, 2.5], [NAN, math.inf]]))
    assert_close(found, tensor([[3.0, 1.3], [-1.3, -3.0], [0.0, 0.0]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("rewards", [[[0.1] * 7], [[3.0]], [[NAN, 2.0]], [[NAN]]])
def test_equal_lone_or_missing_rewards_teach_exactly_nothing(rewards: list[list[float]]) -> None:
    assert not centred_rewards(tensor(rewards)).any()


def test_loss_and_gradient_are_the_papers() -> None:
    everything = REWARDS.flatten().tolist()
    baseline = mean(scored(everything))

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total = 0.0
        for i, reward in enumerate(everything):
            if not math.isfinite(reward):
                continue
            for t, logprob in enumerate(now[i]):
                weight = math.exp(constant[i][t] - old[i][t])
                total -= weight * (reward - baseline) * logprob
        return total / len(everything)

    losses = check_against_plain(Reinforce(options()), make_step(), plain)
    assert not losses.is_clipped_BT.any()


def test_on_policy_by_hand() -> None:
    # rewards 3 and 1, mean 2: advantages +1 and -1. Two tokens and one: the gradient of a log-probability is -A / 2.
    step = make_step(rewards_PG=tensor([[3.0, 1.0]]), mask_BT=tensor([[True, True], [True, False]]))
    algorithm = Reinforce(options())
    batch = make_batch(algorithm, step, distance=0.0)
    loss_of(algorithm, batch)[0].backward()
    assert_close(batch.logprobs_BT.grad, tensor([[-0.5, -0.5], [0.5, 0.0]]).double())


def test_far_off_policy_no_ratio_is_bounded() -> None:
    # e^2 = 7.39 times the advantage of +1, over two completions
    step = make_step(rewards_PG=tensor([[3.0, 1.0]]), mask_BT=tensor([[True], [True]]))
    algorithm = Reinforce(options())
    batch = make_batch(algorithm, step, distance=0.0)
    batch = replace(batch, old_logprobs_BT=batch.logprobs_BT.detach() - 2.0)
    loss_of(algorithm, batch)[0].backward()
    assert_close(batch.logprobs_BT.grad, torch.tensor([[-(math.e**2) / 2], [math.e**2 / 2]]).double())
