import pytest

from whet.core.order import rows_of_step, steps_of_row


def test_every_epoch_has_every_row_once() -> None:
    # 7 rows in batches of 3: steps of 3, 3 and 1 rows
    steps = [rows_of_step(step, examples=7, batch_size=3, seed=5) for step in range(6)]
    assert [len(rows) for rows in steps] == [3, 3, 1, 3, 3, 1]
    for epoch in (steps[:3], steps[3:]):
        assert sorted(row for rows in epoch for row in rows) == list(range(7))
    assert steps[:3] != steps[3:]


@pytest.mark.parametrize(("steps", "examples", "batch_size"), [(6, 7, 3), (5, 7, 3), (4, 3, 8), (1, 9, 2)])
def test_the_steps_of_a_row_are_those_that_have_it(steps: int, examples: int, batch_size: int) -> None:
    for row in range(examples):
        having = [
            step
            for step in range(steps)
            if row in rows_of_step(step, examples=examples, batch_size=batch_size, seed=11)
        ]
        assert steps_of_row(row, steps=steps, examples=examples, batch_size=batch_size, seed=11) == having
