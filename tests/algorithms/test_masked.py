import pytest
import torch
from torch import tensor

from whet.algorithms.masked import masked_mean


def test_mean_by_hand() -> None:
    # 1 and 4 are counted, 100 is not: 5 / 2
    assert masked_mean(tensor([1.0, 100.0, 4.0]), tensor([True, False, True])) == 2.5


def test_nothing_to_average_is_none() -> None:
    assert masked_mean(tensor([1.0, 2.0]), tensor([False, False])) is None
    assert masked_mean(torch.empty(0), torch.empty(0, dtype=torch.bool)) is None


@pytest.mark.parametrize("trash", [torch.nan, torch.inf, 1e30])
def test_what_is_masked_changes_nothing(trash: float) -> None:
    values = tensor([[0.25, trash], [0.75, trash]])
    assert masked_mean(values, tensor([[True, False], [True, False]])) == 0.5


def test_the_sum_is_taken_in_double_precision() -> None:
    # In float32 1e8 + 1 is 1e8, and the sum would be 0 instead of 1.
    assert masked_mean(tensor([1e8, 1.0, -1e8]), torch.ones(3, dtype=torch.bool)) == pytest.approx(1 / 3)


def test_counts_are_averaged_too() -> None:
    # (3 + 4) / 2, and not the whole number 3
    assert masked_mean(tensor([3, 4]), tensor([True, True])) == 3.5
