import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from whet.data.pairs import tfidf
from whet.data.pairs.tfidf import Index, TermWeights, log2_256, terms_of
from whet.data.texts.canonical import words

LEAST = 0.15


def terms(text: str) -> list[str]:
    single = words(text)
    return [*single, *map(" ".join, pairwise(single))]


def corpus(rows: int, seed: int = 0) -> list[str]:
    """Texts that share words by chance: few common words and many rare ones, some texts twice, some empty."""
    rng = random.Random(seed)
    vocabulary = [f"word{number}" for number in range(120)]
    texts = [
        " ".join(vocabulary[min(int(rng.expovariate(0.04)), 119)] for _ in range(rng.randint(0, 14)))
        for _ in range(rows)
    ]
    return [*texts, texts[0], "naïve Überraschung 数学 3", ""]


def found_in(texts: list[str]) -> dict[tuple[int, int], float]:
    weights = TermWeights(terms_of(texts), least_rows=2)
    vectors = weights.vectors(terms_of(texts))
    index = Index(vectors, weights, least=LEAST, asked=vectors)
    return {
        (a, b): cosine
        for alike in index.alike(vectors)
        for a, b, cosine in zip(alike.a.tolist(), alike.b.tolist(), alike.cosine.tolist(), strict=True)
        if a != b
    }


def brute_force(texts: list[str]) -> dict[tuple[int, int], float]:
    """Whole numbers in plain Python, every pair."""

    def log2(value: int) -> int:
        return int(log2_256(np.array([value]))[0])

    counts = [Counter(terms(text)) for text in texts]
    in_rows = Counter(term for row in counts for term in row)
    vectors = [
        {
            term: ((log2(count) + 369) * (log2(1 + len(texts)) - log2(1 + in_rows[term]) + 369) + 184) // 369
            for term, count in row.items()
            if in_rows[term] > 1 or " " not in term  # a run of one row alone says nothing
        }
        for row in counts
    ]
    length = [math.sqrt(sum(weight * weight for weight in row.values())) for row in vectors]
    result = {}
    for a, left in enumerate(vectors):
        for b, right in enumerate(vectors):
            product = sum(weight * right[term] for term, weight in left.items() if term in right)
            if a != b and product and product / (length[a] * length[b]) >= LEAST:
                result[a, b] = product / (length[a] * length[b])
    return result


def test_logarithms_by_hand_and_by_the_library() -> None:
    # 256 log2 of 1, 2, 3 (405.75), 10 (850.41), 2^20
    assert log2_256(np.array([1, 2, 3, 10, 1 << 20])).tolist() == [0, 256, 405, 850, 5120]
    values = np.arange(1, 5000)
    assert np.abs(log2_256(values) - 256 * np.log2(values)).max() < 1.01


def test_pairs_equal_brute_force() -> None:
    texts = corpus(150)
    wanted = brute_force(texts)
    assert len(wanted) > 300
    assert found_in(texts) == wanted  # whole numbers, so equal to the last bit


def test_cosines_are_those_of_scikit_learn() -> None:
    texts = corpus(120, seed=1)
    runs_of_one_row = {
        term
        for term, rows in Counter(t for text in texts for t in set(terms(text))).items()
        if rows == 1 and " " in term
    }
    matrix = TfidfVectorizer(
        analyzer=lambda text: [term for term in terms(text) if term not in runs_of_one_row], sublinear_tf=True
    ).fit_transform(texts)
    cosines = (matrix @ matrix.T).toarray()
    found = found_in(texts)
    for (a, b), cosine in found.items():
        assert cosine == pytest.approx(cosines[a, b], abs=2e-3)
    every = {(a, b) for a, b in np.argwhere(cosines >= LEAST + 2e-3).tolist() if a != b}
    assert every
    assert every <= set(found)


def test_the_size_of_the_steps_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = corpus(150, seed=2)
    at_once = found_in(texts)
    monkeypatch.setattr(tfidf, "_MEETINGS_AT_ONCE", 50)
    monkeypatch.setattr(tfidf, "_ROWS_AT_ONCE", 32)
    monkeypatch.setattr(tfidf, "_ENTRIES_AT_ONCE", 7)
    assert found_in(texts) == at_once


def test_common_terms_are_left_out_and_named_where_rows_meet_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"the common words of all, {chr(97 + row)}{chr(97 + row)}x alone" for row in range(20)]
    texts += ["the rare zebra sings", "a rare zebra dances"]
    monkeypatch.setattr(tfidf, "_MEETINGS", 100)
    monkeypatch.setattr(tfidf, "_MEETINGS_PER_ROW", 1)
    weights = TermWeights(terms_of(texts), least_rows=2)
    vectors = weights.vectors(terms_of(texts))
    index = Index(vectors, weights, least=LEAST, asked=vectors)
    # "common", "words", "of", "all", "alone" and their runs are in 20 rows, "the" in 21
    assert [bucket.rows for bucket in index.capped] == [20]
    found = {pair for alike in index.alike(vectors) for pair in zip(alike.a.tolist(), alike.b.tolist(), strict=True)}
    assert (20, 21) in found
    assert (0, 1) not in found


def test_words_that_are_not_known_make_a_vector_longer() -> None:
    weights = TermWeights(terms_of(["red apples", "green pears"]), least_rows=1)
    vectors = weights.vectors(terms_of(["red apples", "red apples zzz"]))
    index = Index(vectors, weights, least=LEAST, asked=vectors)
    alike = next(index.alike(vectors))
    cosine = dict(zip(zip(alike.a.tolist(), alike.b.tolist(), strict=True), alike.cosine.tolist(), strict=True))
    # a word of one row and of none weigh the same: red, apples and their run, then zzz, whose run counts for nothing
    assert cosine[0, 1] == pytest.approx(3 / math.sqrt(3 * 4))


def test_nothing_is_like_nothing() -> None:
    assert found_in([]) == {}
    assert found_in(["", "...", "!"]) == {}
