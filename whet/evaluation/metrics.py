"""Rates with intervals, pass@k without bias, and paired comparisons. All of it on plain lists of correct and wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = ["Interval", "PairedDifference", "mean_interval", "paired_difference", "pass_at_k", "wilson"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """b minus a on the same prompts: `wins` are prompts that b alone got right, `losses` that a alone did."""

    n: int
    difference: float
    low: float
    high: float
    p_value: float
    wins: int
    losses: int


def wilson(correct: int, n: int, *, confidence: float) -> Interval:
    """The share correct / n with Wilson's score interval (1927), which holds for small n and shares near 0 and 1."""
    assert 0 <= correct <= n
    assert n > 0
    interval = stats.binomtest(correct, n).proportion_ci(confidence, method="wilson")
    return Interval(value=correct / n, low=float(interval.low), high=float(interval.high))


def pass_at_k(n: int, correct: int, k: int) -> float:
    """The chance that at least one of k samples, drawn without replacement from n with `correct` right ones, is right.

    1 - C(n - correct, k) / C(n, k) (Chen et al. 2021, arXiv:2107.03374, eq. 1): unbiased, where 1 - (1 - correct / n)^k
    is not.
    """
    assert 1 <= k <= n
    if n - correct < k:
        return 1.0
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def mean_interval(values: Sequence[float], *, confidence: float) -> Interval:
    """The mean over prompts of values between 0 and 1, with Agresti and Coull's interval (1998) carried over to them.

    z^2 / 2 prompts of value 0 and as many of value 1 are added, and the interval is normal around the mean of all:
    where each value is 0 or 1 that is theirs, and where values vary less it is narrower. It always has a width: a few
    prompts that are all wrong do not prove that every prompt is. A prompt is the unit; its samples are not independent.
    """
    array = np.asarray(values, dtype=np.float64)
    assert len(array) > 0
    assert array.min() >= 0
    assert array.max() <= 1
    z = float(stats.norm.ppf((1 + confidence) / 2))
    n = len(array) + z**2
    centre = (float(array.sum()) + z**2 / 2) / n
    variance = (float(((array - centre) ** 2).sum()) + z**2 / 2 * (centre**2 + (1 - centre) ** 2)) / n
    half = z * math.sqrt(variance / n)
    return Interval(value=float(array.mean()), low=max(0.0, centre - half), high=min(1.0, centre + half))


def paired_difference(a: Sequence[bool], b: Sequence[bool], *, confidence: float) -> PairedDifference:
    """How much better b is than a on the same prompts, in share of prompts.

    The p-value is McNemar's exact one (binomial over the prompts that only one of the two got right). The interval is
    Newcombe's (1998, method 10): Wilson's intervals of both shares, joined with their correlation; it holds for few
    discordant prompts, where a normal interval does not.
    """
    both = list(zip(a, b, strict=True))
    n = len(both)
    assert n > 0
    wins, losses = sum(y and not x for x, y in both), sum(x and not y for x, y in both)
    right, wrong = sum(x and y for x, y in both), sum(not x and not y for x, y in both)
    of_a = wilson(right + losses, n, confidence=confidence)
    of_b = wilson(right + wins, n, confidence=confidence)
    phi = _correlation(right, losses, wins, wrong)
    difference = of_b.value - of_a.value
    down_b, up_b = of_b.value - of_b.low, of_b.high - of_b.value
    down_a, up_a = of_a.value - of_a.low, of_a.high - of_a.value
    low = difference - math.sqrt(max(0.0, down_b**2 - 2 * phi * down_b * up_a + up_a**2))
    high = difference + math.sqrt(max(0.0, up_b**2 - 2 * phi * up_b * down_a + down_a**2))
    p_value = float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return PairedDifference(n=n, difference=difference, low=low, high=high, p_value=p_value, wins=wins, losses=losses)


def _correlation(right: int, losses: int, wins: int, wrong: int) -> float:
    """Phi of the 2 x 2 table, with Newcombe's continuity correction; 0 when a margin is empty."""
    margins = (right + losses) * (wins + wrong) * (right + wins) * (losses + wrong)
    if margins == 0:
        return 0.0
    n = right + losses + wins + wrong
    product = float(right * wrong - losses * wins)
    if product > 0:
        product = max(product - n / 2, 0.0)
    return product / math.sqrt(margins)
