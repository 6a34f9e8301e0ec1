"""The join of similar texts against all pairs compared one by one."""

import random

import numpy as np
import pytest

from whet.data.pairs import near
from whet.data.pairs.near import similar_pairs
from whet.data.texts.canonical import shingles


def jaccard(first: str, second: str, size: int) -> float:
    a, b = set(shingles(first, size)), set(shingles(second, size))
    return len(a & b) / max(1, len(a | b))


def test_by_hand() -> None:
    rows = ["a b c d e f", "a b c d e g", "x y", "x y", "y x", "", ""]
    # abc bcd cde def against abc bcd cde deg: 3 of 5
    pairs = similar_pairs(rows, size=3, threshold=0.6)
    assert sorted(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.score.tolist(), strict=True)) == [
        (0, 1, 0.6),
        (2, 3, 1.0),
    ]
    assert similar_pairs(rows, size=3, threshold=0.61).second.tolist() == [3]
    assert similar_pairs([], size=3, threshold=0.7).first.tolist() == []


def corpus(size: int) -> list[str]:
    chance = random.Random(size)
    bases = [chance.choices("a b c d e f g h".split(), k=chance.randint(1, 30)) for _ in range(25)]
    rows = []
    for _ in range(160):
        row = list(chance.choice(bases))
        for _ in range(chance.choice([0, 1, 2, 5])):
            row[chance.randrange(len(row))] = chance.choice("a b c d e f g h i j".split())
        rows.append(" ".join(row))
    return rows


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 1.0])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_join_equals_all_pairs(threshold: float, size: int) -> None:
    rows = corpus(size)
    pairs = similar_pairs(rows, size=size, threshold=threshold)
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    firsts = {frozenset(shingles(row, size)): number for number, row in reversed(list(enumerate(rows)))}
    first = [firsts[frozenset(shingles(row, size))] for row in rows]
    expected = set()
    for a in range(len(rows)):
        for b in range(a + 1, len(rows)):
            are_firsts = first[a] == a and first[b] == b
            if first[b] == a or (are_firsts and jaccard(rows[a], rows[b], size) >= threshold - 1e-12):
                expected.add((a, b))
    assert pairs.method == "join"
    assert found == expected
    for a, b, score in zip(pairs.first, pairs.second, pairs.score, strict=True):
        assert score == pytest.approx(jaccard(rows[a], rows[b], size))


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 1.0])
def test_minhash_finds_the_same_clusters(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = corpus(3)
    exact = similar_pairs(rows, size=3, threshold=threshold)
    monkeypatch.setattr(near, "_MEETINGS", -1)
    monkeypatch.setattr(near, "_MEETINGS_PER_ROW", -1)
    pairs = similar_pairs(rows, size=3, threshold=threshold)
    assert pairs.method == "minhash"
    assert pairs.capped == ()
    for a, b, score in zip(pairs.first, pairs.second, pairs.score, strict=True):
        assert score == pytest.approx(jaccard(rows[a], rows[b], 3))
    labels, exact_labels = np.arange(len(rows)), np.arange(len(rows))
    near.unite(labels, pairs.first, pairs.second)
    near.unite(exact_labels, exact.first, exact.second)
    assert labels.tolist() == exact_labels.tolist()


def test_more_rows_than_an_index_has_room_for_go_to_minhash(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["a b c", "b c d", "c d e"]
    monkeypatch.setattr(near, "MOST_ROWS", 3)
    assert similar_pairs(rows).method == "join"
    monkeypatch.setattr(near, "MOST_ROWS", 2)
    assert similar_pairs(rows).method == "minhash"


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = corpus(2)
    order = random.Random(0).sample(range(len(rows)), len(rows))
    one = similar_pairs(rows, size=2, threshold=0.6)
    other = similar_pairs([rows[row] for row in order], size=2, threshold=0.6)
    labels, other_labels = np.arange(len(rows)), np.arange(len(rows))
    near.unite(labels, one.first, one.second)
    near.unite(other_labels, other.first, other.second)
    groups = {tuple(sorted(np.flatnonzero(labels == label).tolist())) for label in set(labels.tolist())}
    moved = {
        tuple(sorted(order[row] for row in np.flatnonzero(other_labels == label).tolist()))
        for label in set(other_labels.tolist())
    }
    assert groups == moved


def test_a_bucket_too_large_to_try_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    # Rows that share one word of two: similar by 1/3 each, never by 0.9, but all in the bucket of the shared word.
    rows = [f"same other{number}" for number in range(300)]
    monkeypatch.setattr(near, "_MEETINGS", -1)
    monkeypatch.setattr(near, "_MEETINGS_PER_ROW", -1)
    monkeypatch.setattr(near, "_VALUES_PER_BAND", 1)
    pairs = similar_pairs(rows, size=1, threshold=0.9)
    assert len(pairs.first) == 0
    assert pairs.capped
    assert all(bucket.rows > bucket.tries for bucket in pairs.capped)


def test_bands_are_enough_for_the_recall_that_is_promised() -> None:
    for threshold in (0.5, 0.7, 0.8, 0.95):
        missed = (1 - threshold**4) ** near.bands_for(threshold)
        assert missed <= 2e-4 < missed / (1 - threshold**4)


def test_labels_are_united_through_long_chains() -> None:
    labels = np.arange(1000)
    near.unite(labels, np.arange(999), np.arange(1, 1000))
    assert not labels.any()
