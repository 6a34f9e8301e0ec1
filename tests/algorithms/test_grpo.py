import numpy as np
import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from whet.algorithms import ALGORITHMS
from whet.algorithms.grpo import Grpo, clipped_surrogate, group_advantages, token_weights
from whet.core.recipe import RlSettings

NAN = float("nan")


def test_group_advantages_by_hand() -> None:
    # rewards 8.5 6.8 4.2 2.5: mean 5.5, Bessel std 2.6695, so (+3, +1.3, -1.3, -3) / 2.6695
    advantages_PG = group_advantages(tensor([[8.5, 6.8, 4.2, 2.5]]), scale="group", epsilon=0.0)
    assert_close(advantages_PG, tensor([[1.1238, 0.4870, -0.4870, -1.1238]]), atol=1e-4, rtol=0)
    centred_PG = group_advantages(tensor([[8.5, 6.8, 4.2, 2.5]]), scale="none")
    assert_close(centred_PG, tensor([[3.0, 1.3, -1.3, -3.0]]), atol=1e-6, rtol=0)


def test_group_advantages_against_numpy() -> None:
    rewards_PG = torch.rand(50, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    array = rewards_PG.numpy()
    expected = (array - array.mean(1, keepdims=True)) / (array.std(1, ddof=1, keepdims=True) + 1e-4)
    np.testing.assert_allclose(group_advantages(rewards_PG, scale="group").numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("scale", ["group", "none"])
def test_equal_rewards_teach_exactly_nothing(scale: str) -> None:
    # 0.1 * 3 is not the sum of three 0.1s in floating point: the mean must not leave a rest
    rewards_PG = tensor([[0.1] * 7, [1e6] * 7, [NAN] * 7, [NAN] * 6 + [1.0]])
    assert torch.equal(group_advantages(rewards_PG, scale=scale), torch.zeros(4, 7))  # type: ignore[arg-type]


def test_what_could_not_be_scored_is_left_out_of_its_group() -> None:
    found = group_advantages(tensor([[8.5, NAN, 2.5, NAN]]), scale="group", epsilon=0.0)
    assert_close(found, group_advantages(tensor([[8.5, 2.5]]), scale="group", epsilon=0.0)[:, [0, 0, 1, 1]] * tensor([1, 0, 1, 0]))


def test_the_clip_by_hand() -> None:
    # ratios 0.5, 1.5 with bounds 0.8 and 1.2, advantages +1 and -1
    ratio = tensor([[0.5, 1.5], [0.5, 1.5]]).log()
    losses_BT, is_clipped_BT = clipped_surrogate(
        ratio, torch.zeros(2, 2), tensor([1.0, -1.0]), epsilon=0.2, epsilon_high=0.2
    )
    # A = +1: -min(0.5, 0.8) = -0.5, -min(1.5, 1.2) = -1.2; A = -1: -min(-0.5, -0.8) = 0.8, -min(-1.5, -1.2) = 1.5
    assert_close(losses_BT, tensor([[-0.5, -1.2], [0.8, 1.5]]))
    assert is_clipped_BT.tolist() == [[False, True], [True, False]]


def test_on_policy_it_is_the_plain_policy_gradient() -> None:
    logprobs_BT = tensor([[-1.0, -2.0], [-0.5, -3.0]]).requires_grad_()
    advantages_B = tensor([2.0, -1.0])
    losses_BT, _ = clipped_surrogate(logprobs_BT, logprobs_BT.detach(), advantages_B, epsilon=0.2, epsilon_high=0.2)
    losses_BT.sum().backward()
    assert_close(logprobs_BT.grad, tensor([[-2.0, -2.0], [1.0, 1.0]]))


def total(settings: RlSettings, mask_BT: Tensor, advantages_B: Tensor) -> float:
    algorithm = Grpo(settings)
    zeros_BT = torch.zeros(mask_BT.shape)
    losses = algorithm.token_losses(zeros_BT, zeros_BT, zeros_BT, advantages_B, mask_BT).losses_BT
    return float(losses.sum()) / algorithm.denominator(mask_BT)


def test_the_three_averages() -> None:
    # lengths 1 and 3, advantages -1 and -3: token losses 1 | 3 3 3
    mask_BT, advantages_B = tensor([[True, False, False], [True, True, True]]), tensor([-1.0, -3.0])
    assert total(RlSettings(loss_type="dapo"), mask_BT, advantages_B) == pytest.approx(10 / 4)
    assert total(RlSettings(loss_type="grpo"), mask_BT, advantages_B) == pytest.approx((1 + 3) / 2)
    dr_grpo = RlSettings(loss_type="dr_grpo", max_completion_length=8)
    assert total(dr_grpo, mask_BT, advantages_B) == pytest.approx((1 / 8 + 9 / 8) / 2)


@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "dr_grpo"])
def test_padding_changes_nothing_and_micro_batches_add_up(loss_type: str) -> None:
    settings = RlSettings(loss_type=loss_type, beta=0.1)  # type: ignore[arg-type]
    algorithm = ALGORITHMS["grpo"](settings)
    generator = torch.Generator().manual_seed(2)
    logprobs, old, reference = (-torch.rand(4, 5, generator=generator) for _ in range(3))
    advantages_B, mask_BT = torch.randn(4, generator=generator), torch.rand(4, 5, generator=generator) > 0.3
    whole = algorithm.token_losses(logprobs, old, reference, advantages_B, mask_BT).losses_BT.sum()
    pieces = [
        algorithm.token_losses(logprobs[i : i + 1], old[i : i + 1], reference[i : i + 1], advantages_B[i : i + 1], mask_BT[i : i + 1])
        for i in range(4)
    ]
    assert_close(torch.stack([piece.losses_BT.sum() for piece in pieces]).sum(), whole)
    padded = [torch.nn.functional.pad(values, (0, 3), value=-7.0) for values in (logprobs, old, reference)]
    wide = algorithm.token_losses(*padded, advantages_B, torch.nn.functional.pad(mask_BT, (0, 3)))
    assert_close(wide.losses_BT.sum(), whole)
    assert algorithm.denominator(mask_BT) == pytest.approx(sum(algorithm.denominator(mask_BT[i : i + 1]) for i in range(4)))


def test_weights_are_zero_outside_the_mask() -> None:
    mask_BT = tensor([[True, False], [False, False]])
    for loss_type in ("dapo", "grpo", "dr_grpo"):
        weights_BT = token_weights(mask_BT, loss_type=loss_type, max_completion_length=4)  # type: ignore[arg-type]
        assert torch.equal(weights_BT > 0, mask_BT)
