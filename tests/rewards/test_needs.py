from collections.abc import Callable, Mapping
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.records import Prompt
from whet.rewards import REWARDS
from whet.rewards.needs import GIVEN_IN_RL, can_judge, is_beyond_the_rule, needed_columns, require_columns

MakePrompt = Callable[..., Prompt]


def mine(completion: str, solution: str, level: int = 1, **row: Any) -> float:
    return 1.0


def test_what_a_reward_needs() -> None:
    needed = {name: needed_columns(reward) for name, reward in REWARDS.items()}
    expected = {"answer": ["answer"], "closeness": ["answer"], "format": [], "overlong": ["max_completion_length"]}
    assert needed == expected
    assert needed_columns(mine) == ["solution"]
    assert needed_columns(lambda completions, answer=None, **columns: [1.0]) == []


def test_a_row_can_be_judged_when_nothing_needed_is_missing(make_prompt: MakePrompt) -> None:
    assert can_judge(REWARDS["answer"], make_prompt(answer="5"))
    assert not can_judge(REWARDS["answer"], make_prompt(columns={"solution": "5"}))
    assert can_judge(REWARDS["format"], make_prompt())
    assert can_judge(mine, make_prompt(columns={"solution": "5"}))
    assert not can_judge(mine, make_prompt(answer="5", columns={"solution": None}))
    assert not can_judge(REWARDS["overlong"], make_prompt())
    assert can_judge(REWARDS["overlong"], make_prompt(), given=GIVEN_IN_RL)


@pytest.mark.parametrize(
    ("columns", "answer", "expected"),
    [
        ({}, None, "'answer' needs; there are no other columns; give the rows one"),
        ({"level": 1, "topic": "a"}, None, "'answer' needs; columns that are there: level, topic"),
        ({"solution": "5", "level": 1}, None, "level, solution; say where it is, data.columns: {answer: solution}"),
        ({"info": {"gt": "5", "a": 1}}, None, "info; say where it is, data.columns: {answer: info.gt}"),
        (
            {str(n).zfill(2): n for n in range(20)},
            None,
            "columns that are there: 00, 01, 02, 03, 04, 05, 06, 07, 08, 09, ",
        ),
    ],
)
def test_rows_without_a_known_answer_are_refused_with_what_is_there(
    make_prompt: MakePrompt, columns: Mapping[str, Any], answer: str | None, expected: str
) -> None:
    rows = [make_prompt(columns=columns, answer=answer), make_prompt()]
    with pytest.raises(DataError, match="no row of rl_train has 'answer', which the reward 'answer' needs") as caught:
        require_columns({"answer": REWARDS["answer"], "format": REWARDS["format"]}, rows, where="rl_train")
    assert expected in str(caught.value)
    assert "format" not in str(caught.value)


def test_a_function_that_needs_a_column_by_another_name(make_prompt: MakePrompt) -> None:
    with pytest.raises(DataError) as caught:
        require_columns({"mine.py:f": mine}, [make_prompt(answer="5")], where="rl_train")
    assert str(caught.value) == (
        "no row of rl_train has 'solution', which the reward 'mine.py:f' needs; columns that are there: answer; "
        "the known answer is passed as 'answer', so name the parameter answer"
    )
    with pytest.raises(DataError, match=r"it may be 'ground_truth', which the function can take by its name"):
        require_columns({"mine.py:f": mine}, [make_prompt(columns={"ground_truth": "5"})], where="rl_train")
    # every reward that cannot be used is named at once
    with pytest.raises(DataError, match=r"'mine\.py:f' needs.*'answer', which the reward 'answer' needs"):
        require_columns({"mine.py:f": mine, "answer": REWARDS["answer"]}, [make_prompt()], where="rl_train")


def test_rows_that_lack_it_here_and_there_are_told(make_prompt: MakePrompt) -> None:
    rows = [make_prompt(answer="5"), make_prompt(), make_prompt(answer="6")]
    rewards = {"answer": REWARDS["answer"], "format": REWARDS["format"], "overlong": REWARDS["overlong"]}
    assert require_columns(rewards, rows, where="rl_train", given=GIVEN_IN_RL) == [
        "1 of 3 rows of rl_train have no 'answer': the reward 'answer' says nothing of them"
    ]
    assert require_columns(rewards, [], where="rl_train", given=GIVEN_IN_RL) == []


def test_known_answers_beyond_the_rule_are_told(make_prompt: MakePrompt) -> None:
    assert [is_beyond_the_rule(known) for known in (r"\sqrt{3}", "(1, 2)", "", "5", r"\boxed{5}", "Paris", None)] == [
        True, True, True, False, False, False, False,
    ]  # fmt: skip
    rows = [make_prompt(answer=known) for known in ("5", r"\sqrt{3}", "(1, 2)")]
    (line,) = require_columns({"answer": REWARDS["answer"]}, rows, where="rl_train")
    assert line.startswith("2 of 3 known answers of rl_train are formulas, lists or sentences: the reward 'answer' can")
    assert require_columns({"mine": lambda completion: 1.0}, rows, where="rl_train") == []
