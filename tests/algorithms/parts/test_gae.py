"""Legend: B completion, T completion token."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from whet.algorithms.parts.gae import discounted_sums, gae

NONE = torch.zeros(1)


def everything(*values: float) -> Tensor:
    return torch.ones(1, len(values), dtype=torch.bool)


def test_four_tokens_by_hand() -> None:
    # rewards 0 0 0 1, values 0.5 0.6 0.4 0.8, gamma 1, lambda 0.5, the episode ended:
    # delta_1 = 0 + 0.6 - 0.5 = 0.1, delta_2 = 0.4 - 0.6 = -0.2, delta_3 = 0.8 - 0.4 = 0.4, delta_4 = 1 - 0.8 = 0.2
    # A_4 = 0.2, A_3 = 0.4 + 0.5 x 0.2 = 0.5, A_2 = -0.2 + 0.5 x 0.5 = 0.05, A_1 = 0.1 + 0.5 x 0.05 = 0.125
    rewards_BT, values_BT = tensor([[0.0, 0.0, 0.0, 1.0]]), tensor([[0.5, 0.6, 0.4, 0.8]])
    found = gae(rewards_BT, values_BT, NONE, everything(1, 2, 3, 4), gamma=1.0, lam=0.5)
    assert_close(found.td_errors_BT, tensor([[0.1, -0.2, 0.4, 0.2]]).double(), atol=1e-6, rtol=0)
    assert_close(found.advantages_BT, tensor([[0.125, 0.05, 0.5, 0.2]]).double(), atol=1e-6, rtol=0)
    assert_close(found.returns_BT, tensor([[0.625, 0.65, 0.9, 1.0]]).double(), atol=1e-6, rtol=0)


def test_discount_and_bootstrap_by_hand() -> None:
    # gamma 0.9, lambda 0.5, one token, value 0.5, cut with 2 to come: delta = 0 + 1.8 - 0.5 = 1.3
    # two tokens before: delta = 0.9 x 0.5 - 0.4 = 0.05; A = 0.05 + 0.45 x 1.3 = 0.635
    found = gae(torch.zeros(1, 2), tensor([[0.4, 0.5]]), tensor([2.0]), everything(1, 2), gamma=0.9, lam=0.5)
    assert_close(found.advantages_BT, tensor([[0.635, 1.3]]).double(), atol=1e-6, rtol=0)


def plain_gae(
    rewards: list[float], values: list[float], last_value: float, *, gamma: float, lam: float
) -> tuple[list[float], list[float]]:
    advantages: list[float] = []
    following, advantage = last_value, 0.0
    for reward, value in zip(reversed(rewards), reversed(values), strict=True):
        advantage = reward + gamma * following - value + gamma * lam * advantage
        advantages.append(advantage)
        following = value
    advantages.reverse()
    return advantages, [a + v for a, v in zip(advantages, values, strict=True)]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), gamma=st.sampled_from([1.0, 0.99, 0.5, 0.0]), lam=st.sampled_from([1.0, 0.95, 0.3, 0.0]))
def test_any_mask_against_the_plain_loop(data: st.DataObject, gamma: float, lam: float) -> None:
    # gaps, padding on either side, empty rows; what stands there is NaN
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    number = st.floats(-5, 5, width=16)
    drawn = data.draw(
        st.lists(st.tuples(st.booleans(), number, number), min_size=rows * columns, max_size=rows * columns)
    )
    mask_BT = tensor([is_token for is_token, _, _ in drawn]).view(rows, columns)
    rewards_BT, values_BT = (
        torch.where(mask_BT, tensor([row[place] for row in drawn], dtype=torch.float64).view(rows, columns), math.nan)
        for place in (1, 2)
    )
    last_B = torch.arange(rows, dtype=torch.float64) - 1
    found = gae(rewards_BT, values_BT, last_B, mask_BT, gamma=gamma, lam=lam)
    for b in range(rows):
        known = mask_BT[b]
        advantages, returns = plain_gae(
            rewards_BT[b, known].tolist(), values_BT[b, known].tolist(), float(last_B[b]), gamma=gamma, lam=lam
        )
        assert found.advantages_BT[b, known].tolist() == pytest.approx(advantages, abs=1e-9)
        assert found.returns_BT[b, known].tolist() == pytest.approx(returns, abs=1e-9)
    for values in (found.advantages_BT, found.returns_BT, found.td_errors_BT):
        assert not values[~mask_BT].any()


def test_lambda_0_is_the_td_error_and_lambda_1_the_return_minus_the_value() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards_BT, values_BT = torch.randn(2, 5, 33, generator=generator, dtype=torch.float64)
    mask_BT, none_B = torch.ones(5, 33, dtype=torch.bool), torch.zeros(5)
    zero = gae(rewards_BT, values_BT, none_B, mask_BT, gamma=0.9, lam=0.0)
    assert_close(zero.advantages_BT, zero.td_errors_BT)
    one = gae(rewards_BT, values_BT, none_B, mask_BT, gamma=1.0, lam=1.0)
    assert_close(one.advantages_BT, rewards_BT.flip(-1).cumsum(-1).flip(-1) - values_BT)


def test_a_long_completion_keeps_double_precision() -> None:
    # 20,000 rewards of 1e-4 sum to 2; in float32 the rounding would show at 1e-5
    rewards_BT = torch.full((1, 20_000), 1e-4, dtype=torch.float64)
    mask_BT = torch.ones(1, 20_000, dtype=torch.bool)
    found = gae(rewards_BT, torch.zeros(1, 20_000), torch.zeros(1), mask_BT, gamma=1.0, lam=1.0)
    assert float(found.advantages_BT[0, 0]) == pytest.approx(2.0, abs=1e-10)


def test_discounted_sums_by_hand() -> None:
    # 1 + 0.5 (2 + 0.5 x 3) = 2.75, 2 + 0.5 x 3 = 3.5, 3
    assert discounted_sums(tensor([[1.0, 2.0, 3.0]]), 0.5).tolist() == [[2.75, 3.5, 3.0]]
    assert discounted_sums(tensor([[1.0, 2.0, 3.0]]), 0.0).tolist() == [[1.0, 2.0, 3.0]]
