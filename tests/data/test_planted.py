"""The corpora that recall is measured on: the same seed gives the same rows, and the planted truth is true."""

import sys
from pathlib import Path

import pytest

from whet.data.texts.canonical import words

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import planted
import planted_traps


@pytest.fixture(scope="module")
def corpus() -> planted.Corpus:
    return planted.gen(1200, 7)


def test_gen_is_seeded(corpus: planted.Corpus) -> None:
    assert planted.gen(1200, 7) == corpus
    assert planted.gen(1200, 8).texts != corpus.texts


def test_gen_has_the_rows_and_families_asked_for(corpus: planted.Corpus) -> None:
    assert len(corpus.texts) == len(corpus.kind) == len(corpus.family) == 1200
    assert sum(family >= 0 for family in corpus.family) == pytest.approx(400, abs=4)
    assert set(corpus.kind) == set(planted.KINDS) - {"edited"}
    assert not planted.gen(100, 0, in_families=0).pairs


def test_pairs_join_a_source_with_a_copy_of_its_family(corpus: planted.Corpus) -> None:
    assert len(corpus.pairs) == sum(kind not in ("single", "source") for kind in corpus.kind)
    for pair in corpus.pairs:
        assert corpus.kind[pair.first] == "source"
        assert corpus.kind[pair.second] == pair.kind
        assert corpus.family[pair.first] == corpus.family[pair.second] >= 0


def test_copies_are_what_their_kind_says(corpus: planted.Corpus) -> None:
    for pair in corpus.pairs:
        source, copy = corpus.texts[pair.first], corpus.texts[pair.second]
        if pair.kind == "exact":
            assert source == copy
        if pair.kind == "appearance":
            assert source != copy
            assert words(source) == words(copy)
        if pair.kind == "template":
            assert len(words(source)) == len(words(copy))
            assert planted.jaccard(source, copy) < 0.7


def test_rows_of_different_families_are_not_alike(corpus: planted.Corpus) -> None:
    row = corpus.kind.index("single")
    assert max(planted.jaccard(corpus.texts[row], text) for text in corpus.texts if text != corpus.texts[row]) < 0.5


def test_jaccard_by_hand() -> None:
    # a b c, b c d, c d e against a b c, b c d, c d f: 2 of 4
    assert planted.jaccard("a b c d e", "A, b c d f!") == 0.5
    assert planted.jaccard("", "") == 0.0


def test_edited_pairs_of_markov_have_about_the_similarity_asked_for() -> None:
    if not planted.GSM8K.is_file():
        pytest.skip(f"{planted.GSM8K} is not there")
    corpus = planted.markov(400, 3)
    edited = [pair for pair in corpus.pairs if pair.kind == "edited"]
    found = planted.true_jaccards(corpus, edited)
    assert len(found) > 60
    assert min(found) > 0.4
    assert max(found) <= 1
    assert 0.65 < sum(found) / len(found) < 0.8


def test_traps_have_twenty_pairs_and_are_what_their_names_say() -> None:
    made = planted_traps.traps(filler=5)
    assert {len(trap.pairs) for trap in made.traps} == {planted_traps.PAIRS}
    assert all(trap.wanted for trap in made.traps)
    similarity = {
        trap.name: [planted.jaccard(made.texts[first], made.texts[second]) for first, second in trap.pairs]
        for trap in made.traps
    }
    assert min(similarity["full-width digits"]) == 1.0
    assert min(similarity["options shuffled"]) >= 0.7
    assert min(similarity["negation added"]) >= 0.7
    assert max(similarity["chain ends, J < .3"]) < 0.3
    assert max(similarity["96-word header, other task"]) < 0.7
    assert max(similarity["3-shot block, other question"]) < 0.7
    assert max(similarity["template of 400 rows"]) < 0.7
    assert max(similarity["numbers differ, arithmetic"]) < 0.7
