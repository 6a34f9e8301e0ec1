"""Strata: what they are made of, that they are few, and how deviations are counted."""

from typing import Any

import numpy as np
import pytest

from whet.core.errors import DataError
from whet.core.records import PURPOSES, Message, Origin, Prompt
from whet.data.splits.groups import MOST_STRATA
from whet.data.splits.strata import deviations, strata_of


def rows(*columns: dict[str, Any]) -> list[Prompt]:
    turn = (Message(role="user", content="?"),)
    return [Prompt(messages=turn, origin=Origin(source="a", row=n), columns=of) for n, of in enumerate(columns)]


def test_without_columns_all_rows_are_one_stratum() -> None:
    strata = strata_of(rows({}, {}), np.array([1, 1]), ())
    assert strata.names == ("all",)
    assert strata.number.tolist() == [0, 0]


def test_columns_combine_and_rare_values_are_merged() -> None:
    values = [{"level": "hard", "topic": "a"}] * 30 + [{"level": "easy", "topic": "a"}] * 40 + [{"level": "easy"}] * 19
    strata = strata_of(rows(*values), np.zeros(89, dtype=np.int64), ("level", "topic"))
    assert strata.names == ("level=easy, topic=a", "level=hard, topic=a", "other")
    assert strata.number.tolist() == [1] * 30 + [0] * 40 + [2] * 19
    assert strata.merged == 1


def test_there_are_never_more_than_fit_into_a_group() -> None:
    values = [{"topic": n % 100} for n in range(2100)]
    text = [{"topic": str(of["topic"])} for of in values]
    strata = strata_of(rows(*text), np.zeros(2100, dtype=np.int64), ("topic",))
    assert len(strata.names) == strata.number.max() + 1 == MOST_STRATA
    assert strata.merged == 100 - (MOST_STRATA - 1)
    # Numbers of many values are cut into fifths instead
    assert strata_of(rows(*values), np.zeros(2100, dtype=np.int64), ("topic",)).names[0] == "topic=0..19"


def test_lengths_are_fifths_of_the_prompts_words() -> None:
    words = np.repeat(np.arange(1, 11), 20)
    strata = strata_of(rows(*[{}] * 200), words, ("length",))
    assert sorted(strata.names) == ["length=1..2", "length=3..4", "length=5..6", "length=7..8", "length=9..10"]
    assert np.bincount(strata.number).tolist() == [40] * 5


def test_rows_without_the_number_are_their_own_stratum() -> None:
    values = [{"size": float(n)} for n in range(100)] + [{"size": None}] * 20
    strata = strata_of(rows(*values), np.zeros(120, dtype=np.int64), ("size",))
    assert strata.names[-1] == "size=None"
    assert strata.number[100:].tolist() == [5] * 20


def test_an_unknown_column_is_an_error() -> None:
    with pytest.raises(DataError, match=r"data.stratify: no row has a column 'lvel'; did you mean 'level'\?"):
        strata_of(rows({"level": 1}), np.zeros(1, dtype=np.int64), ("lvel",))


def test_deviations_by_hand() -> None:
    # Strata of 60 and 40 single rows; ft_train has 30 of the first and 20 of the second: exact.
    # final has 12 and 3 where 15 x .6 = 9 and 6 were due: 3 rows, 20 % of final.
    strata = strata_of(rows(*[{"a": "x"}] * 60, *[{"a": "y"}] * 40), np.zeros(100, dtype=np.int64), ("a",))
    purpose = np.full(100, -1, dtype=np.int8)
    purpose[:30] = purpose[60:80] = 0
    purpose[30:42] = purpose[80:83] = PURPOSES.index("final")
    usable_PC, room = np.ones((len(PURPOSES), 100), dtype=np.int64), np.where(purpose >= 0, 1, 0)
    found = deviations(strata, usable_PC, np.zeros(100, dtype=np.int8), purpose, room)
    assert found["rows"]["a=x"]["ft_train"] == 30
    assert found["rows"]["a=y"]["final"] == 3
    assert found["largest_deviation"] == {"rows": 3.0, "points": 20.0, "stratum": "a=x", "purpose": "final"}
    # Were the 12 all the long tail there is in the first stratum, and the 3 all in the second, nothing would be off.
    kind = np.zeros(100, dtype=np.int8)
    kind[30:42] = kind[80:83] = 1
    found = deviations(strata, usable_PC, kind, purpose, room)
    # Of the 85 ordinary rows 48 are of the first stratum: 50 x 48 / 85 = 28.2 of ft_train, which has 30
    assert found["largest_deviation"] == {"rows": 1.8, "points": 3.53, "stratum": "a=x", "purpose": "ft_train"}
