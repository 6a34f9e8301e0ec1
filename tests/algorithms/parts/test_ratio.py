import math

import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.parts.ratio import (
    clipped_surrogate,
    completion_lengths,
    masked_logprobs,
    mean_ratio,
    policy_ratio,
    product_ratio,
    weighted_logprobs,
)


def test_ratio_by_hand_and_bounded() -> None:
    # 0.6 / 0.4 = 1.5; e^500 would be infinite
    assert_close(policy_ratio(tensor([[0.6]]).log(), tensor([[0.4]]).log()), tensor([[1.5]]))
    assert_close(policy_ratio(tensor([[0.0]]), tensor([[-500.0]])), tensor([[math.exp(20)]]))


def test_ratios_of_completions_by_hand() -> None:
    # 1.5 x 0.9 = 1.35 and its root 1.161895; the masked token's ratio of 4 has no part. Nothing trained: 1.
    now = tensor([[0.6, 0.8, 0.45], [0.5, 0.5, 0.5]]).log()
    old = tensor([[0.4, 0.2, 0.5], [0.1, 0.1, 0.1]]).log()
    mask_BT = tensor([[True, False, True], [False, False, False]])
    assert_close(product_ratio(now, old, mask_BT), tensor([[1.35] * 3, [1.0] * 3]))
    assert_close(mean_ratio(now, old, mask_BT), tensor([[1.161895] * 3, [1.0] * 3]))


def test_the_bound_of_a_completion_is_on_its_whole_ratio() -> None:
    # +30 and -29: within the bound together, outside it one by one
    now, old, mask_BT = tensor([[30.0, -29.0]]), torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    assert_close(product_ratio(now, old, mask_BT), tensor([[math.e, math.e]]))
    assert_close(product_ratio(now.abs(), old, mask_BT), tensor([[math.exp(20)] * 2]))


def test_lengths_can_be_divided_by() -> None:
    assert completion_lengths(tensor([[True, True], [False, False]])).tolist() == [[2], [1]]


def test_clip_by_hand() -> None:
    # bounds 0.8 and 1.3. A = 2: ratio 1.5 counts as 1.3 (-2.6), ratio 0.5 as it is (-1.0).
    # A = -1: ratio 1.5 counts as it is (+1.5), ratio 0.5 as 0.8 (+0.8).
    losses_BT, is_clipped_BT = clipped_surrogate(
        tensor([[1.5, 0.5], [1.5, 0.5]]), tensor([[2.0], [-1.0]]), low=0.8, high=1.3
    )
    assert_close(losses_BT, tensor([[-2.6, -1.0], [1.5, 0.8]]))
    assert is_clipped_BT.tolist() == [[True, False], [False, True]]


def test_no_gradient_where_the_clip_is_in_force() -> None:
    # d(-ratio A) / d logprob = -ratio A: -0.5 x 2 and -1.5 x -1; none at the two clipped places
    logprobs_BT = tensor([[1.5, 0.5], [1.5, 0.5]]).log().requires_grad_()
    ratio_BT = policy_ratio(logprobs_BT, torch.zeros(2, 2))
    losses_BT, _ = clipped_surrogate(ratio_BT, tensor([[2.0], [-1.0]]), low=0.8, high=1.3)
    losses_BT.sum().backward()
    assert_close(logprobs_BT.grad, tensor([[0.0, -1.0], [1.5, 0.0]]))


def test_the_clip_on_the_weight_by_hand() -> None:
    # bounds 0.8 and 1.3, A = 2: -1.3 x 2 x -1 and -0.8 x 2 x -1; the gradient is the weight times -A, at every token
    logprobs_BT = tensor([[-1.0, -1.0, -1.0]]).requires_grad_()
    ratio_BT = policy_ratio(logprobs_BT, logprobs_BT.detach() - tensor([[1.5, 0.5, 1.1]]).log())
    losses_BT, is_clipped_BT = weighted_logprobs(logprobs_BT, ratio_BT, tensor([[2.0] * 3]), low=0.8, high=1.3)
    losses_BT.sum().backward()
    assert_close(losses_BT.detach(), tensor([[2.6, 1.6, 2.2]]))
    assert_close(logprobs_BT.grad, tensor([[-2.6, -1.6, -2.2]]))
    assert is_clipped_BT.tolist() == [[True, True, False]]


def test_masked_logprobs_hide_what_is_not_trained_and_nothing_else() -> None:
    values_BT = tensor([[-1.0, -math.inf, math.nan], [math.nan, -math.inf, -2.0]])
    found = masked_logprobs(values_BT, tensor([[True, True, False], [True, False, True]]))
    assert_close(found, tensor([[-1.0, -1e4, 0.0], [math.nan, 0.0, -2.0]]), equal_nan=True)


def test_half_precision_becomes_single_and_double_stays() -> None:
    mask_BT = tensor([[True]])
    assert masked_logprobs(tensor([[-1.0]]).bfloat16(), mask_BT).dtype == torch.float32
    assert masked_logprobs(tensor([[-1.0]]).double(), mask_BT).dtype == torch.float64
