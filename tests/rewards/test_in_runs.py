"""Rewards of the user's in whole runs: found, executed, recorded."""

from pathlib import Path

import pytest

import whet
from whet.core.errors import RecipeError

SMALL = """\
name: small
threads: 1
data:
  sizes: {ft_train: 4, ft_validation: 2, ft_test: 2, rm_train: 2, rm_test: 2, rl_train: 8, rl_test: 2, final: 6}
  arithmetic: {rows: 60}
rl: {steps: 2, save_steps: 1, prompts_per_step: 2, num_generations: 2, max_completion_length: 8, max_dead_steps: 9}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe in a folder of its own, with `mine.py` beside it."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small.yaml").write_text(SMALL)
    (tmp_path / "recipes" / "mine.py").write_text("def short(completion):\n    return -len(completion)\n")
    return tmp_path / "recipes" / "small.yaml"


def test_a_file_that_fails_when_it_is_run_ends_the_run_before_its_first_stage(recipe: Path, tmp_path: Path) -> None:
    (recipe.parent / "mine.py").write_text("def short(completion):\n    return 1.0\n1 / 0\n")
    for settings in ({"rl": {"rewards": [{"name": "mine.py:short"}]}}, {"evaluate": {"reward": "mine.py:short"}}):
        with pytest.raises(RecipeError, match=r"mine\.py fails when imported \(ZeroDivisionError"):
            whet.run(recipe, run=tmp_path / "run", quiet=True, **settings)
        assert not (tmp_path / "run" / "data").exists()
