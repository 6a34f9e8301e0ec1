"""One asked prompt as a row, and the rate of right ones among rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from whet.evaluation.metrics import wilson

__all__ = ["Item", "is_judged", "rate_of"]

# A line of items.jsonl: stage, purpose, prompt_id, text, verdict, correct, samples, samples_correct, ...
Item = dict[str, Any]


def is_judged(item: Mapping[str, Any]) -> bool:
    """Whether the verifier had a verdict; neither its failure nor a prompt that cannot be asked is a wrong answer."""
    return item["verdict"] not in ("unscorable", "unasked")


def rate_of(items: Sequence[Item], *, confidence: float) -> dict[str, Any]:
    """`n` judged ones, `correct`, and `accuracy` with Wilson's interval; None where nothing was judged."""
    judged = [item for item in items if is_judged(item)]
    if not judged:
        return {"n": 0, "correct": 0, "accuracy": None, "low": None, "high": None}
    correct = sum(item["verdict"] == "correct" for item in judged)
    rate = wilson(correct, len(judged), confidence=confidence)
    return {"n": len(judged), "correct": correct, "accuracy": rate.value, "low": rate.low, "high": rate.high}
