import pytest

from whet.core.order import rows_of_round, rows_of_step, steps_of_row, steps_per_pass


def test_a_pass_has_every_row_once_in_steps_of_nearly_one_size() -> None:
    # 7 rows in batches of at most 3 are 3 steps: 2, 2 and 3 rows, and never a step of 1
    steps = [rows_of_step(step, examples=7, batch_size=3, seed=5) for step in range(6)]
    assert steps_per_pass(7, 3) == 3
    assert [len(rows) for rows in steps] == [2, 2, 3, 2, 2, 3]
    for epoch in (steps[:3], steps[3:]):
        assert sorted(row for rows in epoch for row in rows) == list(range(7))
    assert steps[:3] != steps[3:]
    assert steps[:3] != [rows_of_step(step, examples=7, batch_size=3, seed=6) for step in range(3)]


@pytest.mark.parametrize(("examples", "batch_size"), [(17, 16), (16, 16), (3, 8), (100, 16), (1000, 7)])
def test_no_step_is_larger_than_asked_and_none_is_short(examples: int, batch_size: int) -> None:
    count = steps_per_pass(examples, batch_size)
    sizes = [
        len(rows_of_step(step, examples=examples, batch_size=batch_size, seed=0)) for step in range(count, 2 * count)
    ]
    assert sum(sizes) == examples
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("steps", "examples", "batch_size"), [(6, 7, 3), (5, 7, 3), (4, 3, 8), (1, 9, 2)])
def test_the_steps_of_a_row_are_those_that_have_it(steps: int, examples: int, batch_size: int) -> None:
    for row in range(examples):
        having = [
            step
            for step in range(steps)
            if row in rows_of_step(step, examples=examples, batch_size=batch_size, seed=11)
        ]
        assert steps_of_row(row, steps=steps, examples=examples, batch_size=batch_size, seed=11) == having


@pytest.mark.parametrize(
    ("examples", "count"), [(9, 8), (7, 3), (8, 8), (8, 4), (6, 4), (13, 12), (3, 2), (1, 1), (11, 4), (50, 16)]
)
def test_every_round_has_its_count_of_different_rows_and_every_pass_every_row(examples: int, count: int) -> None:
    # 9 prompts by 8: the second round is the last prompt of the first pass and 7 others, not that one prompt alone
    rounds = [rows_of_round(step, examples=examples, count=count, seed=3) for step in range(40)]
    assert all(len(set(rows)) == len(rows) == count for rows in rounds)
    stream = [row for rows in rounds for row in rows]
    for start in range(0, len(stream) - examples + 1, examples):
        assert sorted(stream[start : start + examples]) == list(range(examples))


def test_rounds_of_every_pass_and_seed_have_an_order_of_their_own() -> None:
    def passes(seed: int) -> list[list[int]]:
        rounds = [rows_of_round(step, examples=12, count=4, seed=seed) for step in range(9)]
        return [[row for rows in rounds[start : start + 3] for row in rows] for start in (0, 3, 6)]

    orders = [*passes(1), *passes(2)]
    assert len({tuple(order) for order in orders}) == 6
