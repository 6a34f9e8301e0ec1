"""Preferences that contradict each other over rows: by hand, and against a search through all paths."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from whet.core.records import Comparison, Conversation, Message, Origin, Prompt, Ranking, Record
from whet.data.splits.contradictions import contradictions


def prompt(row: int, text: str = "Q", **columns: object) -> Prompt:
    messages = (Message(role="user", content=text),)
    return Prompt(messages=messages, origin=Origin(source="pairs.jsonl", row=row), columns=columns)


def compared(*pairs: tuple[str, str]) -> list[Record]:
    return [Comparison(prompt=prompt(row), chosen=a, rejected=b) for row, (a, b) in enumerate(pairs)]


def test_a_pair_both_ways() -> None:
    assert contradictions(compared(("a", "b"), ("c", "b"), ("b", "a"))) == {
        0: "prefers the other way round than pairs.jsonl row 2",
        2: "prefers the other way round than pairs.jsonl row 0",
    }
    assert contradictions(compared(("a", "b"), ("a", "b"), ("b", "c"), ("a", "c"))) == {}


def test_a_circle_of_three_and_what_only_hangs_on_it() -> None:
    found = contradictions(compared(("a", "b"), ("b", "c"), ("c", "a"), ("z", "a"), ("c", "y")))
    assert found == {
        0: "its preferences go in a circle with pairs.jsonl row 1 and pairs.jsonl row 2",
        1: "its preferences go in a circle with pairs.jsonl row 0 and pairs.jsonl row 2",
        2: "its preferences go in a circle with pairs.jsonl row 0 and pairs.jsonl row 1",
    }


def test_another_prompt_is_another_matter_but_its_spaces_are_not() -> None:
    first = Comparison(prompt=prompt(0, "What is 3+2?"), chosen="five", rejected="six or so")
    other = Comparison(prompt=prompt(1, "What is 3+3?"), chosen="six or so", rejected="five")
    spaced = Comparison(prompt=prompt(2, "What is  3+2?\n"), chosen="six  or so ", rejected="five")
    assert contradictions([first, other]) == {}
    assert set(contradictions([first, other, spaced])) == {0, 2}


def test_a_ranking_of_one_text_in_two_spellings_contradicts_itself() -> None:
    ranking = Ranking(prompt=prompt(0), completions=("5", "6", "5 "), ranks=(0, 1, 2))
    assert contradictions([ranking]) == {0: "its preferences go in a circle with itself"}
    assert contradictions([*compared(("7", "8")), ranking]) == {1: "its preferences go in a circle with itself"}


def test_rankings_and_the_rankings_of_demonstrations() -> None:
    ranking = Ranking(prompt=prompt(0), completions=("c", "a", "b", "d"), ranks=(2, 0, 1, 1))
    against = Comparison(prompt=prompt(1), chosen="c", rejected="a")
    tied = Comparison(prompt=prompt(2), chosen="d", rejected="b")
    brought = prompt(3, completions=["a", "c"], ranks=[1, 0])
    demonstration = Conversation(prompt=brought, completion="c")
    plain = Conversation(prompt=prompt(4), completion="a")
    assert contradictions([ranking, tied, plain, prompt(5)]) == {}
    assert set(contradictions([ranking, against])) == {0, 1}
    assert set(contradictions([ranking, demonstration, plain])) == {0, 1}
    # a > d (ranking), d > b, b > c (ranking), c > a (demonstration): what a tie left open closes the circle
    assert set(contradictions([ranking, tied, demonstration, plain])) == {0, 1, 2}


_TEXTS = "abcdef"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(_TEXTS), st.sampled_from(_TEXTS)).filter(lambda pair: pair[0] != pair[1]),
            st.permutations(_TEXTS).map(lambda texts: tuple(texts[:4])),
        ),
        max_size=7,
    )
)
def test_exactly_the_rows_with_a_preference_that_can_be_followed_back(orders: list[tuple[str, ...]]) -> None:
    """Brute force: row r is named when it prefers x to y and y leads to x by all rows' preferences."""
    records: list[Record] = [
        Ranking(prompt=prompt(row), completions=texts, ranks=tuple(range(len(texts))))
        for row, texts in enumerate(orders)
    ]
    edges = {pair for texts in orders for pair in combinations(texts, 2)}
    reaches = set(edges)
    for _ in _TEXTS:
        reaches |= {(a, d) for a, b in reaches for c, d in edges if b == c}
    expected = {row for row, texts in enumerate(orders) if any((y, x) in reaches for x, y in combinations(texts, 2))}
    assert set(contradictions(records)) == expected


def test_a_long_circle_needs_no_recursion() -> None:
    texts = [str(number) for number in range(3000)]
    pairs = list(zip(texts, [*texts[1:], texts[0]], strict=True))
    assert len(contradictions(compared(*pairs))) == 3000
    assert contradictions(compared(*pairs[:-1])) == {}
