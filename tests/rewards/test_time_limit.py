import signal
import threading
import time

import pytest

from whet.rewards.time_limit import OutOfTime, time_limit


def test_a_block_that_takes_too_long_is_stopped() -> None:
    with pytest.raises(OutOfTime), time_limit(0.03):
        time.sleep(60)


def test_a_block_has_the_time_that_it_is_given() -> None:
    with time_limit(600):
        time.sleep(0.01)


def test_a_quick_block_leaves_no_alarm_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(0.03):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_an_outer_alarm_is_set_again() -> None:
    with time_limit(600):
        with pytest.raises(OutOfTime), time_limit(0.02):
            time.sleep(60)
        remaining, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < remaining < 600


def test_other_threads_have_no_limit() -> None:
    done: list[bool] = []

    def work() -> None:
        with time_limit(0.01):
            time.sleep(0.03)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
