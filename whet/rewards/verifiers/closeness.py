"""Partial credit for a number that is nearly right, by relative error."""

from fractions import Fraction
from typing import Any

from whet.rewards.verifiers.answer import as_number, is_same_answer, parse_answer

__all__ = ["closeness"]

# Exact, because the float 0.1 lies above a tenth and would let an error of exactly 10 % pass as below it.
_STEPS = ((Fraction(1, 100), 1.0), (Fraction(1, 10), 0.8), (Fraction(3, 10), 0.5))


def closeness(completion: str, *, answer: str | None = None, **columns: Any) -> float | None:
    """|given - known| / |known| below 0.01 -> 1.0, below 0.1 -> 0.8, below 0.3 -> 0.5, else 0.0.

    Signs count: -5 is 200 % away from 5. When the known answer is 0 there is no relative error: only 0 itself gets 1.0.
    An answer that is no number gets 1.0 when it is the same text. None where no answer is known.

    >>> [closeness(f"<answer>{given}</answer>", answer="100") for given in ("100.5", "95", "80", "70")]
    [1.0, 0.8, 0.5, 0.0]
    """
    if answer is None:
        return None
    given = parse_answer(completion).text
    if given is None:
        return 0.0
    value, known = as_number(given), as_number(answer)
    if value is None or known is None:
        return float(is_same_answer(given, answer))
    if known == 0:
        return float(value == 0)
    error = abs(value - known) / abs(known)
    return next((credit for bound, credit in _STEPS if error < bound), 0.0)
