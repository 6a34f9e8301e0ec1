"""Held-out texts against a stream: every pair, by brute force."""

import random

import pytest

from whet.data.overlap import overlaps
from whet.data.text import shingles


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.7, 1.0])
def test_equals_every_pair_compared(threshold: float) -> None:
    chance = random.Random(3)
    bases = [chance.choices("a b c d e f g h i j".split(), k=chance.randint(1, 40)) for _ in range(30)]
    rows = []
    for _ in range(400):
        row = list(chance.choice(bases))
        for _ in range(chance.choice([0, 1, 2, 8])):
            row[chance.randrange(len(row))] = chance.choice("a b k l m".split())
        rows.append(" ".join(row))
    held_out, stream = [*rows[:80], ""], [*rows[80:], ""]
    expected = {}
    for first, left in enumerate(held_out):
        for second, right in enumerate(stream):
            a, b = set(shingles(left, 3)), set(shingles(right, 3))
            if a and len(a & b) >= threshold * len(a | b) - 1e-9:
                expected[first, second] = (len(a & b), len(a & b) / len(a), len(a & b) / len(a | b))
    found = overlaps(held_out, stream, threshold)
    pairs = zip(found.held_out.tolist(), found.row.tolist(), strict=True)
    values = zip(found.shared.tolist(), found.cover.tolist(), found.jaccard.tolist(), strict=True)
    got = dict(zip(pairs, values, strict=True))
    assert got.keys() == expected.keys()
    assert len(expected) > 50
    for pair, value in got.items():
        assert value == pytest.approx(expected[pair])


def test_nothing_held_out_and_nothing_streamed() -> None:
    assert len(overlaps([], ["a b c"], 0.7).row) == 0
    assert len(overlaps(["a b c"], [], 0.7).row) == 0
    assert len(overlaps([""], ["", "a"], 0.7).row) == 0
