"""Whether a completion has the asked-for shape: it thinks once, then answers once, and says nothing else."""

import re
from typing import Any

__all__ = ["format_"]

_SHAPE = re.compile(r"\s*<think>(.+?)</think>\s*<answer>(.+?)</answer>\s*", re.DOTALL)
_TAGS = ("<think>", "</think>", "<answer>", "</answer>")


def format_(completion: str, **columns: Any) -> float:
    """1.0 for `<think>...</think><answer>...</answer>`, each tag once and in order, nothing but space outside."""
    well_formed = _SHAPE.fullmatch(completion) is not None and all(completion.count(tag) == 1 for tag in _TAGS)
    return float(well_formed)
