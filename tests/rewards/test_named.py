import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import whet as package
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.recipe.file import load_recipe
from whet.preflight.checks import require_ready
from whet.rewards.named import reward_problems

Whet = Callable[..., tuple[int, str, str]]
MINE = """
number = 3
class Judge:
    def __call__(self, completion): ...
judge = Judge()
def short(completion, **row): ...
def bad(text): ...
def limited(completions, max_completion_length): ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe's folder with a reward file in it, beside the current folder."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "recipes" / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "recipes"


def recipe(*names: str, evaluate: str = "answer") -> Recipe:
    rewards = [{"name": name} for name in names]
    return Recipe.model_validate({"reward_model": {}, "rl": {"rewards": rewards}, "evaluate": {"reward": evaluate}})


def test_rewards_that_are_there(folder: Path) -> None:
    named = recipe("answer", "overlong", "reward_model", "mine.py:short", "mine.py:judge", "mine.py:limited")
    assert reward_problems(named, folder=folder) == []
    assert reward_problems(recipe(f"{folder}/mine.py:short"), folder=None) == []
    assert reward_problems(Recipe(), folder=None) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("anwser", "reward 'anwser' is not known; did you mean 'answer'? (or file.py:function)"),
        ("mine.py", "reward 'mine.py': name the function too, as mine.py:FUNCTION"),
        ("mine.py:shrot", "reward 'mine.py:shrot': mine.py has no function 'shrot'; did you mean 'short'?"),
        ("mine.py:number", "reward 'mine.py:number': 'number' in mine.py is 3; a function was expected"),
        ("mine.py:Judge", "reward 'mine.py:Judge': 'Judge' in mine.py is a class; a function was expected"),
        ("mine.py:bad", "reward 'mine.py:bad': takes (text), so it sees no completion"),
        ("/nowhere/mine.py:short", "reward '/nowhere/mine.py:short': no such file /nowhere/mine.py"),
        (
            "mien.py:short",
            "reward 'mien.py:short': no such file mien.py, neither in the recipe's folder ({folder}) "
            "nor in the current one; did you mean 'mine.py'?",
        ),
    ],
)
def test_each_problem_is_one_line_with_its_setting(folder: Path, name: str, expected: str) -> None:
    expected = expected.replace("{folder}", str(folder))
    (line,) = reward_problems(recipe("answer", name), folder=folder)
    assert line.startswith(f"rl.rewards.1.name: {expected}")
    assert ("neither" in line) == name.startswith("mien")
    (line,) = reward_problems(recipe("answer", evaluate=name), folder=folder)
    assert line.startswith(f"evaluate.reward: {expected}")


def test_every_problem_at_once(folder: Path) -> None:
    lines = reward_problems(recipe("anwser", "format", "format", evaluate="nonsense"), folder=folder)
    assert [line.partition(":")[0] for line in lines] == ["rl.rewards.0.name", "rl.rewards.2.name", "evaluate.reward"]
    assert "stands twice; give it once, the weights added" in lines[1]


@pytest.mark.parametrize("name", ["overlong", "mine.py:limited", "reward_model"])
def test_what_only_rl_has_cannot_decide_what_is_correct(folder: Path, name: str) -> None:
    (line,) = reward_problems(recipe("format", evaluate=name), folder=folder)
    assert line.startswith(f"evaluate.reward: reward {name!r}")
    assert "only" in line


def test_the_recipes_folder_comes_before_the_current_one(folder: Path) -> None:
    Path("mine.py").write_text("def other(completion): ...\n")
    assert reward_problems(recipe("mine.py:short"), folder=folder) == []
    assert len(reward_problems(recipe("mine.py:other"), folder=folder)) == 1
    Path("only_here.py").write_text("def other(completion): ...\n")
    assert reward_problems(recipe("only_here.py:other"), folder=folder) == []


def test_the_line_of_the_recipe_is_named(folder: Path) -> None:
    file = folder / "x.yaml"
    file.write_text("rl:\n  rewards:\n    - {name: answer}\n    - {name: anwser}\n")
    with pytest.raises(RecipeError) as caught:
        require_ready(load_recipe(file, overrides={"evaluate.reward": "nonsense"}, environ={}))
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == ["x.yaml:4", "--evaluate.reward"]


def test_every_verb_that_reads_a_recipe_refuses_before_it_does_anything(whet: Whet, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("sft: {}\nrl: {rewards: [{name: anwser}]}\nevaluate: {reward: nonsense}\n")
    for words in ("run x.yaml", "run x.yaml --dry-run", "sft x.yaml", "rl x.yaml", "evaluate x.yaml", "plan x.yaml"):
        code, out, err = whet(*words.split())
        assert (code, out) == (2, "")
        assert "x.yaml:2: rl.rewards.0.name: reward 'anwser' is not known; did you mean 'answer'?" in err
        assert "x.yaml:3: evaluate.reward: reward 'nonsense' is not known" in err
        assert len(err.splitlines()) == 2
    with pytest.raises(RecipeError, match="anwser"):
        package.rl(tmp_path / "x.yaml", quiet=True)
    assert not (tmp_path / "runs").exists()


def test_it_needs_no_torch() -> None:
    code = "import sys, whet.rewards.named; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
