"""Whole clusters to purposes: exact sizes, hardly a row moved, nothing broken by a giant."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.errors import DataError
from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES
from whet.data.sizes import FINAL_KINDS, needs_of
from whet.data.splits import REASONS, ClusterTable, Placement, place, positions

DEFAULT = SizeSettings()
FINAL = PURPOSES.index("final")


def table(rows: list[int], *, kinds: list[str] | None = None, can: str | None = None, start: int = 0) -> ClusterTable:
    """Clusters of so many rows, all of which can serve every purpose, or those whose name begins with `can`."""
    serving = np.array([purpose.startswith(can or "") for purpose in PURPOSES])
    kind = [FINAL_KINDS.index(name) for name in kinds] if kinds else [0] * len(rows)  # type: ignore[arg-type]
    return ClusterTable(
        key=np.arange(start, start + len(rows), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        usable_PC=np.outer(serving, np.array(rows)).astype(np.int64),
        kind=np.array(kind, dtype=np.int8),
        stratum=np.zeros(len(rows), dtype=np.int64),
        kept=np.full(len(rows), -1, dtype=np.int8),
        kept_rows=np.zeros(len(rows), dtype=np.int64),
    )


def together(*tables: ClusterTable) -> ClusterTable:
    names = [field.name for field in fields(ClusterTable)]
    return ClusterTable(**{name: np.concatenate([getattr(part, name) for part in tables], axis=-1) for name in names})


def placed(clusters: ClusterTable, sizes: SizeSettings, *, seed: int = 0) -> Placement:
    return place(clusters, needs_of(sizes, clusters.usable_PC, clusters.kind), seed=seed)


def sizes_of(placement: Placement) -> list[int]:
    return [int(placement.room[placement.purpose == number].sum()) for number in range(len(PURPOSES))]


def test_positions_are_uniform_and_hang_on_the_seed() -> None:
    key = np.arange(10000, dtype=np.uint64)
    marks = positions(key, 3)
    assert 0 <= marks.min() < marks.max() < 1
    counts, _ = np.histogram(marks, bins=10, range=(0, 1))
    assert np.abs(counts - 1000).max() < 130  # 4 standard deviations of a binomial with p = 0.1
    assert not np.allclose(marks, positions(key, 4))


def test_ratios_of_equal_rows_are_exact() -> None:
    # 1000 single rows and .40 .05 .05 .15 .05 .15 .05 .10
    assert sizes_of(placed(table([1] * 1000), DEFAULT, seed=0)) == [400, 50, 50, 150, 50, 150, 50, 100]


def test_ratios_below_one_leave_rows_unused_and_counts_are_taken_as_they_are() -> None:
    halves = SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | {"ft_train": 0.5, "final": 0.1})
    placement = placed(table([1] * 1000), halves, seed=0)
    assert sizes_of(placement) == [500, 0, 0, 0, 0, 0, 0, 100]
    assert {REASONS[reason] for reason in placement.reason[placement.purpose < 0]} == {"left over"}
    counts = SizeSettings(**dict.fromkeys(PURPOSES, 10.0))
    assert sizes_of(placed(table([1] * 1000), counts, seed=0)) == [10] * 8


def test_counts_that_cannot_be_met_are_refused() -> None:
    many = SizeSettings(**dict.fromkeys(PURPOSES, 10.0))
    with pytest.raises(DataError, match="ask for 80 rows in all, but only 79 are usable"):
        placed(table([1] * 79), many, seed=0)
    with pytest.raises(DataError, match=r"data.sizes.ft_train asks for 10 rows, but only 0 can serve it"):
        placed(table([1] * 100, can="rl"), many, seed=0)


def test_rows_are_shared_among_the_purposes_they_can_serve() -> None:
    # 300 preference rows: .15 and .05 share them 3 to 1; 800 others: no rm, so each ratio / .8
    preferences, others = table([1] * 300, can="rm"), table([1] * 800, start=300)
    others.usable_PC[[PURPOSES.index("rm_train"), PURPOSES.index("rm_test")]] = 0
    placement = placed(together(preferences, others), DEFAULT, seed=0)
    assert sizes_of(placement) == [400, 50, 50, 225, 75, 150, 50, 100]


def test_final_mixes_slices_and_unseen_rows_go_nowhere_else() -> None:
    kinds = ["ordinary"] * 800 + ["long_tail"] * 100 + ["out_of_distribution"] * 100
    clusters = table([1] * 1000, kinds=kinds)
    placement = placed(clusters, SizeSettings(**dict.fromkeys(PURPOSES, 100.0)), seed=0)
    final = clusters.kind[placement.purpose == FINAL]
    assert np.bincount(final).tolist() == [60, 20, 20]
    unseen = clusters.kind == FINAL_KINDS.index("out_of_distribution")
    assert set(placement.purpose[unseen].tolist()) == {FINAL, -1}
    rest = placement.reason[unseen & (placement.purpose < 0)]
    assert {REASONS[reason] for reason in rest} == {"final is full"}
    # After the unseen, 780 of 900 rows are needed: 100 * 780 / 900 = 87 of the long tail, 20 in final, 67 in seven.
    for number in range(FINAL):
        assert (clusters.kind[placement.purpose == number] == 1).sum() in (9, 10)


def test_half_of_a_short_long_tail_stays_for_training() -> None:
    kinds = ["ordinary"] * 990 + ["long_tail"] * 10
    clusters = table([1] * 1000, kinds=kinds)
    placement = placed(clusters, DEFAULT, seed=0)
    assert (clusters.kind[placement.purpose == FINAL] == 1).sum() == 5


def test_a_giant_cluster_breaks_no_size() -> None:
    placement = placed(table([400, *[1] * 1600]), DEFAULT, seed=0)
    assert sizes_of(placement) == [800, 100, 100, 300, 100, 300, 100, 200]
    assert PURPOSES[placement.purpose[0]] == "ft_train"
    assert REASONS[placement.reason[0]] == "size rule"


def test_a_cluster_larger_than_every_purpose_goes_in_part() -> None:
    placement = placed(table([900, *[1] * 100]), DEFAULT, seed=0)
    assert PURPOSES[placement.purpose[0]] == "ft_train"
    assert int(placement.room[0]) == 400
    assert sum(sizes_of(placement)) == 500


def test_added_rows_move_few_old_ones() -> None:
    rows = np.random.default_rng(0).choice([1, 1, 1, 2, 3], size=40000).tolist()
    before = placed(table(rows), DEFAULT, seed=0).purpose
    after = placed(table([*rows, *[1] * 400]), DEFAULT, seed=0).purpose[: len(rows)]
    held_out = np.isin(before, [PURPOSES.index(name) for name in ("ft_test", "rm_test", "rl_test", "final")])
    assert (before != after).mean() < 0.004
    assert (before != after)[held_out].mean() < 0.006


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=120),
    st.lists(st.sampled_from(FINAL_KINDS), min_size=120, max_size=120),
    st.integers(0, 3),
)
def test_no_purpose_gets_more_than_its_size(rows: list[int], kinds: list[str], seed: int) -> None:
    clusters = table(rows, kinds=kinds[: len(rows)])
    placement = placed(clusters, DEFAULT, seed=seed)
    for got, asked in zip(sizes_of(placement), placement.requested.values(), strict=True):
        assert got <= asked
    used = placement.purpose >= 0
    assert (placement.room[used] > 0).all()
    assert (placement.room <= clusters.usable_PC.max(axis=0)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 400), st.integers(0, 5), st.integers(0, 30))
def test_single_rows_make_every_size_exact(singles: int, seed: int, pairs: int) -> None:
    placement = placed(table([2] * pairs + [1] * (singles + 4 * pairs)), DEFAULT, seed=seed)
    assert sizes_of(placement) == list(placement.requested.values())
    assert sum(sizes_of(placement)) == singles + 6 * pairs
