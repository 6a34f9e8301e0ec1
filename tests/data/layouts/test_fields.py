"""Texts that differ in what can be seen, by hand and against the plain definition."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.data.layouts.fields import differ_visibly, visible

SHOWS_NOTHING = {"Cc", "Cf", "Zs", "Zl", "Zp"}


def plain(text: str) -> str:
    return "".join(sign for sign in text if unicodedata.category(sign) not in SHOWS_NOTHING)


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        ("5", "5", False),
        ("5", " 5\n", False),
        ("ice cream", "icecream", False),
        ("a\u200bb", "ab", False),
        ("a b c", "a b d", True),
        ("a  b", "a c", True),
        ("", "\u00a0", False),
        ("", "a", True),
        ("a", "", True),
        ("ab", "a b c", True),
        ("if x:\n  y", "if x:\ny", False),
    ],
)
def test_by_hand(first: str, second: str, differ: bool) -> None:
    assert differ_visibly(first, second) is differ_visibly(second, first) is differ


@given(st.text("ab \t\u200b\u00e9\u3000", max_size=12), st.text("ab \t\u200b\u00e9\u3000", max_size=12))
def test_against_the_definition(first: str, second: str) -> None:
    assert visible(first) == plain(first)
    assert differ_visibly(first, second) == (plain(first) != plain(second))
