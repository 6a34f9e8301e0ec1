import math
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor
from torch.testing import assert_close

from whet.algorithms.preferences.bradley_terry import bradley_terry_losses
from whet.algorithms.preferences.plackett_luce import plackett_luce_losses


def losses_of(scores: list[float], ranks: list[int]) -> Tensor:
    scores_NK = tensor([scores], dtype=torch.float64)
    return plackett_luce_losses(scores_NK, tensor([ranks]), torch.ones_like(scores_NK, dtype=torch.bool))


def probability(scores: list[float], order: tuple[int, ...]) -> float:
    """Of drawing the completions in this order, each from what is left, by weights e^score."""
    left, chance = list(range(len(scores))), 1.0
    for chosen in order:
        chance *= math.exp(scores[chosen]) / math.fsum(math.exp(scores[other]) for other in left)
        left.remove(chosen)
    return chance


def first_of(scores: list[float], chosen: int, others: list[int]) -> float:
    """The probability that `chosen` comes before all `others`, over every permutation of them."""
    among = [chosen, *others]
    subset = [scores[index] for index in among]
    return math.fsum(probability(subset, order) for order in permutations(range(len(among))) if order[0] == 0)


def test_by_hand() -> None:
    # e^score 3, 2, 1, in that order: 3/6 x 2/3 x 1/1 = 1/3, so ln 3
    scores = [math.log(3), math.log(2), 0.0]
    assert losses_of(scores, [0, 1, 2]).item() == pytest.approx(math.log(3))
    # worst first: 1/6 x 2/5 = 1/15
    assert losses_of(scores, [2, 1, 0]).item() == pytest.approx(math.log(15))


SCORES = [0.7, -1.2, 2.0, 0.1, -0.3]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 2, 0, 3, 1), (2, 0, 3, 4, 1)])
def test_loss_and_gradient_by_brute_force_over_permutations(order: tuple[int, ...]) -> None:
    def brute(scores: list[float]) -> float:
        weights = {other: probability(scores, other) for other in permutations(range(5))}
        assert math.fsum(weights.values()) == pytest.approx(1.0)
        return -math.log(weights[order] / math.fsum(weights.values()))

    ranks = [order.index(item) for item in range(5)]
    scores_NK = tensor([SCORES], dtype=torch.float64, requires_grad=True)
    losses = plackett_luce_losses(scores_NK, tensor([ranks]), torch.ones(1, 5, dtype=torch.bool))
    losses.sum().backward()
    assert losses.item() == pytest.approx(brute(SCORES), abs=1e-9)
    for item in range(5):
        moved = [[value + (sign * 1e-5 if k == item else 0) for k, value in enumerate(SCORES)] for sign in (1, -1)]
        slope = (brute(moved[0]) - brute(moved[1])) / 2e-5
        assert scores_NK.grad[0, item].item() == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("ranks", [[0, 1, 1, 2, 2], [0, 0, 0, 0, 1], [1, 0, 0, 1, 0], [5, 9, 5, 7, 5]])
def test_a_tie_says_nothing_of_the_tied(ranks: list[int]) -> None:
    expected = 0.0
    for item in range(5):
        worse = [other for other in range(5) if ranks[other] > ranks[item]]
        expected -= math.log(first_of(SCORES, item, worse))
    assert losses_of(SCORES, ranks).item() == pytest.approx(expected, abs=1e-9)


def test_all_tied_or_alone_costs_nothing_and_teaches_nothing() -> None:
    scores_NK = tensor([[3.0, -1.0, 2.0]]).requires_grad_()
    losses = plackett_luce_losses(scores_NK, tensor([[4, 4, 4]]), torch.ones(1, 3, dtype=torch.bool))
    losses.sum().backward()
    assert losses.tolist() == [0.0]
    assert not scores_NK.grad.any()
    alone = plackett_luce_losses(tensor([[3.0, 9.0]]), tensor([[0, 0]]), tensor([[True, False]]))
    assert alone.tolist() == [0.0]


def test_of_two_it_is_bradley_terry() -> None:
    chosen_N, rejected_N = tensor([2.0, -0.5, 0.0]), tensor([0.0, 1.5, 0.0])
    for better in (0, 1):
        pairs = [chosen_N, rejected_N] if better == 0 else [rejected_N, chosen_N]
        ranks_NK = tensor([[0, 1] if better == 0 else [1, 0]]).expand(3, 2)
        found = plackett_luce_losses(torch.stack(pairs, dim=-1), ranks_NK, torch.ones(3, 2, dtype=torch.bool))
        assert_close(found, bradley_terry_losses(chosen_N, rejected_N, center_coefficient=0.0))


@pytest.mark.parametrize("trash", [0.0, 1e30, math.nan, math.inf, -math.inf])
def test_rankings_of_different_lengths_stand_side_by_side(trash: float) -> None:
    short = losses_of([0.7, -1.2, 2.0], [2, 0, 1])
    scores_NK = tensor([SCORES, [0.7, -1.2, 2.0, trash, trash]], dtype=torch.float64, requires_grad=True)
    ranks_NK = tensor([[0, 1, 2, 3, 4], [2, 0, 1, 0, 9]])
    mask_NK = tensor([[True] * 5, [True] * 3 + [False] * 2])
    losses = plackett_luce_losses(scores_NK, ranks_NK, mask_NK)
    losses.sum().backward()
    assert_close(losses[1:], short)
    assert not scores_NK.grad[1, 3:].any()
    assert bool(scores_NK.grad.isfinite().all())


@settings(max_examples=40, deadline=None)
@given(scores=st.lists(st.floats(-30, 30, width=16), min_size=1, max_size=7), data=st.data())
def test_only_differences_count_and_the_order_of_writing_does_not(scores: list[float], data: st.DataObject) -> None:
    ranks = data.draw(st.lists(st.integers(0, 4), min_size=len(scores), max_size=len(scores)))
    order = data.draw(st.permutations(range(len(scores))))
    plain = losses_of(scores, ranks)
    assert plain.item() >= -1e-12
    assert_close(losses_of([score + 100 for score in scores], ranks), plain, atol=1e-9, rtol=0)
    assert_close(losses_of([scores[i] for i in order], [ranks[i] for i in order]), plain, atol=1e-9, rtol=0)


def test_far_apart_scores_stay_finite_and_half_precision_is_computed_in_full() -> None:
    assert losses_of([-1e4, 1e4], [0, 1]).tolist() == [2e4]
    half = plackett_luce_losses(torch.zeros(1, 2).bfloat16(), tensor([[0, 1]]), torch.ones(1, 2, dtype=torch.bool))
    assert half.item() == pytest.approx(math.log(2), abs=1e-6)
