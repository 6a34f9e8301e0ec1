import random

import pytest

from whet.core.difference import Piece, differences, shortened


def changed(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece.text for piece in pieces if piece.is_changed]


def test_both_texts_are_marked_where_they_differ() -> None:
    left, right = differences("Alice has 3 apples, 2 old.", "Ben has 31 apples, 2 old, and a pear.")
    assert changed(left) == ["Alice", "3"]
    # "." stands in both; what is new comes before it
    assert changed(right) == ["Ben", "31", ", and a pear"]


def test_words_that_are_only_parted_by_spaces_are_one_stretch() -> None:
    left, right = differences("he sold five red cars", "he sold six blue vans")
    assert changed(left) == ["five red cars"]
    assert changed(right) == ["six blue vans"]


@pytest.mark.parametrize("seed", range(20))
def test_joined_the_pieces_are_the_texts(seed: int) -> None:
    rng = random.Random(seed)
    first, second = ("".join(rng.choice("ab .\n1\u202eé") for _ in range(rng.randrange(40))) for _ in range(2))
    left, right = differences(first, second)
    assert ("".join(piece.text for piece in left), "".join(piece.text for piece in right)) == (first, second)
    assert all(piece.text for piece in (*left, *right))
    same = ["".join(piece.text for piece in side if not piece.is_changed).split() for side in (left, right)]
    assert "".join(same[0]) == "".join(same[1])


def test_a_space_beside_what_only_the_other_text_has_is_no_change() -> None:
    assert changed(differences("a b c", "a new b new c")[0]) == []


def test_equal_texts_have_one_piece_and_empty_ones_none() -> None:
    assert differences("the same", "the same")[0] == (Piece(text="the same", is_changed=False),)
    assert differences("", "") == ((), ())


def test_long_texts_are_compared_line_by_line() -> None:
    lines = [f"line {number} of a long text" for number in range(1000)]
    others = ["another", *lines[1:500], "one more", *lines[501:-1], "the last"]
    left, right = differences("\n".join(lines), "\n".join(others))
    # the first and the last lines, and between them whole lines
    assert changed(left) == ["line 0 of a long text\n", "line 500 of a long text\n", "line 999 of a long text"]
    assert changed(right) == ["another\n", "one more\n", "the last"]


def test_a_word_that_is_new_in_a_long_text_is_found_between_its_common_ends() -> None:
    words = [f"w{number}" for number in range(5000)]
    left, right = differences(" ".join(words), " ".join([*words[:4000], "new", *words[4001:]]))
    assert (changed(left), changed(right)) == (["w4000"], ["new"])
    assert differences("a b a b", "a b a b a b")[0] == (Piece(text="a b a b", is_changed=False),)
    assert changed(differences("a b a b", "a b a b a b")[1]) == [" a b"]


def test_long_stretches_are_shortened_and_what_is_cut_is_counted() -> None:
    same, new = Piece(text="a" * 31, is_changed=False), Piece(text="b" * 50, is_changed=True)
    # of a stretch of more than 3 x 10 characters its ends stay when there is something to compare, what is new stays
    ends = Piece(text=f"{'a' * 10} … {'a' * 10}", is_changed=False)
    assert shortened([same, new], most=100, ends=10) == (ends, new)
    assert shortened([same], most=31, ends=10) == (same,)
    # 23 + 17 characters fit, 33 do not
    cut = (ends, Piece(text="b" * 17, is_changed=True), Piece(text=" … and 33 more characters", is_changed=False))
    assert shortened([same, new], most=40, ends=10) == cut
    assert shortened([ends, new], most=23, ends=10) == (ends, Piece(text=" … and 50 more characters", is_changed=False))
