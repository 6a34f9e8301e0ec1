"""A limit on how long foreign code may take. A grader that hangs would otherwise hang the run for ever."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

__all__ = ["OutOfTime", "time_limit"]


class OutOfTime(BaseException):
    """The block took too long. No `Exception`, because the code it stops may catch those and go on."""


@contextlib.contextmanager
def time_limit(seconds: float, *, again_s: float = 0.0) -> Iterator[None]:
    """Raise `OutOfTime` inside the block after `seconds`, whatever Python code, sleep or request it is busy with.

    With `again_s` once more after each of so many seconds, for a block that goes on by design, such as an event loop of
    which the first one stopped a single task. It works by the alarm signal: in the main thread, on systems that have
    one; elsewhere there is no limit. One long call into compiled code is stopped when it returns. An alarm that was
    already set is set again afterwards.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    is_over = False

    def stop(number: int, frame: FrameType | None) -> None:
        if not is_over:
            raise OutOfTime

    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, stop)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, again_s)
    try:
        try:
            yield
        finally:
            is_over = True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, remaining - (time.monotonic() - began)), interval)
