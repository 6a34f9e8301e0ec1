"""What a value of `data.columns` may say: a column, a place inside one, a text of several, and nothing else."""

from typing import Any

import pytest

from whet.core.recipe.column import Place, read_column


def values(text: str, row: dict[str, Any]) -> list[Any]:
    return [piece.value_in(row) if isinstance(piece, Place) else piece for piece in read_column(text).pieces]


def test_a_name_is_the_column_of_that_name() -> None:
    column = read_column("Question Text")
    assert (column.is_template, column.places[0].steps) == (False, ("Question Text",))
    assert values("Question Text", {"Question Text": [1, 2]}) == [[1, 2]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("question.text", "Why?"),
        ("turns[1]", "b"),
        ("turns[1].x", None),
        ("turns[7]", None),
        ("deep[0].list[1].key", 5),
        ("question[0]", None),
        ("question.other", None),
        ("absent.text", None),
        ("a.b", "the column of that very name"),
        ("odd[name", "kept"),
        ("[0]", "a name"),
    ],
)
def test_a_place_is_a_key_or_an_item_and_never_an_attribute(text: str, value: Any) -> None:
    row = {
        "question": {"text": "Why?"},
        "turns": ["a", "b"],
        "deep": [{"list": [0, {"key": 5}]}],
        "a.b": "the column of that very name",
        "a": {"b": "shadowed"},
        "odd[name": "kept",
        "[0]": "a name",
    }
    assert values(text, row) == [value]
    assert values("{question.__class__}", row) == [None]


def test_pieces_of_a_text_and_doubled_braces() -> None:
    assert values("{Body} {Question}", {"Body": "Two.", "Question": "How many?"}) == ["Two.", " ", "How many?"]
    assert values("{{{a}}}\n{b?}!", {"a": 1, "b": None}) == ["{", 1, "}", "\n", None, "!"]
    assert [place.may_be_missing for place in read_column("{a} {b?}").places] == [False, True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{a!r}", "more than a column's name"),
        ("{a:>10}", "more than a column's name"),
        ("{a()}", "more than a column's name"),
        ("{a['b']}", "more than a column's name"),
        ("{", "a single '{'"),
        ("a}", "a single '}'"),
        ("{{a}}", "names no column"),
        ("{}", "has no name"),
        ("{ ?}", "has no name"),
        ("", "has no name"),
    ],
)
def test_anything_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="column") as caught:
        read_column(text)
    assert reason in str(caught.value)
