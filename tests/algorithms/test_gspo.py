import math
from dataclasses import replace

import pytest
import torch
from family import (
    REWARDS,
    Rows,
    check_against_plain,
    clip_loss,
    deviation,
    loss_of,
    make_batch,
    make_step,
    mean,
    options,
    scored,
)
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.algorithm import TokenBatch
from whet.algorithms.gspo import Gspo, GspoToken


def group_advantages_by_hand() -> list[float]:
    advantages = []
    for rewards in REWARDS.tolist():
        known = scored(rewards)
        scale = deviation(known) + 1e-4
        advantages += [(reward - mean(known)) / scale if math.isfinite(reward) else 0.0 for reward in rewards]
    return advantages


# The paper's bounds with a policy that has hardly moved, and wide ones with one that has.
@pytest.mark.parametrize(
    ("fields", "low", "high", "distance"),
    [({}, 1 - 3e-4, 1 + 4e-4, 1e-3), ({"epsilon": 0.1, "epsilon_high": 0.2}, 0.9, 1.2, 0.8)],
)
def test_loss_and_gradient_are_the_papers(fields: dict[str, float], low: float, high: float, distance: float) -> None:
    advantages = group_advantages_by_hand()

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total = 0.0
        for i, advantage in enumerate(advantages):
            if now[i]:
                total += clip_loss(mean([p - q for p, q in zip(now[i], old[i], strict=True)]), advantage, low, high)
        return total / 12

    losses = check_against_plain(Gspo(options(**fields)), make_step(), plain, distance=distance)
    assert losses.is_clipped_BT.any()
    assert not losses.is_clipped_BT.all()


@pytest.mark.parametrize(("epsilon", "distance"), [(None, 1e-3), (0.1, 0.8)])
def test_gspo_token_is_gspo_while_a_completion_has_one_advantage(epsilon: float | None, distance: float) -> None:
    results = []
    for make in (Gspo, GspoToken):
        algorithm = make(options(epsilon=epsilon, epsilon_high=epsilon))
        batch = make_batch(algorithm, make_step(), distance=distance)
        loss, losses = loss_of(algorithm, batch)
        loss.backward()
        results.append((loss.detach(), losses.ratio_BT, losses.is_clipped_BT, batch.logprobs_BT.grad))
    assert_close(results[0], results[1])


def test_gspo_token_with_an_advantage_per_token_by_hand() -> None:
    # ratios 1.5 and 0.9: s = sqrt(1.35) = 1.16190. Advantages +1 and -2, no clip within [0.8, 1.2]:
    # loss (-1.16190 + 2 x 1.16190) / 2 = 0.58095, gradients -A s / 2 = -0.58095 and +1.16190
    logprobs_BT = tensor([[0.6, 0.45]]).log().requires_grad_()
    batch = TokenBatch(
        logprobs_BT=logprobs_BT,
        old_logprobs_BT=tensor([[0.4, 0.5]]).log(),
        advantages_BT=tensor([[1.0, -2.0]]),
        mask_BT=torch.ones(1, 2, dtype=torch.bool),
        beta=0.0,
    )
    loss, losses = loss_of(GspoToken(options(epsilon=0.2, epsilon_high=0.2)), batch)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.58095, abs=1e-5)
    assert_close(losses.ratio_BT, tensor([[1.16190, 1.16190]]), atol=1e-5, rtol=0)
    assert_close(logprobs_BT.grad, tensor([[-0.58095, 1.16190]]), atol=1e-5, rtol=0)


def test_one_token_pulled_up_and_one_down_are_no_change() -> None:
    # e^+1 and e^-1: as tokens far outside every bound, as a completion exactly 1
    step = make_step(rewards_PG=tensor([[1.0, 0.0]]), mask_BT=torch.ones(2, 2, dtype=torch.bool))
    algorithm = Gspo(options())
    batch = make_batch(algorithm, step, distance=0.0)
    old_BT = batch.logprobs_BT.detach() - tensor([[1.0, -1.0]])
    losses = algorithm.losses(replace(batch, old_logprobs_BT=old_BT))
    assert_close(losses.ratio_BT, torch.ones(2, 2, dtype=torch.float64))
    assert not losses.is_clipped_BT.any()
