import math

from family import REWARDS, Rows, check_against_plain, clip_loss, deviation, make_step, mean, options, scored

from whet.algorithms.dapo import Dapo


def test_loss_and_gradient_are_the_papers() -> None:
    advantages = []
    for rewards in REWARDS.tolist():
        known = scored(rewards)
        scale = deviation(known) + 1e-4
        advantages += [(reward - mean(known)) / scale if math.isfinite(reward) else 0.0 for reward in rewards]

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total, tokens = 0.0, 0
        for i, advantage in enumerate(advantages):
            for logprob, before in zip(now[i], old[i], strict=True):
                total += clip_loss(logprob - before, advantage, 0.8, 1.28)
                tokens += 1
        return total / tokens

    losses = check_against_plain(Dapo(options()), make_step(), plain)
    assert losses.is_clipped_BT.any()
