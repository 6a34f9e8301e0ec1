"""What is asked: prompts with known answers, under a name."""

from dataclasses import dataclass

from whet.core.records import Prompt, Purpose

__all__ = ["Task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The prompts of one purpose."""

    purpose: Purpose
    prompts: tuple[Prompt, ...]
