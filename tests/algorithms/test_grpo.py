"""Legend: P prompt, G completion of the same prompt, B = P x G, T completion token."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from family import REWARDS, Rows, check_against_plain, clip_loss, deviation, make_step, mean, options, rows_of, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from whet.algorithms import ALGORITHMS, TokenLosses
from whet.algorithms.grpo import Grpo, group_advantages, token_weights
from whet.core.recipe import RlSettings

LOSS_TYPES = ("dapo", "grpo", "dr_grpo")
LENGTHS = (3, 5, 1, 4, 2, 5, 5, 1)


def make_settings(**fields: object) -> RlSettings:
    return RlSettings.model_validate({"max_completion_length": 8, **fields})


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Eight completions of up to five tokens, with random log-probabilities around each other."""

    logprobs_BT: Tensor
    old_BT: Tensor
    reference_BT: Tensor
    advantages_B: Tensor
    mask_BT: Tensor

    def losses(self, algorithm: Grpo, rows: slice = slice(None)) -> TokenLosses:
        return algorithm.token_losses(
            self.logprobs_BT[rows],
            self.old_BT[rows],
            self.reference_BT[rows],
            self.advantages_B[rows],
            self.mask_BT[rows],
        )


def make_batch(*, dtype: torch.dtype = torch.float32) -> Batch:
    generator = torch.Generator().manual_seed(3)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    old_BT = -noise(8, 5).abs() - 0.5
    mask_BT = torch.arange(5) < tensor(LENGTHS)[:, None]
    return Batch(
        logprobs_BT=(old_BT + 0.3 * noise(8, 5)).to(dtype).requires_grad_(),
        old_BT=old_BT.to(dtype),
        reference_BT=(old_BT + 0.2 * noise(8, 5)).to(dtype),
        advantages_B=noise(8).to(dtype),
        mask_BT=mask_BT,
    )


def advantages(
    rewards: list[list[float]], scale: Literal["batch", "group", "none"] = "group", epsilon: float = 0.0
) -> Tensor:
    return group_advantages(tensor(rewards), scale=scale, epsilon=epsilon)


def test_group_advantages_by_hand() -> None:
    # mean 5.5; (3^2 + 1.3^2 + 1.3^2 + 3^2) / 3 = 7.1267, root 2.6696; so (+3, +1.3, -1.3, -3) / 2.6696
    expected = tensor([[1.1238, 0.4870, -0.4870, -1.1238]])
    assert_close(advantages([[8.5, 6.8, 4.2, 2.5]]), expected, atol=1e-4, rtol=0)
    # as the lecture rounds them, with the default epsilon of 1e-4
    shown = group_advantages(tensor([[8.5, 6.8, 4.2, 2.5]]), scale="group")
    assert [f"{value:+.2f}" for value in shown[0].tolist()] == ["+1.12", "+0.49", "-0.49", "-1.12"]


def test_without_scaling_by_hand() -> None:
    assert_close(advantages([[8.5, 6.8, 4.2, 2.5]], "none"), tensor([[3.0, 1.3, -1.3, -3.0]]), atol=1e-5, rtol=0)


def test_scaled_by_the_step_by_hand() -> None:
    # scored: 3 1 0 0, mean 1, squares 4 + 0 + 1 + 1, / 3 = 2, root 1.41421; centred +1 -1 and 0 0
    found = advantages([[3.0, 1.0, math.nan], [0.0, 0.0, math.inf]], "batch")
    assert_close(found, tensor([[0.70711, -0.70711, 0.0], [0.0] * 3]), atol=1e-5, rtol=0)


