"""Whether a completion has the asked-for shape: it thinks once, then answers once, and says nothing else."""

import re
from typing import Any

__all__ = ["format_"]

_SHAPE = re.compile(r"\s*<think>(.+)</think>\s*<answer>(.+)</answer>\s*", re.DOTALL)
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")


def format_(completion: str, **columns: Any) -> float:
    """1.0 for `<think>...</think><answer>...</answer>`, each tag once and in order, nothing but space outside.

    Thinking and answer must hold something other than space.

    >>> format_("<think>3+2=5</think> <answer>5</answer>"), format_("<answer>5</answer>")
    (1.0, 0.0)
    """
    # Counted first: with every tag there once the pattern has one way to match, so no text can make it slow.
    if any(completion.count(tag) != 1 for tag in _TAGS):
        return 0.0
    shape = _SHAPE.fullmatch(completion)
    return float(shape is not None and all(part.strip() for part in shape.groups()))
