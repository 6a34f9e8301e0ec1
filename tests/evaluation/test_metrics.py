import itertools
import math

import pytest
from scipy import stats

from whet.evaluation.metrics import mean_interval, paired_difference, pass_at_k, wilson


def test_wilson_by_hand() -> None:
    # 8 of 10 at 95 %: centre (0.8 + 1.92073 / 10) / 1.384146 = 0.716740, half width 0.226588
    found = wilson(8, 10, confidence=0.95)
    assert found.value == 0.8
    assert found.low == pytest.approx(0.49016, abs=1e-4)
    assert found.high == pytest.approx(0.94332, abs=1e-4)
    assert wilson(0, 30, confidence=0.95).low == 0.0
    assert wilson(0, 30, confidence=0.95).high == pytest.approx(0.1135, abs=1e-4)


def test_pass_at_k_is_the_share_of_subsets_with_a_hit() -> None:
    for n, correct, k in itertools.product(range(1, 7), range(7), range(1, 7)):
        if correct <= n and k <= n:
            subsets = list(itertools.combinations([True] * correct + [False] * (n - correct), k))
            assert pass_at_k(n, correct, k) == pytest.approx(sum(map(any, subsets)) / len(subsets)), (n, correct, k)


def test_a_paired_difference_by_hand() -> None:
    # 12 prompts: 5 both right, 4 only b, 1 only a, 2 neither; a 6/12, b 9/12
    a = [True] * 5 + [False] * 4 + [True] + [False] * 2
    b = [True] * 5 + [True] * 4 + [False] + [False] * 2
    found = paired_difference(a, b, confidence=0.95)
    assert (found.n, found.wins, found.losses) == (12, 4, 1)
    assert found.difference == pytest.approx(0.25)
    # exact McNemar: 2 P(X <= 1), X binomial(5, 1/2): 2 (1 + 5) / 32
    assert found.p_value == pytest.approx(2 * 6 / 32)
    assert found.p_value == pytest.approx(stats.binomtest(4, 5).pvalue)
    assert found.low < 0 < found.high


def test_newcombes_example() -> None:
    # Newcombe 1998, table II, example 36 of 50 pairs: a 36, b 12 discordant 12 / 2... e=36, f=12, g=2, h=0
    a = [True] * 36 + [True] * 12 + [False] * 2
    b = [True] * 36 + [False] * 12 + [True] * 2
    found = paired_difference(b, a, confidence=0.95)
    assert found.difference == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0569, 0.3404), abs=2e-4)


def test_no_difference_is_no_evidence() -> None:
    found = paired_difference([True, False], [True, False], confidence=0.95)
    assert (found.difference, found.p_value, found.wins, found.losses) == (0.0, 1.0, 0, 0)


def test_the_bootstrap_covers_and_repeats() -> None:
    values = [0.0] * 30 + [1.0] * 70
    found = mean_interval(values, confidence=0.95, seed=1)
    half_width = 1.96 * math.sqrt(0.7 * 0.3 / 100)
    assert found.value == 0.7
    assert found.low == pytest.approx(0.7 - half_width, abs=0.025)
    assert found.high == pytest.approx(0.7 + half_width, abs=0.025)
    assert found == mean_interval(values, confidence=0.95, seed=1)
    assert mean_interval([0.5] * 4, confidence=0.95, seed=1).high == 0.5
