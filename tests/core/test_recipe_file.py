import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from whet.core.errors import RecipeError
from whet.core.recipe_file import field_table, known_keys, load_recipe
from whet.core.runfolder import resolved_yaml

BAD = """\
name: x
rl:
  learning_rte: 1e-5
  num_generations: 1
learning_rate: 3
sft:
  lr_scheduler_type: cosin
data: {sizes: {ft_train: 100.5}}
bogus: {a: 1}
"""


def problems(path: Path | None, **overrides: object) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides=overrides, environ={})
    return caught.value.problems


def test_every_problem_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    found = problems(path)
    assert "bad.yaml:3: unknown key 'rl.learning_rte'; did you mean 'rl.learning_rate'?" in found
    assert "bad.yaml:4: rl.num_generations: must be greater than or equal to 2 (got 1)" in found
    assert "bad.yaml:5: unknown key 'learning_rate'; did you mean 'sft.learning_rate'?" in found
    assert any(line.startswith("bad.yaml:7: sft.lr_scheduler_type: must be 'cosine'") for line in found)
    assert any(line.startswith("bad.yaml:8: data.sizes: must be either whole numbers") for line in found)
    assert any(line.startswith("bad.yaml:9: unknown key 'bogus'") for line in found)
    assert len(found) == 6


def test_unknown_key_inside_a_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("rl:\n  rewards:\n    - {name: answer, wieght: 2}\n")
    assert problems(path) == ("r.yaml:3: rl.rewards.0.wieght: unknown key (got 2)",)


def test_order_default_file_environment_flag(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("seed = 1\n[sft]\nlearning_rate = 1e-4\nbatch_size = 4\n")
    loaded = load_recipe(
        path, overrides={"sft.batch-size": "8"}, environ={"WHET_SFT__LEARNING_RATE": "1e-3", "WHET_SEED": "2"}
    )
    assert loaded.recipe.sft is not None
    assert (loaded.recipe.seed, loaded.recipe.sft.learning_rate, loaded.recipe.sft.batch_size) == (2, 1e-3, 8)
    assert loaded.recipe.sft.num_train_epochs == 3
    assert loaded.origins["sft.learning_rate"] == "environment WHET_SFT__LEARNING_RATE"
    assert loaded.origins["sft.batch_size"] == "--sft.batch-size"


def test_scientific_numbers_of_yaml_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("sft: {learning_rate: 1e-5}\n")
    sft = load_recipe(path, environ={}).recipe.sft
    assert sft is not None
    assert sft.learning_rate == 1e-5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed: 1\nseed: 2\n", "r.yaml:2: key 'seed' stands twice, first in line r.yaml:1"),
        ("a: &x [1]\nb: *x\n", "r.yaml:2: a YAML alias (*name); write the value out"),
        ("- 1\n", "r.yaml:1: a recipe is a mapping of settings (got list)"),
        ("a: [1\n", "r.yaml:2: not valid YAML (expected ',' or ']', but got '<stream end>')"),
    ],
)
def test_unreadable_files(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    assert problems(path) == (expected,)


def test_a_missing_file_suggests_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text("seed: 1\n")
    assert problems(tmp_path / "dmo.yaml") == (f"{tmp_path / 'dmo.yaml'}: no such recipe; did you mean 'demo.yaml'?",)


def test_a_reward_model_must_be_there_to_be_a_reward() -> None:
    found = problems(None, **{"rl.rewards": "[{name: reward_model}]"})
    assert found == (
        "recipe: rl.rewards names reward_model, but the recipe has no reward_model section; "
        "add one or drop that reward",
    )


def test_resolved_yaml_loads_again(tmp_path: Path) -> None:
    loaded = load_recipe(None, overrides={"sft.learning_rate": "1e-4", "rl.steps": "7"}, environ={})
    text = resolved_yaml(loaded.recipe.model_dump(mode="json"), loaded.origins)
    assert "learning_rate: 0.0001  # --sft.learning-rate" in text
    (tmp_path / "resolved.yaml").write_text(text)
    assert load_recipe(tmp_path / "resolved.yaml", environ={}).recipe == loaded.recipe
    assert yaml.safe_load(text)["rl"]["steps"] == 7


def test_every_setting_has_prose_and_stands_in_the_table() -> None:
    table = field_table()
    for key, field in known_keys().items():
        assert field.description, key
        assert f"`{key}`" in table or f"**{key}**" in table, key


def test_a_wrong_recipe_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("sed: 1\n")
    code = (
        "import sys\nfrom whet.cli import main\n"
        f"try: main(['run', {str(path)!r}])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False", "False"]
    assert done.stderr == "bad.yaml:1: unknown key 'sed'; did you mean 'seed'?\n"


def test_the_settings_in_the_docs_are_current() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipe.md").read_text()
    assert page.endswith(field_table()), "write docs/recipe.md's table again with: whet settings"
