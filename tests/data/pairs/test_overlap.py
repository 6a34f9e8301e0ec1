"""Held-out texts against a stream: every pair, by brute force."""

import random

import numpy as np
import pytest

from whet.data.pairs import overlap
from whet.data.pairs.overlap import HeldOut, Ids, overlaps
from whet.data.texts.canonical import shingles
from whet.data.texts.runs import MEMBER, run_hashes, run_sets
from whet.data.texts.words import word_table


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


def test_a_few_meetings_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    texts = [" ".join(chance.choices("a b c".split(), k=12)) for _ in range(120)]
    whole = overlaps(texts[:40], texts[40:], 0.3)
    monkeypatch.setattr(overlap, "_MEETINGS", 7)
    parts = overlaps(texts[:40], texts[40:], 0.3)
    assert len(whole.row) > 100
    for name in ("row", "held_out", "shared", "size", "held_out_size"):
        assert getattr(whole, name).tolist() == getattr(parts, name).tolist()


@pytest.mark.parametrize("least", [0.2, 0.5, 0.6, 1.0])
def test_cover_equals_every_pair_compared(least: float) -> None:
    """The text may be much longer than what it holds, and sizes differ."""
    chance = random.Random(9)
    phrases = [" ".join(chance.choices("a b c d e f g h".split(), k=chance.randint(1, 9))) for _ in range(20)]
    held_out = [" ".join(chance.choices(phrases, k=chance.randint(1, 4))) for _ in range(60)]
    texts = [" ".join(chance.choices(phrases, k=chance.choice([1, 3, 30]))) for _ in range(200)]
    sample = [run_hashes(word_table(texts[:50]), 3)[1]]
    held = HeldOut(run_sets(held_out, size=3), least=least, by_jaccard=False, sample=sample)
    row, run = run_hashes(word_table(texts), 3)
    found = held.pairs(row, run, held.numbers(run), len(texts))
    expected = {}
    for second, right in enumerate(texts):
        b = set(shingles(right, 3))
        for first, left in enumerate(held_out):
            a = set(shingles(left, 3))
            if len(a & b) >= least * len(a) - 1e-9:
                expected[second, first] = len(a & b) / len(a)
    pairs = zip(found.row.tolist(), found.held_out.tolist(), strict=True)
    got = dict(zip(pairs, found.cover.tolist(), strict=True))
    assert got == pytest.approx(expected)
    assert len(expected) > 100


@pytest.mark.parametrize("count", [0, 1, 5, 300, 5000])
def test_numbers_of_members(count: int) -> None:
    """Random members, some close together and the largest there can be; numbers larger than there are members."""
    generator = np.random.default_rng(count)
    members = generator.integers(0, 1 << 44, count).astype(np.uint64)
    close = members[: count // 10] + np.arange(1, count // 10 + 1, dtype=np.uint64)
    distinct = np.unique(np.concatenate([members, close, np.array([MEMBER, 0], dtype=np.uint64)[:count]]) & MEMBER)
    numbers = generator.permutation(len(distinct)) + (3_000_000 if count else 0)
    wanted = dict(zip(distinct.tolist(), numbers.tolist(), strict=True))
    asked = np.concatenate([distinct, distinct + np.uint64(1), generator.integers(0, 1 << 44, 1000).astype(np.uint64)])
    asked = generator.permutation(asked & MEMBER)
    assert Ids(distinct, numbers).find(asked).tolist() == [wanted.get(member, -1) for member in asked.tolist()]


def test_members_of_one_slot_stand_behind_each_other() -> None:
    # 90 members that share their upper 36 bits, and one that would stand in the slot behind
    base = np.uint64(0x123456789 << 8)
    distinct = np.append(base + np.arange(90, dtype=np.uint64), base + np.uint64(1 << 37))
    ids = Ids(distinct, np.arange(91))
    assert ids.find(distinct).tolist() == list(range(91))
    assert ids.find(base + np.arange(90, 200, dtype=np.uint64)).tolist() == [-1] * 110
