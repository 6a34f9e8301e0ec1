import random

import pytest

from whet.core.difference import Piece, differences


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
    left, right = differences("\n".join(lines), "\n".join([*lines[:500], "another", *lines[501:]]))
    assert changed(left) == ["line 500 of a long text\n"]
    assert changed(right) == ["another\n"]
