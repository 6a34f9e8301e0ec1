import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.preferences.kto import kto_losses, kto_reference_point

WEIGHTS = {"desirable_weight": 1.0, "undesirable_weight": 1.0}


def test_by_hand() -> None:
    # beta 0.1, z_0 = 2. Good at 12: 1 - sigmoid(1) = 0.2689. Bad at 12: 1 - sigmoid(-1) = 0.7311. Bad at 2: 0.5.
    found = kto_losses(tensor([12.0, 12.0, 2.0]), tensor([True, False, False]), tensor(2.0), beta=0.1, **WEIGHTS)
    assert_close(found, tensor([0.2689, 0.7311, 0.5]), atol=1e-4, rtol=0)


def test_weights_by_hand() -> None:
    found = kto_losses(
        tensor([2.0, 2.0]),
        tensor([True, False]),
        tensor(2.0),
        beta=0.1,
        desirable_weight=1.5,
        undesirable_weight=0.5,
    )
    assert_close(found, tensor([0.75, 0.25]))


def test_gradient_by_hand_and_none_through_the_reference_point() -> None:
    # -+beta s (1 - s), s = sigmoid(1) = 0.7311: -+0.1 x 0.1966
    log_ratios, point = tensor([12.0, 12.0]).requires_grad_(), tensor([1.0, 3.0]).requires_grad_()
    z_0 = kto_reference_point(point)
    assert not z_0.requires_grad
    kto_losses(log_ratios, tensor([True, False]), z_0, beta=0.1, **WEIGHTS).sum().backward()
    assert_close(log_ratios.grad, tensor([-0.01966, 0.01966]), atol=1e-5, rtol=0)


def test_reference_point_by_hand() -> None:
    assert float(kto_reference_point(tensor([1.0, 2.0, 6.0]))) == 3.0
    assert float(kto_reference_point(tensor([1.0, -2.0]))) == 0.0  # a divergence is never negative
    assert float(kto_reference_point(torch.empty(0))) == 0.0


def test_against_a_plain_loop() -> None:
    log_ratios, good, z_0 = [0.4, -3.0, 2.0, 7.0], [True, True, False, False], 0.7
    expected = []
    for ratio, is_good in zip(log_ratios, good, strict=True):
        lead = 0.5 * (ratio - z_0) if is_good else 0.5 * (z_0 - ratio)
        expected.append((2.1 if is_good else 0.3) * (1 - 1 / (1 + math.exp(-lead))))
    found = kto_losses(
        tensor(log_ratios, dtype=torch.float64),
        tensor(good),
        tensor(z_0, dtype=torch.float64),
        beta=0.5,
        desirable_weight=2.1,
        undesirable_weight=0.3,
    )
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
