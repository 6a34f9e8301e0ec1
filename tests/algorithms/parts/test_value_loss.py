import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.parts.value_loss import explained_variance, value_losses

ALL = torch.ones(1, 4, dtype=torch.bool)


def test_by_hand() -> None:
    # V_old 0, c 0.2, R = 1 1 1 -1. V 0.1: within, (0.1 - 1)^2 / 2 = 0.405. V 0.5: moved is 0.2, (0.2 - 1)^2 = 0.64
    # against 0.25, so 0.32. V -0.5: moved is -0.2, 1.44 against 2.25, so 1.125. R -1, V 0.5: 2.25 against 1.44: 1.125.
    values_BT = tensor([[0.1, 0.5, -0.5, 0.5]]).requires_grad_()
    found = value_losses(
        values_BT, torch.zeros(1, 4), tensor([[1.0, 1.0, 1.0, -1.0]]).double(), ALL, cliprange_value=0.2
    )
    assert_close(found.losses_BT.detach(), tensor([[0.405, 0.32, 1.125, 1.125]]))
    assert found.is_clipped_BT.tolist() == [[False, True, False, False]]
    # V - R where it is not clipped, nothing where it is
    found.losses_BT.sum().backward()
    assert_close(values_BT.grad, tensor([[-0.9, 0.0, -1.5, 1.5]]))


def test_without_a_clip_it_is_half_the_squared_error() -> None:
    values_BT = tensor([[0.1, 0.5, -0.5, 0.5]]).requires_grad_()
    returns_BT = tensor([[1.0, 1.0, 1.0, -1.0]])
    found = value_losses(values_BT, torch.zeros(1, 4), returns_BT, ALL, cliprange_value=None)
    found.losses_BT.sum().backward()
    assert_close(values_BT.grad, (values_BT - returns_BT).detach())
    assert not found.is_clipped_BT.any()


@pytest.mark.parametrize("clip", [None, 0.2])
def test_what_is_not_trained_has_no_part(clip: float | None) -> None:
    values_BT = tensor([[math.nan, 0.5]]).requires_grad_()
    mask_BT = tensor([[False, True]])
    found = value_losses(values_BT, tensor([[math.inf, 0.4]]), tensor([[math.nan, 1.0]]), mask_BT, cliprange_value=clip)
    found.losses_BT.sum().backward()
    assert_close(found.losses_BT.detach(), tensor([[0.0, 0.125]]))
    assert_close(values_BT.grad, tensor([[0.0, -0.5]]))


def test_half_precision_is_computed_in_full() -> None:
    values_BT = torch.full((1, 4), 1.0).bfloat16()
    found = value_losses(values_BT, values_BT, torch.full((1, 4), 1.001).double(), ALL, cliprange_value=0.2)
    assert found.losses_BT.tolist()[0] == pytest.approx([5e-7] * 4, rel=1e-3)


def test_explained_variance_by_hand() -> None:
    returns_BT = tensor([[1.0, 2.0, 3.0, 4.0]])
    assert explained_variance(returns_BT, returns_BT, ALL) == 1.0
    assert explained_variance(torch.full((1, 4), 7.0), returns_BT, ALL) == pytest.approx(0.0)
    # a constant offset is explained; the opposite is worse than nothing: errors 2R - 5, four times the variance
    assert explained_variance(returns_BT + 10, returns_BT, ALL) == pytest.approx(1.0)
    assert explained_variance(5 - returns_BT, returns_BT, ALL) == pytest.approx(-3.0)


def test_explained_variance_of_nothing_is_none() -> None:
    returns_BT = tensor([[1.0, 2.0, 2.0, 2.0]])
    assert explained_variance(returns_BT, returns_BT, tensor([[True, False, False, False]])) is None
    assert explained_variance(returns_BT, returns_BT, tensor([[False, True, True, True]])) is None
