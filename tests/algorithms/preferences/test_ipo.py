import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.preferences.ipo import ipo_losses


def test_by_hand() -> None:
    # beta 0.1: the margin to reach is 5. 0: 25. 5: 0. 8: 9, too far. -1: 36.
    found = ipo_losses(tensor([0.0, 3.0, 6.0, 0.0]), tensor([0.0, -2.0, -2.0, 1.0]), beta=0.1)
    assert_close(found, tensor([25.0, 0.0, 9.0, 36.0]))


def test_gradient_pulls_back_beyond_the_margin() -> None:
    # 2 (margin - 5)
    chosen = tensor([0.0, 5.0, 8.0]).requires_grad_()
    ipo_losses(chosen, torch.zeros(3), beta=0.1).sum().backward()
    assert_close(chosen.grad, tensor([-10.0, 0.0, 6.0]))


@pytest.mark.parametrize("beta", [0.01, 0.5])
def test_beta_sets_the_margin(beta: float) -> None:
    found = ipo_losses(tensor([1 / (2 * beta)]), tensor([0.0]), beta=beta)
    assert found.tolist() == pytest.approx([0.0], abs=1e-6)
