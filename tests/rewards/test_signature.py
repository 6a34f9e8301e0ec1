from collections.abc import Callable
from typing import Any

import pytest

from whet.rewards import REWARDS
from whet.rewards.signature import columns_needed, is_per_completion, parameters_of, signature_problem

GOOD: list[Callable[..., Any]] = [
    lambda completion: 1.0,
    lambda completion, /, **row: 1.0,
    lambda completion, answer, level=1: 1.0,
    lambda completions: [1.0],
    lambda prompts, completions, completion_ids, *, solution: [1.0],
    lambda **columns: [1.0],
    lambda completion_ids: [1.0],
    lambda solution, completions: [1.0],
]
BAD: list[tuple[Callable[..., Any], str]] = [
    (lambda: 1.0, "takes (), so it sees no completion"),
    (lambda text: 1.0, "takes (text), so it sees no completion"),
    (lambda *texts: 1.0, "takes (*texts), so it sees no completion"),
    # the first parameter says that it takes lists, and lists are called otherwise
    (lambda prompt, completion: 1.0, "takes (prompt, completion), but 'prompt' and 'completion' would never be given"),
    (lambda completion, completion_ids: 1.0, "but 'completion_ids' would never be given to it"),
    (lambda completions, /: 1.0, "and 'completions' takes none; drop the '/'"),
    (lambda completion, answer, /: 1.0, "and 'answer' takes none"),
]


@pytest.mark.parametrize("reward", [*GOOD, *REWARDS.values()])
def test_what_can_be_called(reward: Callable[..., Any]) -> None:
    assert signature_problem(parameters_of(reward)) is None


@pytest.mark.parametrize(("reward", "expected"), BAD)
def test_what_no_columns_could_make_work(reward: Callable[..., Any], expected: str) -> None:
    problem = signature_problem(parameters_of(reward))
    assert problem is not None
    assert expected in problem


def test_the_columns_that_must_be_there() -> None:
    assert columns_needed(parameters_of(lambda completion, prompt, solution, level=1, **row: 1)) == ["solution"]
    assert columns_needed(parameters_of(lambda completions, *, ground_truth, answer: 1)) == ["ground_truth", "answer"]
    assert columns_needed(parameters_of(REWARDS["overlong"])) == ["max_completion_length"]


def test_the_first_name_tells_how_it_is_called() -> None:
    assert is_per_completion(parameters_of(lambda completion, completions=None: 1))
    assert not is_per_completion(parameters_of(lambda completions, completion=None: 1))
    assert not is_per_completion({})
