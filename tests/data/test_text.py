"""When two texts count as the same."""

from hypothesis import given
from hypothesis import strategies as st

from whet.data.text import Masker, canonical, name_frequencies, shingles


def test_canonical_folds_appearance_only() -> None:
    # full-width digits, a zero-width space inside a word, curly quotes, an em dash, case, spaces
    assert canonical("Ali\u200bce\u2019s  \uff13\nAPPLES \u2014 \u201cred\u201d") == 'alice\'s 3 apples - "red"'
    assert canonical("3 apples") != canonical("4 apples")


@given(st.text())
def test_canonical_is_idempotent_on_what_it_returns(text: str) -> None:
    once = canonical(text)
    assert canonical(once).split() == canonical(canonical(once)).split()
    assert once == once.strip()


def test_names_are_words_that_are_rarely_written_small() -> None:
    names = name_frequencies(["Rose likes a rose.", "Rose and Tom", "Tom"])
    assert names["rose"] == 1 / 3  # of three uses one is small
    assert names["tom"] == 0.0
    assert "likes" not in names


def test_masking_leaves_what_the_problem_is_about() -> None:
    masker = Masker({"alice": 0.0, "bob": 0.0, "how": 1.0})
    first, plain = masker.form("Alice has 3 apples and Bob's friend buys two more. How many?")
    second, _ = masker.form("Bob has 1,250 apples and Alice's friend buys twenty more. How many?")
    assert first == second == "<name> has <num> apples and <name> friend buys <num> more how many"
    assert plain == 8
    assert masker.form("Alice has 3 pears and Bob's friend buys two more. How many?")[0] != first


def test_runs_of_masks_collapse_and_days_stay() -> None:
    masker = Masker({"anna": 0.0, "lee": 0.0, "monday": 0.0})
    assert masker.form("Anna Lee works 3 12 1/2 hours on Monday") == ("<name> works <num> hours on monday", 4)


def test_shingles_of_short_and_empty_texts() -> None:
    assert shingles("", 3) == []
    assert shingles("two words", 3) == [("two", "words")]
    assert len(shingles("one two three four five", 3)) == 3
