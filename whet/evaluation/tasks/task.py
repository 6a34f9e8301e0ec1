"""What is asked: prompts whose answers can be judged, under a name."""

from collections.abc import Callable
from dataclasses import dataclass

from whet.core.records import Prompt, Purpose

__all__ = ["CanJudge", "Task"]

# Whether the row of a prompt has what the verifier needs.
CanJudge = Callable[[Prompt], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The prompts of one purpose; `left_out` are those whose rows have not what the verifier needs."""

    purpose: Purpose
    prompts: tuple[Prompt, ...]
    left_out: tuple[Prompt, ...] = ()
