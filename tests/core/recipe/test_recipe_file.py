import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from whet.core.errors import RecipeError
from whet.core.recipe.data import SourceSettings, path_of, sources_in
from whet.core.recipe.file import field_table, known_keys, load_recipe
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
    assert problems(path) == ("r.yaml:3: unknown key 'rl.rewards.0.wieght'; did you mean 'rl.rewards.0.weight'?",)


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
        ("seed: 1\nseed: 2\n", "r.yaml:2: key 'seed' stands twice, first in line 1"),
        ("a: &x [1]\nb: *x\n", "r.yaml:2: a YAML alias (*name); write the value out"),
        ("- 1\n", "r.yaml:1: a recipe is a mapping of settings, name: value (got a list)"),
        ("- [1]\n" * 60_000, "r.yaml: larger than 100 kB; a recipe is a short YAML or TOML file"),
        ("[" * 3000, "r.yaml:1: nested deeper than 20 levels; no setting is"),
        ("sft:\nseed: 1\n", "r.yaml:1: sft: nothing stands behind it; write a value, null, or {}"),
        ("? [a]\n: 1\n", "r.yaml:1: a key that is no word; settings are written name: value"),
        (
            "a: !!python/name:os.system\n",
            "r.yaml:1: a YAML tag (tag:yaml.org,2002:python/name:os.system); write the value out",
        ),
        ("seed: 1\n\0", "r.yaml:2: not valid YAML (special characters are not allowed)"),
        ("a: [1\n", "r.yaml:2: not valid YAML (expected ',' or ']', but got '<stream end>')"),
    ],
)
def test_unreadable_files(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    assert [line.replace(str(path), path.name) for line in problems(path)] == [expected]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"seed: 1\nname: \xff\n")
    assert problems(tmp_path / "r.yaml") == ("r.yaml:2: not UTF-8; save the recipe as UTF-8 text",)
    os.mkfifo(tmp_path / "pipe.yaml")
    assert problems(tmp_path / "pipe.yaml") == (
        f"{tmp_path / 'pipe.yaml'}: not a file; a recipe is a YAML or TOML file",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sftt: {}", "unknown key 'sftt'; did you mean 'sft'?"),
        ("sft: {Learning-Rate: 1}", "unknown key 'sft.Learning-Rate'; did you mean 'sft.learning_rate'?"),
        ("sft: {lr: 1}", "unknown key 'sft.lr'; did you mean 'sft.learning_rate'?"),
        ("rl: {max_steps: 1}", "unknown key 'rl.max_steps'; did you mean 'rl.steps'?"),
        ("data: {rows: 1}", "unknown key 'data.rows'; did you mean 'data.arithmetic.rows'?"),
        ("sft.seed: 1", "unknown key 'sft.seed'; write 'seed' in a section 'sft' of its own"),
        ("sft: 3", "sft: is a section: its settings stand below it, each as name: value (got 3)"),
        ("sft: {learning_rate: fast}", "sft.learning_rate: must be a number (got 'fast')"),
        ("sft: {learning_rate: .nan}", "sft.learning_rate: must be a finite number (got nan)"),
        ("sft: {batch_size: 4.5}", "sft.batch_size: must be a whole number (got 4.5)"),
        ("seed: true", "seed: must be a number (got true)"),
        ("seed: 1:30", "seed: must be a whole number (got '1:30')"),
        ("seed: null", "seed: must be a whole number (got nothing)"),
        ("name: 12", "name: must be text; put it in quotes (got 12)"),
        (
            "name: ../x",
            "name: must be letters, digits, '.', '_' and '-', beginning with a letter or digit (got '../x')",
        ),
        ("data: {source: [a, 3]}", "data.source.1: must be text; put it in quotes (got 3)"),
        (
            "rl: {rewards: [answer]}",
            "rl.rewards.0: must be a mapping, such as {name: answer, weight: 1.0} (got 'answer')",
        ),
        (
            "rl: {minibatches: 9}",
            "rl: minibatches is 9, but a step has only 8 prompts, whose groups stay whole; "
            "lower minibatches or raise prompts_per_step",
        ),
        ("rl: {rewards: []}", "rl.rewards: must have at least 1 item"),
        (
            'sft: {"max_length\\e[31m\\n": 1}',
            "unknown key 'sft.max_length\\x1b[31m\\n'; did you mean 'sft.max_length'?",
        ),
    ],
)
def test_each_kind_of_mistake_has_its_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    assert problems(path) == (f"r.yaml:1: {expected}",)


