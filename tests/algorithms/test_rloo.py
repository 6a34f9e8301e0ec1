import math

import pytest
from family import (
    NAN,
    REWARDS,
    Rows,
    check_against_plain,
    clip_loss,
    loss_of,
    make_batch,
    make_step,
    mean,
    options,
    rows_of,
)
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.rloo import Rloo, leave_one_out_advantages


def test_advantages_by_hand() -> None:
    # 8.5 - (6.8 + 4.2 + 2.5) / 3 = 4.0; 6.8 - (8.5 + 4.2 + 2.5) / 3 = 1.7333
    found = leave_one_out_advantages(tensor([[8.5, 6.8, 4.2, 2.5, NAN], [NAN, 1.0, NAN, NAN, math.inf]]))
    assert_close(found, tensor([[4.0, 1.7333, -1.7333, -4.0, 0.0], [0.0] * 5]), atol=1e-4, rtol=0)


def test_advantages_are_the_centred_rewards_times_n_over_n_minus_1() -> None:
    # the lecture's group: +3, +1.3, -1.3, -3 times 4 / 3
    found = leave_one_out_advantages(tensor([[8.5, 6.8, 4.2, 2.5]]))
    assert_close(found, tensor([[3.0, 1.3, -1.3, -3.0]]) * 4 / 3)


@pytest.mark.parametrize("rewards", [[0.1] * 7, [3.0], [NAN, 2.0], [NAN, NAN]])
def test_equal_lone_or_missing_rewards_teach_exactly_nothing(rewards: list[float]) -> None:
    assert not leave_one_out_advantages(tensor([rewards])).any()


@pytest.mark.parametrize("beta", [0.0, 0.05])
def test_loss_and_gradient_are_the_papers(beta: float) -> None:
    step = make_step(beta=beta)
    sampled, reference = rows_of(step.old_logprobs_BT, step.mask_BT), rows_of(step.reference_logprobs_BT, step.mask_BT)
    rewards = REWARDS.flatten().tolist()
    for i in range(12):
        rewards[i] -= beta * math.fsum(p - q for p, q in zip(sampled[i], reference[i], strict=True))
    advantages = []
    for i, reward in enumerate(rewards):
        first = i - i % 4
        others = [rewards[j] for j in range(first, first + 4) if j != i and math.isfinite(rewards[j])]
        advantages.append(reward - mean(others) if math.isfinite(reward) and others else 0.0)
    assert sum(map(abs, advantages[4:8])) == pytest.approx(0.0, abs=1e-12) if not beta else True

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total = 0.0
        for i in range(12):
            if now[i]:
                total += clip_loss(math.fsum(now[i]) - math.fsum(old[i]), advantages[i], 0.8, 1.2)
        return total / 12

    losses = check_against_plain(Rloo(options(beta=beta)), step, plain)
    assert losses.is_clipped_BT.any()


def test_on_policy_every_token_of_a_completion_gets_its_advantage() -> None:
    # rewards 3 and 1: advantages +2 and -2, over two completions; not divided by the length
    step = make_step(rewards_PG=tensor([[3.0, 1.0]]), mask_BT=tensor([[True, True], [True, False]]))
    algorithm = Rloo(options())
    batch = make_batch(algorithm, step, distance=0.0)
    loss_of(algorithm, batch)[0].backward()
    assert_close(batch.logprobs_BT.grad, tensor([[-1.0, -1.0], [1.0, 0.0]]).double())


def test_the_penalty_is_in_the_reward_and_needs_the_sampling_policy() -> None:
    assert not Rloo(options()).needs.reference
    needs = Rloo(options(beta=0.05)).needs
    assert needs.groups
    assert needs.reference
    assert needs.old_logprobs
