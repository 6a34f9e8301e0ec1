"""Which examples a step trains on: what a stage does, and what a trace says that it did.

Two rules, because SFT and the reward model count passes, and reinforcement learning counts steps:

    rows_of_step    a pass is dealt out in as many steps as it needs, of nearly one size     7 rows by 3 -> 2 2 3
    rows_of_round   every step has the same number of different rows, from two passes even   7 rows by 3 -> 3 3 3

No step is short: one row at the end of a pass would move the weights as far as a whole batch. Both are pure functions
of their arguments, so that a resume at any step needs no loader's state.
"""

import math

import numpy as np
from numpy.typing import NDArray

from whet.core.seeds import seed_for

__all__ = ["rows_of_round", "rows_of_step", "steps_of_row", "steps_per_pass"]

Order = NDArray[np.int64]


def steps_per_pass(examples: int, batch_size: int) -> int:
    """How many steps of `rows_of_step` a pass takes."""
    return math.ceil(examples / batch_size)


def rows_of_step(step: int, *, examples: int, batch_size: int, seed: int) -> list[int]:
    """Which examples step `step` (from 0) trains on: at most `batch_size`; each pass has each example once."""
    steps = steps_per_pass(examples, batch_size)
    number, place = divmod(step, steps)
    order = _shuffled(examples, number, seed)
    return [int(row) for row in order[place * examples // steps : (place + 1) * examples // steps]]


def steps_of_row(row: int, *, steps: int, examples: int, batch_size: int, seed: int) -> list[int]:
    """The steps (from 0) of a training of `steps` steps in which `rows_of_step` has this example, in order."""
    per_pass = steps_per_pass(examples, batch_size)
    found = []
    for number in range(math.ceil(steps / per_pass)):
        place = int(np.flatnonzero(_shuffled(examples, number, seed) == row)[0])
        found.append(number * per_pass + ((place + 1) * per_pass - 1) // examples)
    return [step for step in found if step < steps]


def rows_of_round(step: int, *, examples: int, count: int, seed: int) -> list[int]:
    """The `count` different rows, of at least as many, of round `step` (from 0); it may reach into the next pass."""
    assert count <= examples
    number, place = divmod(step * count, examples)
    rows = [int(row) for row in _joined(number, examples, count, seed)[place : place + count]]
    if missing := count - len(rows):
        rows += [int(row) for row in _joined(number + 1, examples, count, seed)[:missing]]
    return rows


def _joined(number: int, examples: int, count: int, seed: int) -> Order:
    """The order of a pass; the rows that complete the round begun in the pass before are none of that round's."""
    # After so many passes a round ends with its pass: what was before has no say in what comes.
    cycle = count // math.gcd(examples, count)
    first = number - number % cycle
    order = _shuffled(examples, first, seed)
    for each in range(first + 1, number + 1):
        begun = each * examples % count
        order = _put_off(_shuffled(examples, each, seed), order[examples - begun :], before=count - begun)
    return order


def _put_off(order: Order, used: Order, *, before: int) -> Order:
    """`order` with those of `used` that stand among its first `before` rows moved behind these, others moving up."""
    is_used = np.isin(order, used)
    head = order[~is_used][:before]
    return np.concatenate([head, order[~np.isin(order, head)]])


def _shuffled(examples: int, number: int, seed: int) -> Order:
    return np.random.default_rng(seed_for(seed, "order", number)).permutation(examples)