def test_epsilon_by_hand() -> None:
    # rewards 0 and 1: mean 0.5, deviation sqrt(0.5 / 1) = 0.7071; 0.5 / (0.7071 + 0.2929) = 0.5
    assert_close(advantages([[0.0, 1.0]], epsilon=1 - math.sqrt(0.5)), tensor([[-0.5, 0.5]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", ["batch", "group", "none"])
@pytest.mark.parametrize("reward", [0.0, 0.1, 1.0, 1.1, 1e8, -1e-9])
def test_uniform_rewards_teach_exactly_nothing(reward: float, scale: Literal["batch", "group", "none"]) -> None:
    # 0.1 is not a sum of powers of two: mean and reward may differ in the last bit, and 1e-9 / 1e-9 would be 1
    assert advantages([[reward] * 7], scale).tolist() == [[0.0] * 7]


def test_unscored_completions_are_left_out() -> None:
    # the scored ones are the group of the lecture: the failed grader changes nothing for them and gets 0 itself
    with_gap = advantages([[8.5, math.nan, 6.8, 4.2, 2.5]])
    assert_close(with_gap, tensor([[1.1238, 0.0, 0.4870, -0.4870, -1.1238]]), atol=1e-4, rtol=0)


def test_an_infinite_reward_is_no_score() -> None:
    assert_close(
        advantages([[8.5, math.inf, 6.8, 4.2, 2.5, -math.inf]]),
        tensor([[1.1238, 0.0, 0.4870, -0.4870, -1.1238, 0.0]]),
        atol=1e-4,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("rewards", "centred"),
    [
        # float32 holds 1e8 to the nearest 8
        ([1e8, 1e8 + 1, 1e8 + 3], [-4 / 3, -1 / 3, 5 / 3]),
        ([-1e15, 1 - 1e15, 3 - 1e15], [-4 / 3, -1 / 3, 5 / 3]),
        # the square of 1e300 is no float64; neither is the sum of three times 1.5e308
        ([1e300, 2e300, 4e300], [-4e300 / 3, -1e300 / 3, 5e300 / 3]),
        ([1.5e308, 1.5e308, 1.5e308, 0.5e308], [0.25e308, 0.25e308, 0.25e308, -0.75e308]),
    ],
)
def test_large_rewards_keep_their_differences(rewards: list[float], centred: list[float]) -> None:
    rewards_PG = tensor([rewards, [0.0] * len(rewards)], dtype=torch.float64)
    expected = torch.tensor(centred, dtype=torch.float64)
    assert_close(group_advantages(rewards_PG, scale="none")[0], expected, rtol=1e-12, atol=0)
    # divided by the largest first, what is left is a plain Bessel deviation
    unit = expected / expected.abs().max()
    scaled = group_advantages(rewards_PG, scale="group", epsilon=0.0)
    assert_close(scaled[0], unit / unit.square().sum().div(len(unit) - 1).sqrt(), rtol=1e-12, atol=0)
    assert scaled[1].tolist() == [0.0] * len(rewards)


def test_a_step_of_small_and_huge_rewards_is_scaled_by_the_huge() -> None:
    # all six: mean 1e300 / 6, squares (25/36 + 5/36) 1e600 = 5/6, / 5 = 1/6, root 0.408248; (0.5, -0.5) / that
    rewards_PG = tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1e300]], dtype=torch.float64)
    found = group_advantages(rewards_PG, scale="batch")
    assert_close(found[1], tensor([-1.0, -1.0, 2.0]).double() / 3 / 0.40824829, atol=1e-7, rtol=0)
    assert_close(found[0] * 1e300, tensor([-1.0, 2.0, -1.0]).double() / 3 / 0.40824829, atol=1e-7, rtol=0)


def test_epsilon_keeps_its_size_beside_tiny_and_huge_rewards() -> None:
    # 0 and 1e-4: deviation 1e-4 / sqrt 2, so 0.5e-4 / (0.70711e-4 + 1e-4) = 0.29289; beside 1e300 it is nothing
    tiny, huge = tensor([[0.0, 1e-4]], dtype=torch.float64), tensor([[0.0, 1e300]], dtype=torch.float64)
    assert float(group_advantages(tiny, scale="group")[0, 1]) == pytest.approx(0.29289, abs=1e-5)
    assert float(group_advantages(huge, scale="group")[0, 1]) == pytest.approx(math.sqrt(0.5))


