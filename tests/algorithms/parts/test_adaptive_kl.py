import pytest

from whet.algorithms.parts.adaptive_kl import adapted_beta


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (6.0, 0.1),  # on target
        (6.6, 0.1 * (1 + 0.1 * 0.1)),  # a tenth above: e = 0.1, times 1,000 / 10,000
        (60.0, 0.1 * (1 + 0.2 * 0.1)),  # e is at most 0.2
        (5.4, 0.1 * (1 - 0.1 * 0.1)),
        (-3.0, 0.1 * (1 - 0.2 * 0.1)),  # an estimate can be negative; e is at least -0.2
        (None, 0.1),  # nothing was measured
    ],
)
def test_by_hand(kl: float | None, expected: float) -> None:
    assert adapted_beta(0.1, kl=kl, target=6.0, horizon=10_000, completions=1_000) == pytest.approx(expected)


def test_it_holds_a_target() -> None:
    # a divergence that falls as the weight rises: KL = 1 / beta has its target of 5 at 0.2
    beta = 0.01
    for _ in range(400):
        beta = adapted_beta(beta, kl=1 / beta, target=5.0, horizon=1_000, completions=200)
    assert beta == pytest.approx(0.2, rel=1e-3)
