"""How many rows each purpose shall have."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES
from whet.data.splits.sizes import FINAL_KINDS, SLOTS, Needs, apportion, needs_of


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


def test_a_pinned_purpose_has_its_rows_and_the_others_share_the_rest() -> None:
    # final is pinned with 77 rows; the ratios of the others, .9 in all, share 900 rows: .40 / .90 x 900 = 400
    pinned = np.zeros(len(PURPOSES), dtype=np.int64)
    pinned[-1] = 77
    usable_PC = np.ones((len(PURPOSES), 900), dtype=np.int64)
    kind = np.zeros(900, dtype=np.int8)
    asked = needs_of(SizeSettings(), usable_PC, kind, pinned=pinned)
    assert list(asked.requested.values()) == [400, 50, 50, 150, 50, 150, 50, 77]
    assert asked.rows.tolist()[-3:] == [77, 0, 0]
    counts = needs_of(SizeSettings(**dict.fromkeys(PURPOSES, 20.0)), usable_PC, kind, pinned=pinned)
    assert list(counts.requested.values()) == [20] * 7 + [77]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(0, 50), min_size=1, max_size=10))
def test_apportioned_rows_have_the_sum_and_are_off_by_less_than_one(total: int, weights: list[int]) -> None:
    shares = apportion(total, np.array(weights))
    whole = sum(weights)
    assert shares.sum() == (total if whole else 0)
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - weight * total / max(1, whole)) < 1
