import math

import numpy as np
import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.parts.whiten import whiten


def test_by_hand() -> None:
    # 8.5 6.8 4.2 2.5: mean 5.5, deviation 2.6696 (n - 1)
    found = whiten(tensor([[8.5, 6.8], [4.2, 2.5]]), torch.ones(2, 2, dtype=torch.bool))
    assert_close(found, tensor([[1.1238, 0.4870], [-0.4870, -1.1238]]), atol=1e-4, rtol=0)


def test_the_variance_takes_the_epsilon() -> None:
    # 0 and 2: variance 2, with 2 added 4, so 1 / 2
    found = whiten(tensor([0.0, 2.0]), tensor([True, True]), epsilon=2.0)
    assert_close(found, tensor([-0.5, 0.5]))


@pytest.mark.parametrize("trash", [0.0, 1e30, math.nan, math.inf, -math.inf])
def test_only_what_is_trained_has_a_part(trash: float) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(3.0, 2.0, (4, 7))
    mask = generator.random((4, 7)) < 0.6
    known = values[mask]
    expected = (known - known.mean()) / np.sqrt(known.var(ddof=1) + 1e-8)
    found = whiten(torch.from_numpy(np.where(mask, values, trash)), torch.from_numpy(mask))
    assert_close(found[torch.from_numpy(mask)], torch.from_numpy(expected))
    assert not found[torch.from_numpy(~mask)].any()


@pytest.mark.parametrize("values", [[0.1] * 7, [5.0], []])
def test_equal_values_become_exactly_nothing(values: list[float]) -> None:
    found = whiten(tensor([*values, 9.0]), tensor([True] * len(values) + [False]))
    assert found.tolist() == [0.0] * (len(values) + 1)


def test_a_value_that_is_not_finite_is_not_hidden() -> None:
    found = whiten(tensor([8.5, math.nan, 6.8, math.inf, 4.2, 2.5]), torch.ones(6, dtype=torch.bool))
    expected = tensor([1.1238, math.nan, 0.4870, math.nan, -0.4870, -1.1238])
    assert_close(found, expected, atol=1e-4, rtol=0, equal_nan=True)


@pytest.mark.parametrize("factor", [1e300, 1e15, 1e-3])
def test_huge_and_small_values_keep_their_differences(factor: float) -> None:
    values = tensor([1.0, 2.0, 4.0], dtype=torch.float64) * factor
    expected = (values / factor - 7 / 3) / tensor(7 / 3 + 1e-8 / factor**2 if factor < 1 else 7 / 3).double().sqrt()
    assert_close(whiten(values, torch.ones(3, dtype=torch.bool)), expected, atol=1e-6, rtol=0)
