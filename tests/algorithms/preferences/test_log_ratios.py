import math

import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.preferences.log_ratios import completion_log_ratios


def test_by_hand() -> None:
    # -1 + 1.5 and -2 + 1 are 0.5 and -1: sum -0.5, mean -0.25; nothing trained: 0
    logprobs_BT, reference_BT = tensor([[-1.0, -9.0, -2.0], [-1.0, -1.0, -1.0]]), tensor([[-1.5, math.nan, -1.0]] * 2)
    mask_BT = tensor([[True, False, True], [False, False, False]])
    found = completion_log_ratios(logprobs_BT, reference_BT, mask_BT, average="sum")
    assert_close(found, tensor([-0.5, 0.0]).double())
    found = completion_log_ratios(logprobs_BT, reference_BT, mask_BT, average="mean")
    assert_close(found, tensor([-0.25, 0.0]).double())


def test_long_completions_lose_no_digits() -> None:
    # 100,000 tokens that differ by 1e-5: 1 in all; two float32 sums of -230,000 would differ by some hundredths
    logprobs_BT = torch.full((1, 100_000), -2.3)
    reference_BT = logprobs_BT - 1e-5
    gap = float((logprobs_BT - reference_BT).double()[0, 0])
    mask_BT = torch.ones(1, 100_000, dtype=torch.bool)
    found = completion_log_ratios(logprobs_BT, reference_BT, mask_BT, average="sum")
    assert_close(found, tensor([gap * 100_000], dtype=torch.float64), atol=1e-9, rtol=0)


def test_padding_gets_no_gradient() -> None:
    logprobs_BT = tensor([[-1.0, math.nan]]).requires_grad_()
    mask_BT = tensor([[True, False]])
    completion_log_ratios(logprobs_BT, torch.zeros(1, 2), mask_BT, average="sum").sum().backward()
    assert logprobs_BT.grad.tolist() == [[1.0, 0.0]]
