import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.preferences.bradley_terry import bradley_terry_losses, pair_accuracy


def losses_of(chosen: list[float], rejected: list[float], **options: float) -> list[float]:
    settings = {"center_coefficient": 0.0} | options
    return bradley_terry_losses(tensor(chosen), tensor(rejected), **settings).tolist()


def test_by_hand() -> None:
    # Difference 0: ln 2 = 0.6931. Difference 2: ln(1 + e^-2) = 0.1269. Difference -2: 0.1269 + 2 = 2.1269.
    assert losses_of([1.0, 3.0, 1.0], [1.0, 1.0, 3.0]) == pytest.approx([0.6931, 0.1269, 2.1269], abs=1e-4)


def test_margin_by_hand() -> None:
    # Difference 2 with a margin of 2 counts as difference 0: ln 2.
    assert losses_of([3.0], [1.0], margin_N=2.0) == pytest.approx([0.6931], abs=1e-4)


def test_centring_by_hand() -> None:
    # 0.1269 + 0.01 (3 + 1)^2 = 0.1269 + 0.16
    assert losses_of([3.0], [1.0], center_coefficient=0.01) == pytest.approx([0.2869], abs=1e-4)


def test_only_differences_count_without_centring() -> None:
    assert losses_of([3.0, -1.0], [1.0, 2.0]) == pytest.approx(losses_of([103.0, 99.0], [101.0, 102.0]), abs=1e-5)


def test_gradient_pushes_both_apart_by_the_probability_of_being_wrong() -> None:
    # d loss / d chosen = -sigmoid(-(2)) = -0.1192, and the opposite for the rejected one
    chosen, rejected = tensor([3.0], requires_grad=True), tensor([1.0], requires_grad=True)
    bradley_terry_losses(chosen, rejected, center_coefficient=0.0).sum().backward()
    assert_close(chosen.grad, tensor([-0.1192]), atol=1e-4, rtol=0)
    assert_close(rejected.grad, tensor([0.1192]), atol=1e-4, rtol=0)


def test_far_apart_rewards_stay_finite() -> None:
    assert losses_of([1e4, 0.0], [0.0, 1e4]) == [0.0, 1e4]


def test_half_precision_is_computed_in_full() -> None:
    half = bradley_terry_losses(tensor([1.0]).bfloat16(), tensor([1.0]).bfloat16(), center_coefficient=0.0)
    assert float(half) == pytest.approx(math.log(2), abs=1e-6)


def test_accuracy_counts_ties_as_wrong() -> None:
    # right, wrong, tie, right
    assert pair_accuracy(tensor([2.0, 1.0, 1.0, 0.5]), tensor([1.0, 2.0, 1.0, 0.0])) == 0.5
    assert pair_accuracy(torch.empty(0), torch.empty(0)) is None
