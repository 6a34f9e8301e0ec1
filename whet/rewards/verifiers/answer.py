"""The exact answer: what the completion says, as a number or a text, against what is known. Nothing is evaluated."""

from typing import Any

from whet.rewards.answers.compare import judge

__all__ = ["answer"]


def answer(completion: str, *, answer: str | None = None, **columns: Any) -> float | None:
    """1.0 when the completion's answer equals the known one, else 0.0; None where no answer is known.

    A completion without an answer, or with one that is no number where a number is known, gets 0.0. Raises `Unscorable`
    where the rule cannot tell, which is the known answer's fault or its unit's.

    >>> answer(r"So \\boxed{1\\frac{4}{5}}", answer="9/5"), answer("<answer>5 or 6</answer>", answer=r"\\boxed{5}")
    (1.0, 0.0)
    """
    if answer is None:
        return None
    return float(judge(completion, answer).is_same)
