import pytest

from whet.rewards.call import call_reward
from whet.rewards.verifiers.overlong import overlong, soft_punishment


@pytest.mark.parametrize(
    ("length", "punishment"),
    # free up to 100 - 20 = 80; then (80 - length) / 20
    [(0, 0.0), (80, 0.0), (81, -0.05), (90, -0.5), (100, -1.0), (101, -1.0), (10_000, -1.0)],
)
def test_punishment_by_hand(length: int, punishment: float) -> None:
    assert soft_punishment(length, limit=100, cache=20) == pytest.approx(punishment)


def test_the_last_fifth_of_the_limit_is_punished() -> None:
    # limits 100 and 10: free up to 80 and 8, so 90 and 9 tokens are half way
    ids = [(1,) * 80, (1,) * 90, (1,) * 9, (1,) * 10]
    assert overlong([""] * 4, ["x"] * 4, ids, max_completion_length=[100, 100, 10, 10]) == [0.0, -0.5, -0.5, -1.0]


def test_a_completion_of_no_tokens_is_short() -> None:
    assert overlong([""], [""], [()], max_completion_length=[10]) == [0.0]


def test_tiny_limits_divide_by_something() -> None:
    assert overlong([""] * 2, ["x"] * 2, [(1,), (1, 2)], max_completion_length=[1, 1]) == [-1.0, -1.0]


def test_without_limit_or_token_ids_it_says_so() -> None:
    assert call_reward(overlong, ["p"], ["x"], [(1,)], {}) == [
        "needs the column 'max_completion_length', which is not there"
    ]
    (verdict,) = call_reward(overlong, ["p"], ["x"], [()], {"max_completion_length": [10]})
    assert str(verdict).startswith("ValueError: a completion without its completion_ids has no length in tokens")
