import math

from family import REWARDS, Rows, check_against_plain, clip_loss, make_step, mean, options, scored

from whet.algorithms.dr_grpo import DrGrpo


def test_loss_and_gradient_are_the_papers() -> None:
    advantages = []
    for rewards in REWARDS.tolist():
        centre = mean(scored(rewards))
        advantages += [reward - centre if math.isfinite(reward) else 0.0 for reward in rewards]

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total = 0.0
        for i, advantage in enumerate(advantages):
            for logprob, before in zip(now[i], old[i], strict=True):
                total += clip_loss(logprob - before, advantage, 0.8, 1.2) / 9
        return total / 12

    losses = check_against_plain(DrGrpo(options(max_completion_length=9)), make_step(), plain)
    assert losses.is_clipped_BT.any()
