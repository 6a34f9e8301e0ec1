import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from whet.rewards.call import Verdict, call_reward
from whet.rewards.event_loop import EventLoop
from whet.rewards.time_limit import OutOfTime

LONG_S = 60.0


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    made = EventLoop()
    yield made
    made.close()


def call(reward: Any, *, timeout_s: float = LONG_S) -> list[Verdict]:
    return call_reward(reward, ["p"] * 3, ["a", "b", "c"], [(1,)] * 3, {}, timeout_s=timeout_s)


def test_what_a_reward_keeps_works_at_every_step() -> None:
    # a semaphore belongs to the loop on which it was first waited for; with one loop per step the second step fails
    room = asyncio.Semaphore(1)

    async def judge(completion: str, **row: Any) -> float:
        async with room:
            await asyncio.sleep(0)
            return 1.0

    async def judge_all(completions: Sequence[str]) -> list[float | None]:
        async with room:
            return [0.5] * len(completions)

    for _ in range(3):
        assert call(judge) == [1.0, 1.0, 1.0]
        assert call(judge_all) == [0.5, 0.5, 0.5]


def test_inside_a_running_loop_too() -> None:
    room, seen = asyncio.Semaphore(1), set[int]()

    async def judge(completion: str) -> float:
        async with room:
            seen.add(id(asyncio.get_running_loop()))
            await asyncio.sleep(0)
            return 1.0

    async def notebook() -> list[list[Verdict]]:
        return [call(judge), call(judge)]

    assert asyncio.run(notebook()) == [[1.0] * 3] * 2
    assert len(seen) == 1


def test_a_task_left_behind_goes_on_and_ends_with_the_loop(loop: EventLoop) -> None:
    said: list[str] = []

    async def pulse() -> None:
        try:
            while True:
                said.append("beat")
                await asyncio.sleep(0)
        finally:
            said.append("closed")

    tasks: list[asyncio.Task[None]] = []

    async def begin() -> None:
        tasks.append(asyncio.get_running_loop().create_task(pulse()))

    loop.run(begin(), limit_s=LONG_S)
    before = len(said)
    loop.run(asyncio.sleep(0.01), limit_s=LONG_S)
    assert len(said) > before
    loop.close()
    assert said[-1] == "closed"
    assert tasks[0].cancelled()
    # and it can be begun anew
    assert loop.run(asyncio.sleep(0, "again"), limit_s=LONG_S) == "again"


def test_a_coroutine_that_blocks_the_loop_costs_itself_and_what_never_ran() -> None:
    async def blocks(completion: str) -> float:
        if completion == "b":
            while True:
                pass
        return 1.0

    async def sleeps(completions: Sequence[str]) -> list[float]:
        time.sleep(60)
        ended.append(True)
        return [1.0] * 3

    ended: list[bool] = []
    late = "took more than 0.05 s (timeout_s)"
    assert call(blocks, timeout_s=0.05) == [1.0, late, late]
    assert call(sleeps, timeout_s=0.05) == [late] * 3
    assert ended == []


def test_a_coroutine_that_does_not_let_go_is_left_behind() -> None:
    stop: list[bool] = []

    async def stubborn(completion: str) -> float:
        while completion == "b" and not stop:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return 1.0

    assert call(stubborn, timeout_s=0.05) == [1.0, "took more than 0.05 s (timeout_s)", 1.0]
    stop.append(True)
    assert call(stubborn) == [1.0, 1.0, 1.0]


def test_a_blocked_loop_beside_a_running_one_is_given_up() -> None:
    stop: list[bool] = []

    async def blocks(completions: Sequence[str]) -> list[float]:
        while not stop:
            time.sleep(0.01)
        return [1.0] * 3

    async def works(completions: Sequence[str]) -> list[float]:
        return [1.0] * 3

    async def notebook() -> list[list[Verdict]]:
        return [call(blocks, timeout_s=0.05), call(works)]

    try:
        assert asyncio.run(notebook()) == [["took more than 0.05 s (timeout_s)"] * 3, [1.0] * 3]
    finally:
        stop.append(True)


def test_the_thread_of_a_loop_ends_with_it(loop: EventLoop) -> None:
    before = set(threading.enumerate())

    async def notebook() -> str:
        return str(loop.run(asyncio.sleep(0, "there"), limit_s=LONG_S))

    assert asyncio.run(notebook()) == "there"
    (thread,) = set(threading.enumerate()) - before
    loop.close()
    thread.join(LONG_S)
    assert not thread.is_alive()


def test_the_users_own_interrupt_goes_through(caplog: pytest.LogCaptureFixture) -> None:
    async def reward(completion: str) -> float:
        raise KeyboardInterrupt

    async def fine(completion: str) -> float:
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        call(reward)
    assert call(fine) == [1.0, 1.0, 1.0]
    # nothing of it is told again once its tasks are gone
    gc.collect()
    assert caplog.records == []


def test_what_a_task_of_the_rewards_own_fails_with_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ValueError("nobody waits for me")

    async def reward(completions: Sequence[str]) -> list[float]:
        task = asyncio.get_running_loop().create_task(fails())
        await asyncio.sleep(0)
        del task
        return [1.0] * 3

    assert call(reward) == [1.0, 1.0, 1.0]
    gc.collect()
    assert [record.message.splitlines()[0] for record in caplog.records] == ["Task exception was never retrieved"]


def test_exit_of_a_task_that_the_reward_began_is_its_failure() -> None:
    async def leaves() -> None:
        raise SystemExit(3)

    async def reward(completions: Sequence[str]) -> list[float]:
        await asyncio.gather(leaves())
        return [1.0] * 3

    assert all("SystemExit: 3" in str(verdict) for verdict in call(reward))


def test_out_of_time_is_raised_to_the_caller(loop: EventLoop) -> None:
    with pytest.raises(OutOfTime):
        loop.run(asyncio.sleep(60), limit_s=0.02)
    assert loop.run(asyncio.sleep(0, "fine"), limit_s=LONG_S) == "fine"


SCRIPT = """
import asyncio, os, sys
from whet.rewards.call import call_reward

async def pulse():
    try:
        await asyncio.sleep(600)
    finally:
        print("closed", flush=True)

kept = []
async def judge(completion):
    if not kept:
        kept.append(asyncio.get_running_loop().create_task(pulse()))
    return 1.0

print(call_reward(judge, ["p"], ["a"], [()], {}))
if os.fork() == 0:
    async def other(completion):
        return 2.0
    print(call_reward(other, ["p"], ["a"], [()], {}), flush=True)
    os._exit(0)
os.wait()
"""


def test_a_process_ends_cleanly_and_a_fork_has_a_loop_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout.split("\n"), done.stderr, done.returncode) == (["[1.0]", "[2.0]", "closed", ""], "", 0)
