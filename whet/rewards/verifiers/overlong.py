"""The soft overlong punishment: a completion pays before it reaches the limit (DAPO, arXiv:2503.14476, eq. 13)."""

from collections.abc import Sequence
from typing import Any

__all__ = ["overlong", "soft_punishment"]

# DAPO punished in the last 4,096 of 20,480 tokens.
_PUNISHED_SHARE = 0.2


def soft_punishment(length: int, *, limit: int, cache: int) -> float:
    """0 up to `limit - cache` tokens, then falling linearly to -1 at `limit`, -1 beyond.

    >>> [soft_punishment(length, limit=100, cache=20) for length in (80, 90, 100, 101)]
    [0.0, -0.5, -1.0, -1.0]
    """
    free = limit - cache
    if length <= free:
        return 0.0
    return -1.0 if length > limit else (free - length) / cache


def overlong(
    prompts: Sequence[str],
    completions: Sequence[str],
    completion_ids: Sequence[Sequence[int]],
    *,
    max_completion_length: Sequence[int],
    **columns: Any,
) -> list[float | None]:
    """`soft_punishment` in the last fifth of `max_completion_length`; needs the completions' token ids."""
    punishments: list[float | None] = []
    for text, ids, limit in zip(completions, completion_ids, max_completion_length, strict=True):
        if text and not ids:
            raise ValueError("a completion without its completion_ids has no length in tokens")
        punishments.append(soft_punishment(len(ids), limit=limit, cache=max(1, round(limit * _PUNISHED_SHARE))))
    return punishments
