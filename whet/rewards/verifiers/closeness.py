"""Partial credit for a number that is nearly right, by relative error."""

from fractions import Fraction
from typing import Any

from whet.rewards.answers.compare import judge
from whet.rewards.answers.quantity import as_number

__all__ = ["closeness"]

# Exact, because the float 0.1 lies above a tenth and would let an error of exactly 10 % pass as below it.
_STEPS = ((Fraction(1, 100), 1.0), (Fraction(1, 10), 0.8), (Fraction(3, 10), 0.5))


def closeness(completion: str, *, answer: str | None = None, **columns: Any) -> float | None:
    """|given - known| / |known| below 0.01 -> 1.0, below 0.1 -> 0.8, below 0.3 -> 0.5, else 0.0.

    Signs count: -5 is 200 % away from 5. When the known answer is 0 there is no relative error: only 0 itself gets 1.0.
    Where the known answer is no number, 1.0 for the same text. None and `Unscorable` as `answer`.

    >>> [closeness(f"<answer>{given}</answer>", answer="100") for given in ("100.5", "95", "80", "70")]
    [1.0, 0.8, 0.5, 0.0]
    """
    if answer is None:
        return None
    judged = judge(completion, answer)
    value, known = as_number(judged.given or ""), as_number(judged.known)
    if judged.is_same or value is None or not known:
        return float(judged.is_same)
    error = abs(value - known) / abs(known)
    return next((credit for bound, credit in _STEPS if error < bound), 0.0)
