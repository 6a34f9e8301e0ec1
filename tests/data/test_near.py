"""The join of similar texts against all pairs compared one by one."""

import random

import pytest

from whet.data.near import similar_pairs
from whet.data.text import shingles


def jaccard(first: str, second: str, size: int) -> float:
    a, b = set(shingles(first, size)), set(shingles(second, size))
    return len(a & b) / max(1, len(a | b))


def test_by_hand() -> None:
    rows = ["a b c d e f", "a b c d e g", "x y", "x y", "y x", "", ""]
    # abc bcd cde def against abc bcd cde deg: 3 of 5
    pairs = similar_pairs([row.split() for row in rows], size=3, threshold=0.6)
    assert sorted(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.score.tolist(), strict=True)) == [
        (0, 1, 0.6),
        (2, 3, 1.0),
    ]
    assert similar_pairs([row.split() for row in rows], size=3, threshold=0.61).second.tolist() == [3]
    assert similar_pairs([], size=3, threshold=0.7).first.tolist() == []


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 1.0])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_equals_all_pairs(threshold: float, size: int) -> None:
    chance = random.Random(size)
    bases = [chance.choices("a b c d e f g h".split(), k=chance.randint(1, 30)) for _ in range(25)]
    rows = []
    for _ in range(160):
        row = list(chance.choice(bases))
        for _ in range(chance.choice([0, 1, 2, 5])):
            row[chance.randrange(len(row))] = chance.choice("a b c d e f g h i j".split())
        rows.append(" ".join(row))
    pairs = similar_pairs([row.split() for row in rows], size=size, threshold=threshold)
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    firsts = {row: number for number, row in reversed(list(enumerate(rows)))}
    expected = set()
    for a in range(len(rows)):
        for b in range(a + 1, len(rows)):
            if rows[a] == rows[b]:
                expected |= {(a, b)} if firsts[rows[a]] == a else set()
            elif firsts[rows[a]] == a and firsts[rows[b]] == b and jaccard(rows[a], rows[b], size) >= threshold - 1e-12:
                expected.add((a, b))
    assert found == expected
    for a, b, score in zip(pairs.first, pairs.second, pairs.score, strict=True):
        assert score == pytest.approx(jaccard(rows[a], rows[b], size))
