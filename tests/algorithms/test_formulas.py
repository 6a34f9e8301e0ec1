"""Every formula against numbers worked by hand."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.bradley_terry import bradley_terry_losses
from whet.algorithms.kl import k1, k2, k3
from whet.algorithms.masked import masked_mean
from whet.algorithms.sft import cross_entropy, cross_entropy_gradient

# Boston, SF, Sacramento, LA and the rest of the vocabulary; Sacramento is right
CITIES = tensor([[0.01, 0.68, 0.12, 0.02, 0.17]])


def test_token_losses() -> None:
    # -ln 0.12 = 2.1203, -ln 0.68 = 0.3857
    logits = CITIES.log().expand(2, -1)
    assert_close(cross_entropy(logits, tensor([2, 1])), tensor([2.1203, 0.3857]), atol=1e-4, rtol=0)


def test_losses_of_an_output_add_up() -> None:
    # e^-0.39 and so on: 0.39 + 1.51 + 0.33 + 0.62 + 1.97 = 4.82
    right = tensor([0.39, 1.51, 0.33, 0.62, 1.97]).neg().exp()
    logits = torch.stack((right, 1 - right), dim=-1).log()
    assert abs(float(cross_entropy(logits, torch.zeros(5, dtype=torch.long)).sum()) - 4.82) < 1e-5


def test_the_gradient_at_the_logits_is_p_minus_target() -> None:
    expected = tensor([[0.01, 0.68, -0.88, 0.02, 0.17]])
    assert_close(cross_entropy_gradient(CITIES.log(), tensor([2])), expected, atol=1e-6, rtol=0)
    logits = CITIES.log().requires_grad_()
    cross_entropy(logits, tensor([2])).sum().backward()
    assert_close(logits.grad, expected, atol=1e-6, rtol=0)


def test_one_step_of_the_head() -> None:
    # gradient of Sacramento's row: -0.88 * [0.5, -1.0] = [-0.44, 0.88]; W - 0.1 of it adds [0.044, -0.088]
    hidden = tensor([[0.5, -1.0]])
    weight = torch.zeros(5, 2).requires_grad_()
    bias = CITIES[0].log()
    cross_entropy(hidden @ weight.t() + bias, tensor([2])).sum().backward()
    assert weight.grad is not None
    assert_close(weight.grad[2], tensor([-0.44, 0.88]), atol=1e-6, rtol=0)
    stepped = weight.detach() - 0.1 * weight.grad
    assert_close(stepped[2], tensor([0.044, -0.088]), atol=1e-6, rtol=0)
    assert_close(weight.grad, cross_entropy_gradient(bias[None], tensor([2])).t() @ hidden, atol=1e-6, rtol=0)


def test_bradley_terry() -> None:
    # -log sigmoid(2) = ln(1 + e^-2) = 0.126928; equal rewards: ln 2; centring adds 0.1 (3 + 1)^2 = 1.6
    losses = bradley_terry_losses(tensor([3.0, 1.0]), tensor([1.0, 1.0]), center_coefficient=0.0)
    assert_close(losses, tensor([math.log1p(math.exp(-2)), math.log(2)]))
    assert_close(
        bradley_terry_losses(tensor([3.0]), tensor([1.0]), center_coefficient=0.1), losses[:1] + 1.6, atol=1e-6, rtol=0
    )
    assert torch.isfinite(bradley_terry_losses(tensor([-1e4]), tensor([1e4]), center_coefficient=0.0)).all()


def test_kl_estimators() -> None:
    # p = 0.5, q = 0.25: log-ratio ln 2; k2 = (ln 2)^2 / 2; k3 = 1/2 - 1 + ln 2
    p, q = tensor([0.5]).log(), tensor([0.25]).log()
    assert_close(k1(p, q), tensor([math.log(2)]))
    assert_close(k2(p, q), tensor([math.log(2) ** 2 / 2]))
    assert_close(k3(p, q), tensor([math.log(2) - 0.5]))
    assert float(k3(p, p)) == 0.0
    assert torch.isfinite(k3(tensor([-1e5]), tensor([0.0]))).all()


def test_k1_and_k3_are_unbiased() -> None:
    p, q = tensor([0.7, 0.2, 0.1], dtype=torch.float64), tensor([0.3, 0.3, 0.4], dtype=torch.float64)
    exact = (p * (p / q).log()).sum()
    for estimator in (k1, k3):
        assert_close((p * estimator(p.log(), q.log())).sum(), exact)


def test_a_mean_of_nothing_is_none() -> None:
    assert masked_mean(tensor([1.0, 2.0, 9.0]), tensor([True, True, False])) == pytest.approx(1.5)
    assert masked_mean(tensor([1.0]), tensor([False])) is None
