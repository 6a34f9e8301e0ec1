"""The page `docs/rewards.md` says what is so."""

import re
from pathlib import Path
from typing import Any

import pytest

from whet.core.recipe import RewardSettings
from whet.rewards import REWARDS
from whet.rewards.answers.quantity import as_number
from whet.rewards.call import TIMEOUT_S, call_reward
from whet.rewards.load import REWARD_MODEL

PAGE = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text(encoding="utf-8")


def test_every_reward_is_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert set(rows) == {*REWARDS, REWARD_MODEL}


def test_the_numbers_on_the_page_are_and_are_not_numbers() -> None:
    table = PAGE.partition("| a number | no number |")[2].partition("\n\n")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1:3] for line in table.splitlines()[2:]]
    numbers = [text for cell, _ in cells for text in re.findall(r"`([^`]+)`", cell)]
    others = [text for _, cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    assert len(numbers) > 10
    assert len(others) > 8
    for text in numbers:
        # the page prints a plain space where the text says thin
        assert as_number(text.replace(" ", "\u2009")) is not None, text
    for text in others:
        assert as_number(text) is None, text


def test_the_functions_on_the_page_run() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    texts = ["a 3", "b" * 300]
    assert call_reward(names["short"], ["p", "q"], texts, [(), ()], {"level": ["3", None]}) == [1.0, 0.0]
    assert call_reward(names["same_level"], ["p", "q"], texts, [(), ()], {"level": ["3", None]}) == [1.0, None]
    assert call_reward(names["same_level"], ["p"], texts[:1], [()], {}) == [
        "needs the column 'level', which is not there"
    ]


def test_the_recipe_on_the_page_is_one() -> None:
    lines = re.findall(r"- \{name: (\S+), weight: ([\d.]+)\}", PAGE)
    assert [RewardSettings(name=name, weight=float(weight)).name for name, weight in lines] == [
        "answer",
        "format",
        "reward_model",
        "my_rewards.py:short",
    ]


@pytest.mark.parametrize(
    "text", [f"`timeout_s` ({TIMEOUT_S:g} by default)", f"took more than {TIMEOUT_S:g} s (timeout_s)"]
)
def test_the_default_limit_is_the_recipes(text: str) -> None:
    assert text in PAGE
