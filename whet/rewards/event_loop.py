"""The event loop of the async rewards: one for the process, so that their clients, pools and semaphores live on.

It runs in the main thread while a reward is being called, where the time limit can stop a coroutine that blocks it; in
a thread of its own where that cannot be, as in a notebook, whose main thread has a running loop already.
"""

import asyncio
import atexit
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Coroutine
from typing import Any

from whet.rewards.time_limit import OutOfTime, time_limit

__all__ = ["EventLoop", "run_async"]

# A coroutine that is over its time may clean up for so long; then the loop goes on without it.
_CLEANUP_S = 0.5
# The alarm stops whatever is running; where that was one task of several, the next one has so long.
_AGAIN_S = 0.5


class EventLoop:
    """Runs coroutines one after the other on a loop that stays; tasks that they leave behind stay, too."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._here: asyncio.AbstractEventLoop | None = None
        self._elsewhere: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any], *, limit_s: float) -> Any:
        """What the coroutine gives; `OutOfTime` when it has not ended after `limit_s`."""
        if self._process != os.getpid():  # a loop does not survive a fork
            self._process, self._here, self._elsewhere = os.getpid(), None, None
        return self._run_here(coroutine, limit_s) if _can_run_here() else self._run_elsewhere(coroutine, limit_s)

    def close(self) -> None:
        """Cancel what is left, let it clean up, and close the loops; the next call makes new ones."""
        here, elsewhere, self._here, self._elsewhere = self._here, self._elsewhere, None, None
        if self._process != os.getpid():
            return
        if here is not None and not here.is_closed():
            with contextlib.suppress(OutOfTime), time_limit(2 * _CLEANUP_S, again_s=_AGAIN_S):
                here.run_until_complete(_end_all())
            here.close()
        if elsewhere is not None:
            ended = asyncio.run_coroutine_threadsafe(_end_all(), elsewhere)
            concurrent.futures.wait([ended], timeout=2 * _CLEANUP_S)
            elsewhere.call_soon_threadsafe(elsewhere.stop)

    def _run_here(self, coroutine: Coroutine[Any, Any, Any], limit_s: float) -> Any:
        if self._here is None or self._here.is_closed():
            self._here = _new_loop()
        task = self._here.create_task(coroutine)
        try:
            with time_limit(limit_s, again_s=_AGAIN_S):
                return self._here.run_until_complete(task)
        except BaseException:
            task.cancel()
            with contextlib.suppress(OutOfTime), time_limit(2 * _CLEANUP_S, again_s=_AGAIN_S):
                self._here.run_until_complete(asyncio.wait({task}, timeout=_CLEANUP_S))
            raise

    def _run_elsewhere(self, coroutine: Coroutine[Any, Any, Any], limit_s: float) -> Any:
        if self._elsewhere is None:
            self._elsewhere = _new_loop()
            threading.Thread(target=_serve, args=(self._elsewhere,), name="whet rewards", daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(coroutine, self._elsewhere)
        if concurrent.futures.wait([future], timeout=limit_s).done:
            return future.result()
        future.cancel()
        self._elsewhere = None  # it may be blocked for ever; the next call begins on a new one
        raise OutOfTime


def _new_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(_tell)
    return loop


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody fetched from a task is told, but not what ended the whole call and was raised there."""
    if not isinstance(context.get("exception"), KeyboardInterrupt | SystemExit | OutOfTime):
        loop.default_exception_handler(context)


def _can_run_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread() is threading.main_thread()
    return False


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _end_all() -> None:
    loop, own = asyncio.get_running_loop(), asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task is not own]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_CLEANUP_S)
    await loop.shutdown_asyncgens()


_LOOP = EventLoop()
run_async = _LOOP.run
atexit.register(_LOOP.close)
