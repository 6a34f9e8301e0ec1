import itertools

import numpy as np
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


@pytest.mark.parametrize(
    ("both", "only_a", "only_b", "neither", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17, 2635-2650), method 10, of 50 pairs. The first is his: both x neither
        # - only_a x only_b is -24, so phi is -24 / sqrt(48 x 2 x 38 x 12) and nothing is corrected.
        (36, 12, 2, 0, 0.0569, 0.3404),
        # 20 x 16 - 12 x 2 = 296, less n / 2 is 271: phi 271 / sqrt(32 x 18 x 22 x 28) = 0.455; uncorrected 0.0618
        (20, 12, 2, 16, 0.0562, 0.3292),
        # 18 x 18 - 0 = 324, less 25 is 299: phi 299 / 576 = 0.519; uncorrected 0.1504
        (18, 14, 0, 18, 0.1441, 0.3963),
        # 1 x 20 - 0 = 20 is less than n / 2: phi is 0. Wilson's of 1 / 50 is 0.0035 to 0.1050, of 30 / 50 0.4618 to
        # 0.7239: 0.58 - sqrt(0.1382^2 + 0.0850^2) and 0.58 + sqrt(0.1239^2 + 0.0165^2)
        (1, 29, 0, 20, 0.4178, 0.7050),
        # a margin is empty: phi is 0
        (36, 14, 0, 0, 0.1528, 0.4167),
    ],
)
def test_newcombes_examples(both: int, only_a: int, only_b: int, neither: int, low: float, high: float) -> None:
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    found = paired_difference(b, a, confidence=0.95)
    assert found.difference == pytest.approx((only_a - only_b) / 50)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_no_difference_is_no_evidence() -> None:
    found = paired_difference([True, False], [True, False], confidence=0.95)
    assert (found.difference, found.p_value, found.wins, found.losses) == (0.0, 1.0, 0, 0)


def test_the_mean_of_all_or_nothing_has_agresti_and_coulls_interval() -> None:
    # 7 of 10 at 95 %: z^2 = 3.84146, n~ = 13.84146, p~ = 8.92073 / 13.84146 = 0.644494, half 1.95996 sqrt(p~ q~ / n~)
    # = 1.95996 x 0.128661 = 0.252171
    found = mean_interval([1.0] * 7 + [0.0] * 3, confidence=0.95)
    assert found.value == 0.7
    assert (found.low, found.high) == (pytest.approx(0.392323, abs=1e-5), pytest.approx(0.896665, abs=1e-5))


def test_values_that_vary_less_have_a_narrower_interval() -> None:
    # values 0.5 0.5 0.75 0.25 at 90 %: z^2 = 2.70554, n~ = 6.70554, centre 1/2;
    # variance (2 x 0.25^2 + 2.70554 / 2 x 2 x 0.5^2) / 6.70554 = 0.801386 / 6.70554 = 0.119511
    # half 1.644854 x sqrt(0.119511 / 6.70554) = 0.219592
    found = mean_interval([0.5, 0.5, 0.75, 0.25], confidence=0.9)
    assert (found.value, found.low, found.high) == (
        0.5,
        pytest.approx(0.280408, abs=1e-5),
        pytest.approx(0.719592, abs=1e-5),
    )
    assert found.low > wilson(2, 4, confidence=0.9).low


@pytest.mark.parametrize("n", [1, 5, 64])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_values_that_are_all_the_same_prove_little_where_they_are_few(n: int, value: float) -> None:
    found = mean_interval([value] * n, confidence=0.95)
    assert 0 <= found.low <= value <= found.high <= 1
    assert found.high - found.low > 1 / (n + 4)
    assert (
        found.high - found.low
        > mean_interval([value] * 4 * n, confidence=0.95).high - mean_interval([value] * 4 * n, confidence=0.95).low
    )


@pytest.mark.parametrize(("a", "b"), [(0.1, 2.0), (2.0, 2.0), (5.0, 0.5), (0.05, 0.05)])
def test_nineteen_of_twenty_intervals_hold_the_truth(a: float, b: float) -> None:
    # 48 prompts with chances of Beta(a, b), 8 samples each; 500 evaluations: 0.95 +- 3 x 0.0097
    random = np.random.default_rng(1)
    held = 0
    for _ in range(500):
        values = random.binomial(8, random.beta(a, b, 48)) / 8
        found = mean_interval(values.tolist(), confidence=0.95)
        held += found.low <= a / (a + b) <= found.high
    assert held / 500 >= 0.92
