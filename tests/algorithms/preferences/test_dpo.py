import math

import pytest
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.preferences.dpo import dpo_losses


def test_by_hand() -> None:
    # beta 0.1. Margin 0: ln 2. Margin 5 + 5: ln(1 + e^-1) = 0.3133. The other way round: 1.3133.
    chosen, rejected = tensor([0.0, 5.0, -5.0]), tensor([0.0, -5.0, 5.0])
    assert_close(dpo_losses(chosen, rejected, beta=0.1), tensor([0.6931, 0.3133, 1.3133]), atol=1e-4, rtol=0)


def test_gradient_by_hand() -> None:
    # -beta sigmoid(-beta margin) = -0.1 x 0.2689 for the chosen, the opposite for the rejected
    chosen, rejected = tensor([5.0]).requires_grad_(), tensor([-5.0]).requires_grad_()
    dpo_losses(chosen, rejected, beta=0.1).sum().backward()
    assert_close(chosen.grad, tensor([-0.02689]), atol=1e-5, rtol=0)
    assert_close(rejected.grad, tensor([0.02689]), atol=1e-5, rtol=0)


def test_against_a_plain_loop() -> None:
    chosen, rejected = [0.3, -2.0, 11.0, 7.5], [0.1, 3.0, -4.0, 7.5]
    expected = [math.log1p(math.exp(-0.3 * (one - other))) for one, other in zip(chosen, rejected, strict=True)]
    assert dpo_losses(tensor(chosen).double(), tensor(rejected).double(), beta=0.3).tolist() == pytest.approx(expected)


def test_far_apart_stays_finite() -> None:
    assert dpo_losses(tensor([-1e5, 1e5]), tensor([1e5, -1e5]), beta=0.1).tolist() == [2e4, 0.0]
