"""What a reward function may do, and what becomes of it."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from whet.rewards.call import TIMEOUT_S, Verdict, call_reward

TEXTS = ["ab", "c"]


def call(reward: Callable[..., Any], *, timeout_s: float = TIMEOUT_S, **columns: Sequence[Any]) -> list[Verdict]:
    return call_reward(reward, ["p", "q"], TEXTS, [(1,), (2, 3)], columns, timeout_s=timeout_s)


def test_one_call_per_completion_gets_its_row() -> None:
    seen: list[Any] = []

    def reward(completion: str, **row: Any) -> float:
        seen.append((completion, row))
        return len(completion)

    assert call(reward, answer=["5", "6"], level=[1, 2]) == [2.0, 1.0]
    assert seen == [
        ("ab", {"prompt": "p", "answer": "5", "level": 1}),
        ("c", {"prompt": "q", "answer": "6", "level": 2}),
    ]


def test_one_call_for_all_gets_lists() -> None:
    def reward(prompts: Any, completions: Any, completion_ids: Any, *, level: Any, **columns: Any) -> list[float]:
        assert (prompts, completions, columns) == (["p", "q"], TEXTS, {"answer": ["5", "6"]})
        return [len(ids) * factor for ids, factor in zip(completion_ids, level, strict=True)]

    assert call(reward, answer=["5", "6"], level=[10, 20]) == [10.0, 40.0]


def test_only_the_arguments_that_it_names_are_given() -> None:
    def per_completion(completion: str, answer: str) -> float:
        return float(answer)

    def for_all(completions: Sequence[str], answer: Sequence[str]) -> list[float]:
        return [float(value) for value in answer]

    assert call(per_completion, answer=["5", "6"], level=[1, 2]) == [5.0, 6.0]
    assert call(for_all, answer=["5", "6"], level=[1, 2]) == [5.0, 6.0]


def test_a_column_that_it_needs_and_does_not_get_is_the_reason() -> None:
    def per_completion(completion: str, solution: str) -> float:
        return 1.0

    def for_all(completions: Sequence[str], *, solution: Sequence[str]) -> list[float]:
        return [1.0, 1.0]

    assert call(per_completion) == call(for_all) == ["needs the column 'solution', which is not there"] * 2


def test_columns_never_hide_what_every_reward_is_given() -> None:
    def reward(completion: str, prompt: str, **row: Any) -> float:
        assert (prompt in "pq", row) == (True, {})
        return 1.0

    assert call(reward, prompt=["x", "x"], completion=["x", "x"], completions=["x", "x"]) == [1.0, 1.0]


def test_async_functions_of_both_kinds() -> None:
    async def for_all(completions: Sequence[str], **columns: Any) -> list[float | None]:
        await asyncio.sleep(0)
        return [0.5, None]

    async def per_completion(completion: str, **row: Any) -> float:
        await asyncio.sleep(0)
        return len(completion)

    assert call(for_all) == [0.5, None]
    assert call(per_completion) == [2.0, 1.0]


def test_async_calls_of_one_completion_run_side_by_side() -> None:
    waiting = asyncio.Barrier(2)

    async def reward(completion: str) -> float:
        # each waits for the other: one after the other they would never end
        await waiting.wait()
        return 1.0

    assert call(reward, timeout_s=5) == [1.0, 1.0]


def test_async_functions_inside_a_running_loop() -> None:
    async def reward(completions: Sequence[str]) -> list[float]:
        return [1.0, 2.0]

    async def notebook() -> list[Verdict]:
        return call(reward)

    assert asyncio.run(notebook()) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0), (True, 1.0), (None, None), (np.float32(0.5), 0.5), (np.int64(3), 3.0), (torch.tensor(0.25), 0.25),
        (Fraction(1, 4), 0.25), (Decimal("0.5"), 0.5),
        ("1.0", "gave str, not a number"), (b"1", "gave bytes, not a number"), ([1.0], "gave list, not a number"),
        (1j, "gave complex, not a number"), (10**400, "gave int, not a number"),
        (float("nan"), "gave nan, not a finite number"), (float("-inf"), "gave -inf, not a finite number"),
    ],
)  # fmt: skip
def test_what_counts_as_a_number(value: Any, expected: Verdict) -> None:
    assert call(lambda completion: value) == [expected] * 2
    assert call(lambda completions: [value, 1.0]) == [expected, 1.0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0], "gave 1 values for 2 completions"),
        ([1.0, 1.0, 1.0], "gave 3 values for 2 completions"),
        (None, "gave NoneType, not a list of numbers"),
        (1.0, "gave float, not a list of numbers"),
        ("ab", "gave str, not a list of numbers"),
        ({"a": 1, "b": 2}, "gave dict, not a list of numbers"),
    ],
)
def test_what_is_no_list_of_numbers(values: Any, expected: str) -> None:
    assert call(lambda completions: values) == [expected] * 2


def test_arrays_are_lists_too() -> None:
    assert call(lambda completions: np.array([1.0, np.nan])) == [1.0, "gave nan, not a finite number"]
    assert call(lambda completions: torch.tensor([1.0, 2.0])) == [1.0, 2.0]


def test_one_completion_that_fails_leaves_the_others_alone() -> None:
    def reward(completion: str) -> float:
        return 1 / (len(completion) - 1)

    good, bad = call(reward)
    assert good == 1.0
    assert str(bad).startswith("ZeroDivisionError: division by zero (test_call.py:")


@pytest.mark.parametrize(
    "error", [SystemExit(3), RecursionError(), asyncio.CancelledError(), ExceptionGroup("g", [OSError()])]
)
def test_whatever_it_raises_is_a_reason(error: BaseException) -> None:
    def plain(completion: str) -> float:
        raise error

    async def later(completion: str) -> float:
        raise error

    for reward in (plain, later):
        for verdict in call(reward):
            assert isinstance(verdict, str)
            assert type(error).__name__ in verdict


def test_the_users_own_interrupt_goes_through() -> None:
    def reward(completion: str) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(reward)


def test_an_error_that_quotes_a_whole_completion_is_cut() -> None:
    def reward(completion: str) -> float:
        raise ValueError("x" * 100_000)

    assert len(str(call(reward)[0])) < 400


def test_an_error_that_cannot_be_shown_is_still_a_reason() -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def reward(completion: str) -> float:
        raise UnspeakableError

    assert "UnspeakableError" in str(call(reward)[0])


def test_hangs_of_every_kind_end() -> None:
    ended: list[str] = []

    def spins(completion: str) -> float:
        while True:
            pass

    def swallows(completion: str) -> float:
        while True:
            with contextlib.suppress(Exception):
                time.sleep(60)
                ended.append("swallows")

    def endless(completions: Sequence[str]) -> Iterator[float]:
        while True:
            yield 1.0

    async def waits(completion: str) -> float:
        await asyncio.sleep(60)
        ended.append("waits")
        return 1.0

    async def all_wait(completions: Sequence[str]) -> list[float]:
        await asyncio.sleep(60)
        ended.append("all_wait")
        return [1.0, 1.0]

    for reward in (spins, swallows, endless, waits, all_wait):
        assert call(reward, timeout_s=0.05) == ["took more than 0.05 s (timeout_s)"] * 2
    assert ended == []


def test_its_own_timeout_is_its_own_failure() -> None:
    async def reward(completion: str) -> float:
        raise TimeoutError("the judge did not answer")

    assert str(call(reward)[0]).startswith("TimeoutError: the judge did not answer")


def test_functions_that_python_cannot_look_into_are_called() -> None:
    # `dict.fromkeys` and the like have no signature in some versions; what matters is that it is no crash
    verdicts = call(sys.getrefcount)
    assert len(verdicts) == 2


def test_no_completions_no_verdicts() -> None:
    assert call_reward(lambda completion: 1.0, [], [], [], {}) == []
    assert call_reward(lambda completions: [], [], [], [], {}) == []
