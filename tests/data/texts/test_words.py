"""Words in numpy against the same words in plain Python."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whet.data.texts import words as fast
from whet.data.texts.canonical import Masker, words
from whet.data.texts.words import name_hashes, names_of, template_words, word_hashes, word_table, word_tables

ODD = [
    "",
    " ",
    "\0a\0b",
    "\x01A",
    "\u00c9" * 5,
    "-5",
    "5 -",
    "5  - 4",
    "a/b 1/2 6 / 2",
    "\u0928\u092e\u0938\u094d\u0924\u0947",
    "H2O+CO2=x^2",
    "Stra\u00dfe \u0130stanbul \ufb01sh",
    "\u5c0f\u660e\u67093\u4e2a\u82f9\u679c",
    "well-known, 50%",
    "lone \ud800 surrogate",
]


def agrees(texts: list[str]) -> None:
    """The same number of words in every row, and the same hash for the same word only."""
    table = word_table(texts)
    hash_of: dict[str, int] = {}
    for row, text in enumerate(texts):
        spelt = words(text.encode("utf-8", "replace").decode())
        hashes = table.word_W[table.start_R[row] : table.start_R[row + 1]].tolist()
        for word, value in zip(spelt, hashes, strict=True):
            assert hash_of.setdefault(word, value) == value
    assert len(set(hash_of.values())) == len(hash_of)


def test_odd_texts_have_the_words_that_the_definition_says() -> None:
    agrees(ODD)


@given(st.lists(st.text(alphabet="abAB 09-/+.,'%\u00e9\u00c9\u4e2d\x01\0\n", max_size=20), max_size=20))
def test_any_texts_have_the_words_that_the_definition_says(texts: list[str]) -> None:
    agrees(texts)


def test_pieces_change_nothing(monkeypatch) -> None:
    chance = random.Random(0)
    texts = ["".join(chance.choices("ab 1+\u00e9", k=chance.randrange(30))) for _ in range(200)]
    whole = word_table(texts)
    monkeypatch.setattr(fast, "_PIECE", 50)
    monkeypatch.setattr(fast, "_ROWS_JOINED", 7)
    assert len(list(word_tables(texts))) > 30
    pieces = word_table(texts)
    assert np.array_equal(whole.word_W, pieces.word_W)
    assert np.array_equal(whole.start_R, pieces.start_R)


def test_case_is_folded_and_remembered() -> None:
    table = word_table(["Bob bob \u00c9cole \u00e9cole 7"])
    assert table.word_W[0] == table.word_W[1] != table.word_W[2]
    assert table.word_W[2] == table.word_W[3]
    assert table.is_capital_W.tolist() == [True, False, True, False, False]
    assert table.is_digits_W.tolist() == [False] * 4 + [True]


def test_names_are_words_that_are_rarely_written_small() -> None:
    # of three uses of rose one is small; of twenty of may one is
    assert names_of(["Rose likes a rose.", "Rose and Tom", "May " * 19 + "may"]) == {"may": 0.05, "tom": 0.0}
    assert names_of([]) == {}


def test_masks_equal_the_masker() -> None:
    texts = [
        "Alice Smith has 3 apples; Bob's friend buys two more at 1,000.50 each. How many?",
        "",
        "On Monday \u00c9mile and \u00c9mile Zola sold 12 34 books",
        "5 6 seven",
        "Seven Bob",
    ]
    names = names_of([*texts, "how on friend books"])
    assert "\u00e9mile" in names
    masked, plain = template_words(word_table(texts), name_hashes(list(names)))
    masker = Masker(names)
    for row, text in enumerate(texts):
        form, count = masker.form(text)
        assert plain[row] == count
        spelt = form.split()
        hashes = masked.word_W[masked.start_R[row] : masked.start_R[row + 1]]
        expected = [{"<num>": fast.NUMBER, "<name>": fast.NAME}.get(word) or word_hashes([word])[0] for word in spelt]
        assert hashes.tolist() == [int(value) for value in expected]