def test_fewer_than_two_scored_teach_nothing_and_spoil_no_other_group() -> None:
    nan = math.nan
    found = advantages([[nan, 3.0, nan], [nan, nan, nan], [0.0, 0.0, 3.0]])
    # third group: mean 1, deviation sqrt((1 + 1 + 4) / 2) = 1.7321
    assert_close(found, tensor([[0.0] * 3, [0.0] * 3, [-0.5774, -0.5774, 1.1547]]), atol=1e-4, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    rewards=st.lists(st.floats(-100, 100, width=16), min_size=2, max_size=12),
    shift=st.integers(-50, 50),
    factor=st.sampled_from([0.5, 2.0, 8.0]),
)
def test_advantages_do_not_know_origin_or_unit_of_a_reward(rewards: list[float], shift: int, factor: float) -> None:
    group = torch.tensor([rewards], dtype=torch.float64)
    plain = group_advantages(group, scale="group", epsilon=0.0)
    moved = group_advantages(group * factor + shift, scale="group", epsilon=0.0)
    assert_close(moved, plain, atol=1e-6, rtol=0)
    assert abs(float(plain.sum())) < 1e-6


def test_against_numpy_in_float64() -> None:
    rewards_PG = torch.randn(6, 9, generator=torch.Generator().manual_seed(1))
    array = rewards_PG.double().numpy()
    expected = (array - array.mean(1, keepdims=True)) / (array.std(1, keepdims=True, ddof=1) + 1e-4)
    found = group_advantages(rewards_PG, scale="group")
    assert_close(found, torch.from_numpy(expected).float(), atol=1e-5, rtol=0)


def test_weights_by_hand() -> None:
    mask_BT = tensor([[True, True], [True, False]])
    expected = {
        "dapo": ([[1.0, 1.0], [1.0, 0.0]], 3.0),
        "grpo": ([[0.5, 0.5], [1.0, 0.0]], 2.0),
        "dr_grpo": ([[0.125, 0.125], [0.125, 0.0]], 2.0),
    }
    for loss_type, (weights, denominator) in expected.items():
        algorithm = Grpo(make_settings(loss_type=loss_type))
        assert algorithm.token_weights(mask_BT).tolist() == weights
        assert token_weights(mask_BT, loss_type=loss_type, max_completion_length=8).tolist() == weights
        assert algorithm.denominator(mask_BT) == denominator


def test_the_three_averages_by_hand() -> None:
    # lengths 1 and 3, advantages -1 and -3 on policy: token losses 1 | 3 3 3
    mask_BT, zeros_BT = tensor([[True, False, False], [True, True, True]]), torch.zeros(2, 3)
    # dapo 10 / 4; grpo (1 + 3) / 2; dr_grpo (1/8 + 9/8) / 2
    for loss_type, expected in {"dapo": 2.5, "grpo": 2.0, "dr_grpo": 0.625}.items():
        algorithm = Grpo(make_settings(loss_type=loss_type))
        losses = algorithm.token_losses(zeros_BT, zeros_BT, zeros_BT, tensor([-1.0, -3.0]), mask_BT)
        assert float(losses.losses_BT.sum()) / algorithm.denominator(mask_BT) == pytest.approx(expected)


