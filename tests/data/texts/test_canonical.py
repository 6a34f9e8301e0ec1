"""When two texts count as the same."""

from hypothesis import given
from hypothesis import strategies as st

from whet.data.texts.canonical import Masker, canonical, numbers_in, shingles, words


def test_canonical_folds_appearance_only() -> None:
    # full-width digits, a zero-width space inside a word, curly quotes, an em dash, case, spaces
    assert canonical("Ali\u200bce\u2019s  \uff13\nAPPLES \u2014 \u201cred\u201d") == 'alice\'s 3 apples - "red"'
    assert canonical("3 apples") != canonical("4 apples")


@given(st.text())
def test_canonical_is_idempotent_on_what_it_returns(text: str) -> None:
    once = canonical(text)
    assert canonical(once).split() == canonical(canonical(once)).split()
    assert once == once.strip()


def test_masking_leaves_what_the_problem_is_about() -> None:
    masker = Masker({"alice": 0.0, "bob": 0.0})
    first, plain = masker.form("Alice has 3 apples and Bob's friend buys two more. How many?")
    second, _ = masker.form("Bob has 1,250 apples and Alice's friend buys twenty more. How many?")
    assert first == second == "<name> has <num> apples and <name> s friend buys <num> more how many"
    assert plain == 9
    assert masker.form("Alice has 3 pears and Bob's friend buys two more. How many?")[0] != first


def test_runs_of_masks_collapse_and_days_stay() -> None:
    masker = Masker({"anna": 0.0, "lee": 0.0, "monday": 0.0})
    assert masker.form("Anna Lee works 3 12 hours on Monday") == ("<name> works <num> hours on monday", 4)


def test_shingles_of_short_and_empty_texts() -> None:
    assert shingles("", 3) == []
    assert shingles("two words", 3) == [("two", "words")]
    assert len(shingles("one two three four five", 3)) == 3


def test_words_part_at_everything_but_letters_digits_and_arithmetic() -> None:
    assert words("Bob's well-known H2O: 1,000 at 50%!") == "bob s well known h 2 o 1 000 at 50 %".split()
    assert words("3-2 = 3 - 2, but 3*2 > 6 / 2") == "3 - 2 = 3 - 2 but 3 * 2 > 6 / 2".split()
    assert words("a - b, a/b, -5") == ["a", "b", "a", "b", "-", "5"]


def test_scripts_without_spaces_are_read_by_character_and_digits_of_every_script_are_digits() -> None:
    assert words("小明有3个") == ["小", "明", "有", "3", "个"]
    assert words("٣ ３") == ["3", "3"]
    # a vowel sign is part of its word
    assert words("नमस्ते उस") == [
        "नमस्ते",
        "उस",
    ]


def test_look_alikes_are_folded_only_beside_latin() -> None:
    # Cyrillic A, o, e in Latin words; a lone Cyrillic a in a Latin row; a Russian word stays
    assert canonical("Аpples аre gооd in а bag") == "apples are good in a bag"
    assert words("вес of apples") == ["вес", "of", "apples"]


def test_numbers_are_read_with_their_commas_and_points() -> None:
    assert numbers_in("1,000 apples at $2.50, 3. Then 007 and 0.0, 1,2") == ("1000", "2.5", "3", "7", "0", "1", "2")
