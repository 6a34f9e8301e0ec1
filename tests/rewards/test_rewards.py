from pathlib import Path

import pytest

from whet.rewards import REWARDS
from whet.rewards.verifiers.answer import answer, as_number, parse_answer
from whet.rewards.verifiers.closeness import closeness
from whet.rewards.verifiers.format import format_


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("<think>3+2=5</think><answer>5</answer>", "5"),
        ("<answer>4</answer> no, <answer> 5 </answer>", "5"),
        ("<think><answer>9</answer></think><answer>5</answer>", "5"),
        ("<think>it is <answer>9</answer>", None),
        ("so #### 1,200", "1,200"),
        (r"thus \boxed{7}", "7"),
        (r"#### 8 and <answer>5</answer> and \boxed{7}", "5"),
        ("<answer></answer>", None),
        ("<answer>" + "1" * 300 + "</answer>", None),
        ("the answer is 5", None),
        ("", None),
    ],
)
def test_what_counts_as_the_answer(completion: str, expected: str | None) -> None:
    assert parse_answer(completion).text == expected


@pytest.mark.parametrize(
    ("given", "known", "same"),
    [
        ("5", "5.0", True), ("1,200", "1200", True), ("$5", "5", True), ("5.", "5", True), ("−5", "-5", True),
        ("1/2", "0.5", True), ("+7", "7", True), ("0.30", ".3", True), ("-5", "5", False), ("5", "50", False),
        ("five", "5", False), ("Paris.", "paris", True), ("1,2", "12", False), ("٣", "3", False), ("1/0", "1", False),
        ("__import__('os')", "5", False), ("9**9**9", "5", False),
    ],
)  # fmt: skip
def test_equal_answers(given: str, known: str, same: bool) -> None:
    assert answer(f"<answer>{given}</answer>", answer=known) == float(same)


def test_no_known_answer_is_no_verdict() -> None:
    assert answer("<answer>5</answer>") is None
    assert closeness("<answer>5</answer>") is None


def test_numbers_are_exact() -> None:
    assert as_number("0.1") == as_number("1/10")
    assert as_number("0.1000000000000000055511151231257827") != as_number("0.1")


@pytest.mark.parametrize(
    ("given", "known", "credit"),
    [
        # relative errors 0, 0.005, 0.05, 0.2, 0.4
        ("200", "200", 1.0), ("201", "200", 1.0), ("210", "200", 0.8), ("240", "200", 0.5), ("280", "200", 0.0),
        # the bounds themselves belong to the next step: 0.01, 0.1, 0.3
        ("202", "200", 0.8), ("220", "200", 0.5), ("260", "200", 0.0),
        ("-5", "5", 0.0), ("-200", "-210", 0.8), ("0", "0", 1.0), ("0.001", "0", 0.0), ("0", "5", 0.0),
        ("paris", "Paris", 1.0), ("", "5", 0.0),
    ],
)  # fmt: skip
def test_closeness(given: str, known: str, credit: float) -> None:
    assert closeness(f"<answer>{given}</answer>", answer=known) == credit


@pytest.mark.parametrize(
    ("completion", "good"),
    [
        ("<think>a</think><answer>5</answer>", True),
        (" <think>a\nb</think>\n<answer>5</answer>\n", True),
        ("<answer>5</answer>", False),
        ("<answer>5</answer><think>a</think>", False),
        ("<think></think><answer>5</answer>", False),
        ("<think> </think><answer>5</answer>", False),
        ("<think>a</think><answer>\n</answer>", False),
        ("<think>a</think><answer>5</answer> and more", False),
        ("<think>a</think><think>b</think><answer>5</answer>", False),
        ("<think>a<answer>1</answer></think><answer>5</answer>", False),
        ("well <think>a</think><answer>5</answer>", False),
    ],
)
def test_format(completion: str, good: bool) -> None:
    assert format_(completion) == float(good)


def test_every_reward_file_stands_in_the_table() -> None:
    files = {path.stem for path in Path(answer.__code__.co_filename).parent.glob("*.py")}
    machinery = {"__init__"}
    assert set(REWARDS) == files - machinery