def reference_loss(batch: Batch, options: RlSettings) -> float:
    """The papers' formulas, written again in NumPy's float64, one completion after the other."""
    totals = []
    for row, length in enumerate(LENGTHS):
        policy, old, reference = (
            part[row, :length].detach().double().numpy()
            for part in (batch.logprobs_BT, batch.old_BT, batch.reference_BT)
        )
        advantage = float(batch.advantages_B[row])
        ratio = np.exp(policy - old)
        high = options.epsilon if options.epsilon_high is None else options.epsilon_high
        gain = np.minimum(ratio * advantage, np.clip(ratio, 1 - options.epsilon, 1 + high) * advantage)
        kl = np.exp(reference - policy) - (reference - policy) - 1
        totals.append(options.beta * kl - gain)
    if options.loss_type == "dapo":
        return float(np.concatenate(totals).mean())
    if options.loss_type == "grpo":
        return float(np.mean([total.mean() for total in totals]))
    return float(np.mean([total.sum() / options.max_completion_length for total in totals]))


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize("beta", [0.0, 0.04])
@pytest.mark.parametrize("epsilon_high", [None, 0.28])
def test_loss_against_numpy_in_float64(loss_type: str, beta: float, epsilon_high: float | None) -> None:
    options = make_settings(loss_type=loss_type, beta=beta, epsilon_high=epsilon_high)
    batch, algorithm = make_batch(), Grpo(options)
    loss = float(batch.losses(algorithm).losses_BT.detach().sum()) / algorithm.denominator(batch.mask_BT)
    assert loss == pytest.approx(reference_loss(batch, options), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_four_micro_batches_are_one_batch(loss_type: str) -> None:
    algorithm, batch = Grpo(make_settings(loss_type=loss_type, beta=0.1)), make_batch()
    (batch.losses(algorithm).losses_BT.sum() / algorithm.denominator(batch.mask_BT)).backward()
    pieces = [slice(start, start + 2) for start in range(0, 8, 2)]
    denominator = math.fsum(algorithm.denominator(batch.mask_BT[piece]) for piece in pieces)
    again = make_batch()
    for piece in pieces:
        (again.losses(algorithm, piece).losses_BT.sum() / denominator).backward()
    assert_close(again.logprobs_BT.grad, batch.logprobs_BT.grad)


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize("trash", [0.0, -7.0, math.nan, -math.inf])
def test_padding_changes_nothing(loss_type: str, trash: float) -> None:
    algorithm, batch = Grpo(make_settings(loss_type=loss_type, beta=0.1)), make_batch()
    plain = batch.losses(algorithm)
    plain.losses_BT.sum().backward()

    def padded(values_BT: Tensor) -> Tensor:
        values_BT = torch.where(batch.mask_BT, values_BT.detach(), trash)
        return torch.cat([values_BT, torch.full((8, 3), trash)], dim=1)

    mask_BT = torch.cat([batch.mask_BT, torch.zeros(8, 3, dtype=torch.bool)], dim=1)
    logprobs_BT = padded(batch.logprobs_BT).requires_grad_()
    losses = algorithm.token_losses(
        logprobs_BT, padded(batch.old_BT), padded(batch.reference_BT), batch.advantages_B, mask_BT
    )
    losses.losses_BT.sum().backward()
    for name in ("losses_BT", "ratio_BT", "is_clipped_BT", "kl_BT"):
        assert_close(getattr(losses, name)[:, :5], getattr(plain, name))
        assert not getattr(losses, name)[:, 5:].any()
    assert_close(logprobs_BT.grad[:, :5], batch.logprobs_BT.grad)
    assert not logprobs_BT.grad[~mask_BT].any()


def test_on_policy_the_gradient_is_the_plain_policy_gradient() -> None:
    # With pi = pi_old the ratio is 1 and d(-ratio A)/d logprob = -A: REINFORCE with the group as its baseline.
    batch, algorithm = make_batch(), Grpo(make_settings(beta=0.0))
    losses = algorithm.token_losses(
        batch.logprobs_BT, batch.logprobs_BT.detach(), batch.reference_BT, batch.advantages_B, batch.mask_BT
    )
    losses.losses_BT.sum().backward()
    assert_close(batch.logprobs_BT.grad, -batch.advantages_B[:, None] * batch.mask_BT)
    assert losses.ratio_BT[batch.mask_BT].unique().tolist() == [1.0]
    assert not losses.is_clipped_BT.any()


def test_zero_advantage_gives_no_gradient_but_the_divergence_still_counts() -> None:
    batch = make_batch()
    zero_B = torch.zeros(8)
    arguments = (batch.old_BT, batch.reference_BT, zero_B, batch.mask_BT)
    Grpo(make_settings()).token_losses(batch.logprobs_BT, *arguments).losses_BT.sum().backward()
    assert not batch.logprobs_BT.grad.any()
    Grpo(make_settings(beta=0.1)).token_losses(batch.logprobs_BT, *arguments).losses_BT.sum().backward()
    assert batch.logprobs_BT.grad[batch.mask_BT].all()


def test_what_is_logged_carries_no_gradient_and_is_by_hand() -> None:
    # pi 0.6, pi_old 0.4, reference 0.3, A = 1: ratio 1.5, clipped at 1.2; k3 = 0.5 - 1 - ln 0.5 = 0.1931
    logprobs_BT = tensor([[0.6]]).log().requires_grad_()
    losses = Grpo(make_settings(beta=0.1)).token_losses(
        logprobs_BT, tensor([[0.4]]).log(), tensor([[0.3]]).log(), tensor([1.0]), tensor([[True]])
    )
    assert_close(losses.losses_BT.detach(), tensor([[-1.2 + 0.01931]]), atol=1e-5, rtol=0)
    assert_close(losses.ratio_BT, tensor([[1.5]]))
    assert_close(losses.kl_BT, tensor([[0.1931]]), atol=1e-4, rtol=0)
    assert losses.is_clipped_BT.tolist() == [[True]]
    assert not losses.ratio_BT.requires_grad
    assert not losses.kl_BT.requires_grad


def test_a_completion_without_trained_tokens_is_no_division_by_zero() -> None:
    mask_BT = tensor([[True, True], [False, False]])
    for loss_type in LOSS_TYPES:
        weights_BT = Grpo(make_settings(loss_type=loss_type)).token_weights(mask_BT)
        assert weights_BT[1].tolist() == [0.0, 0.0]


def test_arguments_are_left_as_they_were() -> None:
    batch = make_batch()
    before = [part.detach().clone() for part in (batch.logprobs_BT, batch.old_BT, batch.reference_BT)]
    batch.losses(Grpo(make_settings(beta=0.1)))
    for part, copy in zip((batch.logprobs_BT, batch.old_BT, batch.reference_BT), before, strict=True):
        assert torch.equal(part.detach(), copy)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize("loss_type", LOSS_TYPES)
@pytest.mark.parametrize("beta", [0.0, 0.04])
def test_credit_and_losses_are_the_papers(loss_type: str, scale: str, beta: float) -> None:
    step = make_step(beta=beta)
    reference = rows_of(step.reference_logprobs_BT, step.mask_BT)
    of_the_step = deviation(scored(REWARDS.flatten().tolist())) + 1e-4
    advantages = []
    for rewards in REWARDS.tolist():
        known = scored(rewards)
        divisor = {"group": deviation(known) + 1e-4, "batch": of_the_step, "none": 1.0}[scale]
        advantages += [(reward - mean(known)) / divisor if math.isfinite(reward) else 0.0 for reward in rewards]

    def plain(now: Rows, constant: Rows, old: Rows) -> float:
        total, tokens = 0.0, sum(map(len, now))
        for i, row in enumerate(now):
            divisor = {"dapo": tokens, "grpo": 12 * max(len(row), 1), "dr_grpo": 12 * 8}[loss_type]
            for t, logprob in enumerate(row):
                gap = reference[i][t] - logprob
                loss = clip_loss(logprob - old[i][t], advantages[i], 0.8, 1.3) + beta * (math.exp(gap) - 1 - gap)
                total += loss / divisor
        return total

    settings = options(loss_type=loss_type, scale_rewards=scale, beta=beta, epsilon_high=0.3)
    losses = check_against_plain(Grpo(settings), step, plain)
    assert losses.is_clipped_BT.any()


def test_the_table_has_it() -> None:
    assert ALGORITHMS["grpo"] is Grpo
