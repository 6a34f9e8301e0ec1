"""Rewards: one pure function per file, one line each in the table. Add yours so, or name it file.py:function."""

from collections.abc import Callable, Mapping
from typing import Any

from whet.rewards.unscorable import Unscorable
from whet.rewards.verifiers.answer import answer
from whet.rewards.verifiers.closeness import closeness
from whet.rewards.verifiers.format import format_
from whet.rewards.verifiers.overlong import overlong

__all__ = ["REWARDS", "Unscorable"]

REWARDS: Mapping[str, Callable[..., Any]] = {
    "answer": answer,
    "closeness": closeness,
    "format": format_,
    "overlong": overlong,
}
