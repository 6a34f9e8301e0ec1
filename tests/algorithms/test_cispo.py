import math

import pytest
import torch
from family import REWARDS, Rows, check_against_plain, deviation, loss_of, make_step, mean, options, scored
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.algorithm import TokenBatch
from whet.algorithms.cispo import Cispo


def test_by_hand_and_no_gradient_is_dropped() -> None:
    # Bound 1.5. Ratio 2 counts as 1.5, ratio 0.25 as itself; A = 2: gradients -3 and -0.5, over two tokens.
    # PPO's clip would give the first none.
    logprobs_BT = tensor([[0.8, 0.2]]).log().requires_grad_()
    batch = TokenBatch(
        logprobs_BT=logprobs_BT,
        old_logprobs_BT=tensor([[0.4, 0.8]]).log(),
        advantages_BT=tensor([[2.0, 2.0]]),
        mask_BT=torch.ones(1, 2, dtype=torch.bool),
        beta=0.0,
    )
    loss, losses = loss_of(Cispo(options(epsilon_high=0.5)), batch)
    loss.backward()
    assert_close(logprobs_BT.grad, tensor([[-1.5, -0.25]]))
    assert losses.is_clipped_BT.tolist() == [[True, False]]
    assert_close(losses.ratio_BT, tensor([[2.0, 0.25]]))
    # -(1.5 x 2 x ln 0.8 + 0.25 x 2 x ln 0.2) / 2 = (0.66943 + 0.80472) / 2
    assert float(loss.detach()) == pytest.approx(0.737074, abs=1e-6)


@pytest.mark.parametrize(
    ("fields", "low", "high"), [({}, 0.0, 5.0), ({"epsilon_high": 0.1}, 0.0, 1.1), ({"epsilon": 0.2}, 0.8, 5.0)]
)
def test_loss_and_gradient_are_the_papers(fields: dict[str, float], low: float, high: float) -> None:
    advantages = []
    for rewards in REWARDS.tolist():
        known = scored(rewards)
        scale = deviation(known) + 1e-4
        advantages += [(reward - mean(known)) / scale if math.isfinite(reward) else 0.0 for reward in rewards]

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total, tokens = 0.0, 0
        for i, advantage in enumerate(advantages):
            for t, logprob in enumerate(now[i]):
                weight = min(max(math.exp(constant[i][t] - old[i][t]), low), high)
                total -= weight * advantage * logprob
                tokens += 1
        return total / tokens

    losses = check_against_plain(Cispo(options(**fields)), make_step(), plain, distance=0.9)
    assert losses.is_clipped_BT.any()
