"""Whole clusters to purposes: exact sizes, hardly a row moved, nothing broken by a giant."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.errors import DataError
from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES
from whet.data.splits.place import REASONS, ClusterTable, Placement, place, positions
from whet.data.splits.sizes import FINAL_KINDS, needs_of

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


TEST = PURPOSES.index("ft_test")
THREE = SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | {"ft_train": 0.9, "ft_validation": 0.05, "ft_test": 0.05})


def strata_rows(clusters: ClusterTable, placement: Placement) -> list[list[int]]:
    """Rows of each stratum in each purpose."""
    return [
        [int(placement.room[(placement.purpose == number) & (clusters.stratum == stratum)].sum())
         for number in range(len(PURPOSES))]
        for stratum in range(int(clusters.stratum.max()) + 1)
    ]  # fmt: skip


def test_every_stratum_has_its_share_of_every_purpose() -> None:
    # 800 rows of one stratum and 200 of the other, some in clusters of two: .9, .05 and .05 of each
    clusters = replace(table([2] * 100 + [1] * 800), stratum=np.array([0] * 80 + [1] * 20 + [0] * 640 + [1] * 160))
    assert strata_rows(clusters, placed(clusters, THREE)) == [[720, 40, 40, *[0] * 5], [180, 10, 10, *[0] * 5]]


def test_a_giant_counts_in_its_stratum() -> None:
    # The giant is 250 of its stratum's 350 rows: of the other 100 train takes 65, so that it has .9 of all.
    clusters = replace(table([250, *[1] * 1000]), stratum=np.array([0] * 101 + [1] * 900))
    placement = placed(clusters, THREE)
    assert REASONS[placement.reason[0]] == "size rule"
    (first, second) = strata_rows(clusters, placement)
    assert [a + b for a, b in zip(first, second, strict=True)][:3] == [1125, 63, 62]
    assert first[0] == 315
    assert all(abs(a - b) <= 1 for a, b in zip(first[1:3], [17.5, 17.5], strict=True))


def test_a_giant_that_is_nearly_its_whole_stratum_is_made_up_for_by_the_others() -> None:
    clusters = replace(table([250, *[1] * 1000]), stratum=np.array([0] * 11 + [1] * 990))
    placement = placed(clusters, THREE)
    assert sizes_of(placement) == list(placement.requested.values())
    assert strata_rows(clusters, placement)[0][0] >= 250


def test_what_is_kept_stays_and_the_rest_fills_the_sizes() -> None:
    rows = np.random.default_rng(1).choice([1, 1, 1, 2, 3], size=4000)
    before = placed(table(rows.tolist()), DEFAULT)
    # One row joins every 50th cluster, and 40 are new.
    after = table([*(rows + (np.arange(4000) % 50 == 0)).tolist(), *[1] * 40])
    kept = np.concatenate([before.purpose, np.full(40, -1)]).astype(np.int8)
    again = placed(replace(after, kept=kept, kept_rows=np.concatenate([before.room, np.zeros(40, dtype=np.int64)])),
                   DEFAULT)  # fmt: skip
    assert (again.purpose[:4000] == before.purpose)[before.purpose >= 0].all()
    assert (again.room[:4000] >= before.room).all()
    assert sizes_of(again) == list(again.requested.values())


def test_more_kept_rows_than_the_size_stay_but_take_no_new_ones_in() -> None:
    clusters = table([4, 4, *[1] * 92])
    few = SizeSettings(**dict.fromkeys(PURPOSES, 1.0) | {"ft_test": 5.0})
    kept = np.full(94, -1, dtype=np.int8)
    kept[:2] = TEST
    placement = placed(replace(clusters, kept=kept, kept_rows=np.array([3, 3, *[0] * 92])), few)
    assert placement.room[:2].tolist() == [3, 3]
    assert sizes_of(placement) == [1, 1, 6, 1, 1, 1, 1, 1]
    assert {REASONS[reason] for reason in placement.reason[:2]} == {"kept"}


def test_kept_long_tail_beyond_its_part_of_final_leaves_ordinary_rows_less() -> None:
    kinds = ["long_tail"] * 50 + ["ordinary"] * 450
    kept = np.array([FINAL] * 50 + [-1] * 450, dtype=np.int8)
    clusters = replace(table([1] * 500, kinds=kinds), kept=kept, kept_rows=(kept >= 0).astype(np.int64))
    placement = placed(clusters, SizeSettings(**dict.fromkeys(PURPOSES, 60.0)))
    assert sizes_of(placement) == [60] * 8
    assert np.bincount(clusters.kind[placement.purpose == FINAL]).tolist() == [10, 50]


def test_what_is_kept_beyond_one_kind_of_final_is_taken_from_one_other_kind_alone() -> None:
    # 60 rows of final: 36 ordinary, 12 of the long tail, 12 unseen. 20 of the long tail are kept: 28 ordinary remain.
    kinds = ["long_tail"] * 50 + ["ordinary"] * 450 + ["out_of_distribution"] * 30
    kept = np.array([FINAL] * 20 + [-1] * 510, dtype=np.int8)
    clusters = replace(table([1] * 530, kinds=kinds), kept=kept, kept_rows=(kept >= 0).astype(np.int64))
    placement = placed(clusters, SizeSettings(**dict.fromkeys(PURPOSES, 60.0)))
    assert sizes_of(placement) == [60] * 8
    assert np.bincount(clusters.kind[placement.purpose == FINAL]).tolist() == [28, 20, 12]


def test_special_rows_that_must_not_be_placed_are_made_up_for_by_ordinary_ones() -> None:
    clusters = table([1] * 500, kinds=["long_tail"] * 50 + ["ordinary"] * 450)
    needs = needs_of(DEFAULT, clusters.usable_PC, clusters.kind)
    assert needs.rows[-2] == 10
    clusters.usable_PC[-1, :46] = 0
    placement = place(clusters, needs, seed=0)
    assert np.bincount(clusters.kind[placement.purpose == FINAL]).tolist() == [46, 4]


def test_every_stratum_gives_final_its_part_of_the_long_tail() -> None:
    # 100 rows of the long tail, 60 and 40 of the strata; final takes 20 of them
    clusters = table([1] * 1000, kinds=["long_tail"] * 100 + ["ordinary"] * 900)
    clusters = replace(clusters, stratum=np.array([0] * 60 + [1] * 40 + [0] * 500 + [1] * 400))
    placement = placed(clusters, DEFAULT)
    rare = (placement.purpose == FINAL) & (clusters.kind == 1)
    assert np.bincount(clusters.stratum[rare]).tolist() == [12, 8]


def test_of_clusters_of_several_rows_as_many_stay_unused_as_of_single_ones() -> None:
    half = SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | {"ft_train": 0.3, "final": 0.2})
    placement = placed(table([2] * 2000 + [1] * 4000), half)
    assert sizes_of(placement)[0] == 2400
    assert 0.45 < (placement.purpose[:2000] >= 0).mean() < 0.55


def test_what_a_giant_takes_beyond_its_share_all_other_strata_give() -> None:
    # Train has .9 of 1250 rows, 250 of them the giant's, whose stratum has 10 more: the others give 5 a hundred more.
    stratum = np.array([1] + [1] * 10 + [0] * 495 + [2] * 495)
    clusters = replace(table([250, *[1] * 1000]), stratum=stratum)
    rows = strata_rows(clusters, placed(clusters, THREE))
    assert abs(rows[0][0] - rows[2][0]) <= 1


def test_strata_of_pairs_alone_are_exact_where_the_numbers_are_even() -> None:
    clusters = replace(table([2] * 600), stratum=np.array([0] * 400 + [1] * 200))
    assert [rows[:3] for rows in strata_rows(clusters, placed(clusters, THREE))] == [[720, 40, 40], [360, 20, 20]]


def test_pairs_fill_odd_sizes_too_and_one_row_of_a_last_pair_is_unused() -> None:
    odd = dict(zip(PURPOSES, [401.0, 51.0, 49.0, 151.0, 47.0, 153.0, 45.0, 91.0], strict=True))
    placement = placed(table([2] * 500), SizeSettings(**odd))
    assert sizes_of(placement) == list(odd.values())


def test_pairs_alone_fill_even_sizes() -> None:
    placement = placed(table([2] * 500), DEFAULT)
    assert sizes_of(placement) == [400, 50, 50, 150, 50, 150, 50, 100]
    assert sizes_of(placed(table([2] * 500), SizeSettings(**dict.fromkeys(PURPOSES, 5.0)))) == [5] * 8


def test_a_giant_moves_nothing_when_rows_are_added() -> None:
    rows = np.random.default_rng(0).choice([1, 1, 1, 2, 3], size=20000)
    rows[7] = rows.sum() // 4
    before = placed(table(rows.tolist()), THREE)
    after = placed(table([*rows.tolist(), *[1] * 200]), THREE)
    for placement in (before, after):
        assert sizes_of(placement) == list(placement.requested.values())
        assert PURPOSES[placement.purpose[7]] == "ft_train"
    assert (before.purpose != after.purpose[:20000]).mean() < 0.004


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3), st.integers(-1, 7)), min_size=1, max_size=120),
    st.integers(0, 3),
)
def test_kept_and_stratified_rows_are_counted_once(cells: list[tuple[int, int, int]], seed: int) -> None:
    rows, stratum, kept = (np.array(column) for column in zip(*cells, strict=True))
    clusters = replace(
        table(rows.tolist()),
        stratum=stratum,
        kept=kept.astype(np.int8),
        kept_rows=np.where(kept >= 0, (rows + 1) // 2, 0),
    )
    placement = placed(clusters, DEFAULT, seed=seed)
    assert (placement.purpose[kept >= 0] == kept[kept >= 0]).all()
    assert (placement.room >= clusters.kept_rows).all()
    assert (placement.room <= rows).all()
    least = np.bincount(kept[kept >= 0], weights=clusters.kept_rows[kept >= 0], minlength=len(PURPOSES))
    for got, asked, held in zip(sizes_of(placement), placement.requested.values(), least, strict=True):
        assert got <= max(asked, held)
