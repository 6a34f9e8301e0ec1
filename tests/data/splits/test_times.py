"""Splits by time: how times are read, and where the border between training and evaluation lies."""

import math
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.errors import DataError
from whet.core.records import PURPOSES, Message, Origin, Prompt
from whet.data.splits.times import EVALUATION, TRAINING, Border, border_of, oldest_of, time_of, times_of

NAN = math.nan
DAY = 86400.0


def rows(*values: object) -> list[Prompt]:
    turn = (Message(role="user", content="?"),)
    return [Prompt(messages=turn, origin=Origin(source="a", row=n), columns={"day": v}) for n, v in enumerate(values)]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1970-01-02", ("date", DAY)),
        ("1970-01-02T00:00:00Z", ("date", DAY)),
        ("1970-01-02 01:00:00+01:00", ("date", DAY)),
        ("1970-02", ("date", 31 * DAY)),
        (date(1970, 1, 2), ("date", DAY)),
        (datetime(1970, 1, 2, tzinfo=UTC), ("date", DAY)),
        (7, ("number", 7.0)),
        (" 7.5 ", ("number", 7.5)),
        (True, None),
        (NAN, None),
        ("inf", None),
        ("", None),
        (None, None),
        ([1], None),
    ],
)
def test_cells(cell: object, expected: object) -> None:
    assert time_of(cell) == expected


def test_the_kind_that_more_rows_have_counts() -> None:
    times = times_of(rows("2024-05-01", "2024-05-03T06:00", 5, None), "day")
    assert times.kind == "date"
    assert [times.shown(time) for time in times.time_R[:2]] == ["2024-05-01", "2024-05-03T06:00:00"]
    assert np.isnan(times.time_R[2:]).all()
    assert times.shown(math.inf) is None


def test_a_column_without_times_is_an_error() -> None:
    with pytest.raises(DataError, match=r"data.time: column 'dya': no row has it; did you mean 'day'\?"):
        times_of(rows("2024-05-01"), "dya")
    with pytest.raises(DataError, match=r"data\.time: column 'day': no row has a time in it"):
        times_of(rows("soon", None), "day")


def test_the_border_is_the_newest_that_suffices() -> None:
    # Clusters of 1, 2, 1, 3 rows with their oldest at 10, 40, 30, 20; 3 rows of final are needed: 2 at 40, 1 at 30.
    usable_PC = np.tile([1, 2, 1, 3], (len(PURPOSES), 1))
    need_P = np.zeros(len(PURPOSES), dtype=np.int64)
    need_P[PURPOSES.index("final")] = 3
    need_P[PURPOSES.index("ft_train")] = 99
    oldest_C = np.array([10.0, 40.0, 30.0, 20.0])
    assert border_of(oldest_C, usable_PC, need_P) == 30
    need_P[PURPOSES.index("rl_test")] = 1  # one more in all: the cluster at 20
    assert border_of(oldest_C, usable_PC, need_P) == 20
    need_P[PURPOSES.index("rl_test")] = 100
    assert border_of(oldest_C, usable_PC, need_P) == 10
    assert border_of(oldest_C, usable_PC, need_P * 0) == math.inf
    usable_PC[PURPOSES.index("rl_test")] = 0  # nothing can serve it: not waited for, but the sum is
    need_P[PURPOSES.index("rl_test")] = 1
    assert border_of(oldest_C, usable_PC, need_P) == 20


def test_what_a_border_leaves() -> None:
    # Cluster 0: times 1 and 9 reach over the border. Cluster 1: 8. Cluster 2: unknown. Cluster 3: at the border.
    time_R, cluster_R = np.array([1.0, 9.0, 8.0, NAN, 5.0]), np.array([0, 0, 1, 2, 3])
    can = np.ones((5, len(PURPOSES)), dtype=np.bool_)
    border = Border(training_until=5.0, evaluation_from=5.0)
    allowed = border.allowed(can, time_R, cluster_R, kept_R=np.zeros(5, dtype=np.bool_))
    assert allowed[:, TRAINING].all(axis=1).tolist() == [True, False, False, False, True]
    assert allowed[:, EVALUATION].all(axis=1).tolist() == [False, False, True, False, True]
    kept = border.allowed(can, time_R, cluster_R, kept_R=np.array([False, True, False, True, False]))
    assert kept.all(axis=1).tolist() == [False, True, False, True, True]
    assert can.all()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 9) | st.none()), min_size=1, max_size=40), st.integers(0, 9)
)
def test_training_is_never_later_than_evaluation(cells: list[tuple[int, int | None]], at: int) -> None:
    cluster_R = np.unique([cluster for cluster, _ in cells], return_inverse=True)[1]
    time_R = np.array([NAN if time is None else float(time) for _, time in cells])
    can = np.ones((len(cells), len(PURPOSES)), dtype=np.bool_)
    border = Border(training_until=float(at), evaluation_from=float(at))
    allowed = border.allowed(can, time_R, cluster_R, kept_R=np.zeros(len(cells), dtype=np.bool_))
    trained, evaluated = time_R[allowed[:, TRAINING].any(axis=1)], time_R[allowed[:, EVALUATION].any(axis=1)]
    assert not np.isnan([*trained, *evaluated]).any()
    assert trained.max(initial=-math.inf) <= evaluated.min(initial=math.inf)
    counts = np.ones(len(cells), dtype=np.bool_)
    for cluster, oldest in enumerate(oldest_of(time_R, cluster_R, counts)):
        known = time_R[(cluster_R == cluster) & ~np.isnan(time_R)]
        assert oldest == known.min(initial=math.inf)
