from pathlib import Path

import pytest

from whet.core.errors import RecipeError
from whet.rewards import REWARDS
from whet.rewards.load import load_reward

MINE = """
from __future__ import annotations
from dataclasses import dataclass
from fractions import Fraction

@dataclass(slots=True)
class Judge:
    bonus: float = 2.0

    def __call__(self, completion: str, **row) -> float:
        return self.bonus

judge = Judge()
number = 3

def per_row(completion, **row):
    return 1.0

blind = lambda text: 1.0
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return str(tmp_path / "mine.py")


def test_names_of_the_table() -> None:
    assert load_reward("answer") is REWARDS["answer"]


def test_functions_and_callables_of_a_file(mine: str) -> None:
    assert load_reward(f"{mine}:per_row")("x") == 1.0
    assert load_reward(f"{mine}:judge")("x") == 2.0


def test_files_of_the_same_name_are_different_modules(tmp_path: Path) -> None:
    for folder, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"def f(completion):\n    return {value}\n")
    rewards = [load_reward(f"{tmp_path}/{folder}/mine.py:f") for folder in "ab"]
    assert [reward("x") for reward in rewards] == [1.0, 2.0]
    assert rewards[0].__module__ != rewards[1].__module__


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("anwser", "reward 'anwser' is not known; did you mean 'answer'? (or file.py:function)"),
        (
            "reward_model",
            "reward 'reward_model' is the model that a run trains; only that run's rl.rewards can name it",
        ),
        ("nowhere.py:f", "reward 'nowhere.py:f': no such file nowhere.py"),
        ("/nowhere/mine.py:f", "reward '/nowhere/mine.py:f': no such file /nowhere/mine.py"),
        ("{mine}", "reward '{mine}': name the function too, as {mine}:FUNCTION"),
        ("{mine}:per_rwo", "reward '{mine}:per_rwo': {mine} has no function 'per_rwo'; did you mean 'per_row'?"),
        # what it imported from elsewhere and what is no function is no suggestion
        ("{mine}:Zebra", "reward '{mine}:Zebra': {mine} has no function 'Zebra'; known: blind, judge, per_row"),
        ("{mine}:number", "reward '{mine}:number': {mine} has no function 'number'; known: blind, judge, per_row"),
        ("{mine}:Judge", "reward '{mine}:Judge': 'Judge' in {mine} is a class; a function was expected"),
        (
            "{mine}:blind",
            "reward '{mine}:blind': takes (text), so it sees no completion; "
            "a reward is f(completion, **row) or f(prompts, completions, **columns)",
        ),
    ],
)
def test_names_that_do_not_resolve(mine: str, name: str, expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_reward(name.replace("{mine}", mine))
    assert str(caught.value) == expected.replace("{mine}", mine)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(:\n", "SyntaxError"),
        ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("raise SystemExit(0)\n", "SystemExit: 0"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
)
def test_files_that_fail_when_imported(tmp_path: Path, code: str, expected: str) -> None:
    (tmp_path / "broken.py").write_text(code)
    with pytest.raises(RecipeError, match=r"broken\.py fails when imported") as caught:
        load_reward(f"{tmp_path}/broken.py:f")
    assert expected in str(caught.value)


def test_a_file_is_executed_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("made = object()\ndef f(completion):\n    return made\n")
    first, again = (load_reward(f"{path}:f") for _ in range(2))
    assert first("x") is again("x")
    path.write_text(path.read_text() + "# another file\n")
    assert load_reward(f"{path}:f")("x") is not first("x")


def test_a_relative_file_is_found_from_the_recipes_folder_then_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for folder, value in (("recipes", 1.0), ("here", 2.0)):
        (tmp_path / folder / "mine.py").write_text(f"def f(completion):\n    return {value}\n")
    assert load_reward("mine.py:f", folder=tmp_path / "recipes")("x") == 1.0
    assert load_reward("mine.py:f")("x") == 2.0
    (tmp_path / "recipes" / "mine.py").unlink()
    assert load_reward("mine.py:f", folder=tmp_path / "recipes")("x") == 2.0
