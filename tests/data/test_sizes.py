"""How many rows each purpose shall have."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES
from whet.data.sizes import FINAL_KINDS, SLOTS, Needs, needs_of


def needs(sizes: SizeSettings, *, ordinary: int, long_tail: int = 0, unseen: int = 0) -> Needs:
    kind = np.repeat(np.arange(3, dtype=np.int8), [ordinary, long_tail, unseen])
    usable: npt.NDArray[np.int64] = np.ones((len(PURPOSES), len(kind)), dtype=np.int64)
    return needs_of(sizes, usable, kind)


def test_slots_are_seven_purposes_and_final_by_kind() -> None:
    assert (*PURPOSES[:-1], "final/ordinary", "final/long_tail", "final/out_of_distribution") == SLOTS
    assert FINAL_KINDS == ("ordinary", "long_tail", "out_of_distribution")


def test_ratios_count_only_the_unseen_rows_that_final_takes() -> None:
    # 900 seen, 100 unseen. final = .1 N with a fifth unseen: N = 900 / (1 - .02) = 918.4
    many = needs(SizeSettings(), ordinary=900, unseen=100)
    assert sum(many.requested.values()) == 918
    assert many.rows.tolist()[-3:] == [74, 0, 18]
    # 2 unseen rows: all of them are used, N = 1000
    few = needs(SizeSettings(), ordinary=998, unseen=2)
    assert sum(few.requested.values()) == 1000
    assert few.rows.tolist()[-3:] == [98, 0, 2]


def test_counts_are_taken_as_they_are() -> None:
    asked = needs(SizeSettings(**dict.fromkeys(PURPOSES, 50.0)), ordinary=300, long_tail=100, unseen=20)
    assert asked.rows.tolist() == [50] * 7 + [30, 10, 10]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 500), st.integers(0, 100), st.integers(0, 100))
def test_ratios_never_ask_for_more_rows_than_there_are(ordinary: int, long_tail: int, unseen: int) -> None:
    asked = needs(SizeSettings(), ordinary=ordinary, long_tail=long_tail, unseen=unseen)
    seen = int(asked.rows[:-1].sum())
    assert (asked.rows >= 0).all()
    assert seen <= ordinary + long_tail
    assert asked.rows[-1] <= unseen
    assert seen >= ordinary + long_tail - 2  # nothing is left but what rounding leaves