def test_a_flood_of_problems_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("data: {source: [" + "3, " * 20_000 + "]}")
    found = problems(path)
    assert len(found) == 51
    assert found[-1] == "and more; these are the first 50 problems"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed = \n", "r.toml:1: not valid TOML (Invalid value)"),
        ("[sft]\nlearning_rte = 1\n", "r.toml:2: unknown key 'sft.learning_rte'; did you mean 'sft.learning_rate'?"),
        ("sft = {seed = 1}\n", "r.toml:1: unknown key 'sft.seed'; did you mean 'seed'?"),
        (
            "[rl]\n[[rl.rewards]]\nname='answer'\n[[rl.rewards]]\nname=3\n",
            "r.toml:5: rl.rewards.1.name: must be text; put it in quotes (got 3)",
        ),
    ],
)
def test_toml_has_lines_too(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    assert problems(path) == (expected,)


def test_a_flag_means_what_its_setting_takes() -> None:
    overrides = {
        "name": "12",
        "data.config": "1e5",
        "template.system": "Think: twice.",
        "data.source": "[a, 3]",
        "threads": "2",
    }
    assert problems(None, **overrides) == ("--data.source: data.source.1: must be text; put it in quotes (got 3)",)
    recipe = load_recipe(None, overrides={**overrides, "data.source": "rows: 1.jsonl"}, environ={}).recipe
    assert (recipe.name, recipe.threads, recipe.data.config) == ("12", 2, "1e5")
    assert (recipe.template.system, recipe.data.source) == ("Think: twice.", "rows: 1.jsonl")
    assert load_recipe(None, overrides={"data.config": "null"}, environ={}).recipe.data.config is None


def test_a_mapping_changes_what_it_names_and_an_empty_one_adds_a_section(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("sft: {batch_size: 4, max_length: 99}\n")
    loaded = load_recipe(path, overrides={"sft": {"batch_size": 5}, "rl": {}, "sft.max_steps": "null"}, environ={})
    assert loaded.recipe.sft is not None
    assert (loaded.recipe.sft.batch_size, loaded.recipe.sft.max_length) == (5, 99)
    assert loaded.recipe.rl is not None
    assert loaded.origins["sft.max_length"] == "r.yaml:1"
    assert loaded.origins["sft.batch_size"] == "--sft"
    assert load_recipe(path, overrides={"sft": "null"}, environ={}).recipe.sft is None


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
    page = (Path(__file__).parents[3] / "docs" / "recipe.md").read_text()
    assert page.endswith(field_table()), "write docs/recipe.md's table again with: whet settings"


def test_a_mapping_is_given_whole_or_name_by_name() -> None:
    whole = load_recipe(None, overrides={"data.columns": "{question: Problem, answer: '2'}"}, environ={})
    assert whole.recipe.data.columns == {"question": "Problem", "answer": "2"}
    by_name = load_recipe(None, overrides={"data.columns.question": "1", "data.pinned.final": "test.jsonl"}, environ={})
    assert by_name.recipe.data.columns == {"question": "1"}
    assert by_name.recipe.data.pinned == {"final": "test.jsonl"}
    (problem,) = problems(None, **{"data.columns": "question"})
    assert problem == "--data.columns: data.columns: must be a mapping, such as {name: value} (got 'question')"


def test_a_source_may_be_read_in_its_own_way(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "data:\n  source:\n    - {path: a.jsonl, columns: {prompt: '{Body} {Question}'}, ignore: [images]}\n"
        "    - b.csv\n  pinned: {final: {path: c.jsonl, split: test}}\n  preferences: {path: d, config: main}\n"
    )
    data = load_recipe(path, environ={}).recipe.data
    first, second = sources_in(data)
    assert isinstance(first, SourceSettings)
    assert (first.path, first.columns, first.ignore) == ("a.jsonl", {"prompt": "{Body} {Question}"}, ("images",))
    assert (second, path_of(second), path_of(first)) == ("b.csv", "b.csv", "a.jsonl")
    assert [path_of(source) for source in (*data.pinned.values(), data.preferences or "")] == ["c.jsonl", "d"]
    by_flags = load_recipe(
        None, overrides={"data.source.path": "a.jsonl", "data.source.columns.prompt": "{Body} {Question}"}, environ={}
    ).recipe.data
    assert by_flags.source == SourceSettings(path="a.jsonl", columns={"prompt": "{Body} {Question}"})
    whole = load_recipe(None, overrides={"data.source": "{path: a.jsonl, ignore: [x]}"}, environ={}).recipe.data
    assert whole.source == SourceSettings(path="a.jsonl", ignore=("x",))
    (tmp_path / "again.yaml").write_text(
        resolved_yaml(load_recipe(path, environ={}).recipe.model_dump(mode="json"), {})
    )
    assert load_recipe(tmp_path / "again.yaml", environ={}).recipe.data == data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("source: {path: a, colums: {}}", "unknown key 'data.source.colums'; did you mean 'data.source.columns'?"),
        ("source: [a, {columns: {}}]", "data.source.1.path: is missing"),
        ("pinned: {final: {path: 3}}", "data.pinned.final.path: must be text; put it in quotes (got 3)"),
        ("source: [{path: a, columns: {prompt: '{a!r}'}}]", "data.source.0.columns: '{a!r}': '{a!r}' is more than"),
        ("columns: {prompt: '{'}", "data.columns: '{' has a single '{'; write '{{' for the sign"),
    ],
)
def test_a_mistake_within_a_source_has_its_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"data:\n  {text}\n")
    (problem,) = problems(path)
    assert problem.startswith(f"r.yaml:2: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("adapter: {r: 8}\n", "recipe.yaml:1: adapter: whet has no adapters yet"),
        ("tokens: {add: [x]}\n", "recipe.yaml:1: tokens: whet has no added or trained tokens yet"),
        ("critic: {}\n", "recipe.yaml:1: critic: whet has no critics yet"),
        ("launch: {gpus: 8}\n", "recipe.yaml:1: launch: whet has no runs on several processes yet"),
        ("judge: {model: x}\n", "recipe.yaml:1: judge: whet has no judges yet"),
        ("sft:\n  lora_r: 8\n", "recipe.yaml:2: sft.lora_r: whet has no adapters yet"),
        ("rl:\n  use_vllm: true\n", "recipe.yaml:2: rl.use_vllm: whet has no runs on several processes yet"),
    ],
)
def test_what_is_to_come_is_told_not_corrected(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, environ={})
    assert str(caught.value) == expected
