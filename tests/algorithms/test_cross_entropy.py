"""The lecture's example: Boston 0.01, San Francisco 0.68, Sacramento 0.12 (right), Los Angeles 0.02."""

import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.sft import cross_entropy, cross_entropy_gradient

# The four cities, and 0.17 for the rest of the vocabulary.
PROBABILITIES = tensor([[0.01, 0.68, 0.12, 0.02, 0.17]])
SACRAMENTO = tensor([2])


def test_token_losses_by_hand() -> None:
    # -ln 0.12 = 2.12 and -ln 0.68 = 0.39
    losses = cross_entropy(PROBABILITIES.log().repeat(2, 1), tensor([2, 1]))
    assert_close(losses, tensor([2.12, 0.39]), atol=0.005, rtol=0)


def test_sum_over_the_output_by_hand() -> None:
    # 0.39 + 1.51 + 0.33 + 0.62 + 1.97 = 4.82, for tokens of probability 0.68, 0.22, 0.72, 0.54, 0.14
    right = tensor([0.68, 0.22, 0.72, 0.54, 0.14])
    losses = cross_entropy(torch.stack([right, 1 - right], dim=-1).log(), torch.zeros(5, dtype=torch.long))
    assert_close(losses, tensor([0.39, 1.51, 0.33, 0.62, 1.97]), atol=0.006, rtol=0)
    assert float(losses.sum()) == pytest.approx(4.82, abs=0.01)


def test_gradient_at_the_logits_by_hand() -> None:
    # p - target: only Sacramento loses 1, 0.12 - 1 = -0.88
    gradient = cross_entropy_gradient(PROBABILITIES.log(), SACRAMENTO)
    assert_close(gradient, tensor([[0.01, 0.68, -0.88, 0.02, 0.17]]), atol=1e-6, rtol=0)


def test_weight_gradient_and_one_step_by_hand() -> None:
    # Row of Sacramento: -0.88 x [0.5, -1.0] = [-0.44, 0.88]; W <- W - 0.1 [-0.44, 0.88] adds [0.044, -0.088].
    # Row of San Francisco: 0.68 x [0.5, -1.0] = [0.34, -0.68].
    hidden = tensor([[0.5, -1.0]])
    weight = torch.zeros(5, 2, requires_grad=True)
    logits = hidden @ weight.T + PROBABILITIES.log()
    cross_entropy(logits, SACRAMENTO).sum().backward()
    assert_close(weight.grad[2], tensor([-0.44, 0.88]), atol=1e-6, rtol=0)
    assert_close(weight.grad[1], tensor([0.34, -0.68]), atol=1e-6, rtol=0)
    assert_close(weight.grad, cross_entropy_gradient(PROBABILITIES.log(), SACRAMENTO).T @ hidden)
    stepped = weight - 0.1 * weight.grad
    assert_close(stepped[2].detach(), tensor([0.044, -0.088]), atol=1e-6, rtol=0)


def test_gradient_is_what_autograd_finds() -> None:
    logits = torch.randn(7, 11, generator=torch.Generator().manual_seed(0), requires_grad=True)
    targets = torch.arange(7)
    cross_entropy(logits, targets).sum().backward()
    assert_close(logits.grad, cross_entropy_gradient(logits.detach(), targets))


def test_huge_logits_stay_finite() -> None:
    assert cross_entropy(tensor([[1e4, 0.0]]), tensor([1])).tolist() == [1e4]
    assert cross_entropy(tensor([[1e4, 0.0]]), tensor([0])).tolist() == [0.0]


def test_half_precision_is_computed_in_full() -> None:
    # In bfloat16 the loss of a uniform guess over 1,000 tokens would be 6.91 +- 0.03.
    losses = cross_entropy(torch.zeros(1, 1000, dtype=torch.bfloat16), tensor([0]))
    assert float(losses) == pytest.approx(math.log(1000), abs=1e-5)
