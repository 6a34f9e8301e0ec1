"""Which examples a step trains on: what a stage does, and what a trace says that it did."""

import math

import numpy as np

from whet.core.seeds import seed_for

__all__ = ["rows_of_step", "steps_of_row"]


def rows_of_step(step: int, *, examples: int, batch_size: int, seed: int) -> list[int]:
    """Which examples step `step` (from 0) trains on: each epoch its own permutation, its last batch perhaps smaller.

    A pure function of its arguments, so a resume at any step, the first of an epoch too, needs no loader state.
    """
    per_epoch = math.ceil(examples / batch_size)
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng(seed_for(seed, "order", epoch)).permutation(examples)
    return [int(row) for row in order[place * batch_size : (place + 1) * batch_size]]


def steps_of_row(row: int, *, steps: int, examples: int, batch_size: int, seed: int) -> list[int]:
    """The steps (from 0) of a training of `steps` steps in which `rows_of_step` has this example, in order."""
    per_epoch = math.ceil(examples / batch_size)
    found = []
    for epoch in range(math.ceil(steps / per_epoch)):
        order = np.random.default_rng(seed_for(seed, "order", epoch)).permutation(examples)
        step = epoch * per_epoch + int(np.flatnonzero(order == row)[0]) // batch_size
        found += [step] if step < steps else []
    return found
