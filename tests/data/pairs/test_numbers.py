import numpy as np
import pytest

from whet.data.pairs.numbers import NumbersKnown, numbers_spelt
from whet.data.texts.words import word_table


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("three apples", ["3"]),
        ("twenty-five and forty", ["25", "40"]),
        ("two hundred, a hundred, six thousand", ["200", "100", "6000"]),
        ("one of them", []),  # hardly ever a number
        ("twenty one", ["21"]),
        ("half a dozen, twice", ["0.5", "12", "2"]),
        ("seven. Eight", ["7", "8"]),
        ("ten two", ["10", "2"]),
    ],
)
def test_numbers_in_words(text: str, values: list[str]) -> None:
    assert [value for _, value in numbers_spelt(word_table([text]))] == values


def test_words_of_two_rows_are_not_one_number() -> None:
    assert list(numbers_spelt(word_table(["twenty", "five"]))) == [(0, "20"), (1, "5")]


def test_agreement_by_hand() -> None:
    texts = ["3 hats for $7", "seven hats, three cats", "5 mice and 3 rats", "none"]
    known = NumbersKnown(texts)
    sets = known.learnt
    agreed = known.agreement(sets, np.array([0, 0, 0, 3]), sets, np.array([1, 2, 3, 3]))
    # {3, 7} {3, 7} {3, 5} {}: 2 of 2, 1 of 3, nothing, nothing
    assert agreed.jaccard.tolist() == pytest.approx([1, 1 / 3, 0, 0])
    # log2(5 / 4) for the 3, in three of four rows, log2(5 / 3) for the 7: 594 - 512 and 594 - 405 256ths
    assert agreed.bits_256.tolist() == [82 + 189, 82, 0, 0]


def test_unknown_numbers_count_in_the_size_alone() -> None:
    known = NumbersKnown(["4 hats"])
    other = known.sets(["4 hats and 9 cats", "9"])
    agreed = known.agreement(other, np.array([0, 1]), known.learnt, np.array([0, 0]))
    assert agreed.jaccard.tolist() == [0.5, 0]
    assert known.learnt.first(0).size_R.tolist() == []
