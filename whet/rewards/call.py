"""A reward function called so that whatever it does becomes a verdict: a number, None, or the reason why not."""

import asyncio
import inspect
import math
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.core.recipe import RewardSettings
from whet.rewards.event_loop import run_async
from whet.rewards.signature import GIVEN, Parameters, is_per_completion, parameters_of, required
from whet.rewards.time_limit import OutOfTime, time_limit
from whet.rewards.unscorable import Unscorable

__all__ = ["TIMEOUT_S", "Verdict", "call_reward"]

# One part's verdict on one completion: a number, None (does not apply), or why it failed.
Verdict = float | str | None
Call = tuple[tuple[Any, ...], Mapping[str, Any]]

TIMEOUT_S: float = RewardSettings.model_fields["timeout_s"].default
_LONGEST_REASON = 300
# A coroutine is cancelled at its limit; so much later the alarm stops one that blocks the loop or does not let go.
_GRACE_S = 0.5
# A reward is foreign code: whatever it raises is recorded for its rows. Only the user's own interrupt goes through.
_FAILURES = (Exception, SystemExit, asyncio.CancelledError, OutOfTime)


def call_reward(
    reward: Callable[..., Any],
    prompts: Sequence[str],
    completions: Sequence[str],
    completion_ids: Sequence[Sequence[int]],
    columns: Mapping[str, Sequence[Any]],
    *,
    timeout_s: float = TIMEOUT_S,
) -> list[Verdict]:
    """A verdict per completion, whatever the function does.

    `f(completion, **row)` is called once per completion with the row's `prompt` and columns; anything else as TRL does,
    with `prompts`, `completions`, `completion_ids` and each column as a list. Both may be async, and both are given
    only the arguments that they name. An exception, a call of more than `timeout_s`, a wrong count, a value that is no
    number or not finite becomes a reason, not a score.
    """
    lists = {name: values for name, values in columns.items() if name not in GIVEN}
    parameters = parameters_of(reward)
    if is_per_completion(parameters):
        rows = [
            {"prompt": prompt} | {name: values[index] for name, values in lists.items()}
            for index, prompt in enumerate(prompts)
        ]
        return _call_each(reward, parameters, completions, rows, timeout_s)
    given = lists | {"prompts": prompts, "completions": completions, "completion_ids": completion_ids}
    if missing := _missing(parameters, given):
        return [missing] * len(completions)
    values: list[Verdict] | str = _attempt(reward, ((), _accepted(parameters, given)), timeout_s, _as_list)
    if isinstance(values, str):
        return [values] * len(completions)
    if len(values) != len(completions):
        return [f"gave {len(values)} values for {len(completions)} completions"] * len(completions)
    return values


def _call_each(
    reward: Callable[..., Any],
    parameters: Parameters,
    completions: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    timeout_s: float,
) -> list[Verdict]:
    """One call per completion; those of an async function run side by side."""
    calls = [((text,), _accepted(parameters, row)) for text, row in zip(completions, rows, strict=True)]
    if rows and (missing := _missing(parameters, {**rows[0], "completion": ""})):
        return [missing] * len(calls)
    if not inspect.iscoroutinefunction(reward):
        return [_attempt(reward, call, timeout_s, _as_number) for call in calls]
    return _side_by_side(reward, calls, timeout_s)


def _side_by_side(reward: Callable[..., Any], calls: Sequence[Call], timeout_s: float) -> list[Verdict]:
    """All begin at once, so all are over their time at once; one that blocks the loop costs those that never ran."""
    verdicts: dict[int, Verdict] = {}
    deadline = time.monotonic() + timeout_s

    async def one(place: int, call: Call) -> None:
        try:
            if time.monotonic() > deadline:
                raise OutOfTime
            verdicts[place] = _as_number(await _within(reward(*call[0], **call[1]), timeout_s))
        except _FAILURES as error:
            verdicts[place] = _reason(error, timeout_s)

    async def every() -> None:
        await asyncio.gather(*(one(place, call) for place, call in enumerate(calls)))

    stopped: Verdict = None
    try:
        run_async(every(), limit_s=timeout_s + _GRACE_S)
    except _FAILURES as error:
        stopped = _reason(error, timeout_s)
    return [verdicts.get(place, stopped) for place in range(len(calls))]


def _attempt(reward: Callable[..., Any], call: Call, timeout_s: float, read: Callable[[Any], Any]) -> Any:
    """What `read` makes of the function's value, or a reason."""
    try:
        with time_limit(timeout_s):
            value = reward(*call[0], **call[1])
            if not inspect.isawaitable(value):
                return read(value)
        value = run_async(_within(value, timeout_s), limit_s=timeout_s + _GRACE_S)
        with time_limit(timeout_s):
            return read(value)
    except _FAILURES as error:
        return _reason(error, timeout_s)


async def _within(value: Awaitable[Any], timeout_s: float) -> Any:
    try:
        async with asyncio.timeout(timeout_s) as limit:
            return await value
    except TimeoutError as error:
        raise OutOfTime if limit.expired() else error from error


def _accepted(parameters: Parameters, given: Mapping[str, Any]) -> Mapping[str, Any]:
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return given
    return {name: value for name, value in given.items() if name in parameters}


def _missing(parameters: Parameters, given: Mapping[str, Any]) -> str | None:
    """Why the function cannot be called: it asks for a column that is not there."""
    missing = [name for name in required(parameters) if name not in given]
    return f"needs the column {', '.join(map(repr, missing))}, which is not there" if missing else None


def _as_number(value: Any) -> Verdict:
    """Plain numbers and what turns into one (NumPy and torch scalars), but no text."""
    if value is None:
        return None
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        number = float(value)
    except Exception:  # foreign objects convert by foreign code
        return f"gave {type(value).__name__}, not a number"
    return number if math.isfinite(number) else f"gave {number}, not a finite number"


def _as_list(values: Any) -> list[Verdict] | str:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        return f"gave {type(values).__name__}, not a list of numbers"
    return [_as_number(value) for value in values]


def _reason(error: BaseException, timeout_s: float) -> str:
    """The error in one line with the place that raised it: `ZeroDivisionError: division by zero (rewards.py:3)`."""
    if isinstance(error, Unscorable):
        return " ".join(str(error).split())[:_LONGEST_REASON] or "the reward cannot judge this completion"
    if isinstance(error, OutOfTime):
        return f"took more than {timeout_s:g} s (timeout_s)"
    text = " ".join("".join(traceback.format_exception_only(error)).split())[:_LONGEST_REASON]
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else text
