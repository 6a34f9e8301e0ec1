"""Rewards of the user's in whole runs: found, executed, recorded."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import whet
from whet.core.errors import DataError, RecipeError, RunFolderError
from whet.core.recipe.file import load_recipe
from whet.tokens.recorded import recorded_template

Whet = Callable[..., tuple[int, str, str]]

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


@pytest.fixture(name="cli")
def command_line(request: pytest.FixtureRequest) -> Whet:
    """The fixture `whet`, by a name that the package does not have."""
    verb: Whet = request.getfixturevalue("whet")
    return verb


SOME = """
def by_place(prompts, completions, **columns):
    # of every four completions one fails as text, one does not apply, and the other two are worth 1 and 3
    return [(None, 1.0, 3.0, "text")[place % 4] for place in range(len(completions))]
def constant(completion):
    return 10.0
"""


def test_what_could_not_be_scored_is_no_zero_and_what_is_mixed_is_told(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recipe.parent / "mine.py").write_text(SOME)
    names = [{"name": "mine.py:by_place", "weight": 2.0}, {"name": "mine.py:constant"}]
    rl = {"rewards": names, "num_generations": 4, "scale_rewards": "none"}
    whet.run(recipe, run=tmp_path / "run", rl=rl)
    said = capsys.readouterr().err
    assert "rl: step 1: 2 of 8 completions have no reward: mine.py:by_place: gave str, not a number" in said
    assert "rl: step 1: mine.py:by_place applies to some completions only in 2 of 2 groups" in said
    assert said.count("have no reward") == said.count("applies to some completions only") == 1
    assert "rl: 4 of 16 completions had no reward; rl/rollouts says why" in said
    rows = [json.loads(line) for line in (tmp_path / "run" / "rl" / "metrics.jsonl").read_text().splitlines()]
    assert [(row["reward/unscorable"], row["reward/mixed_groups"]) for row in rows] == [(2, 2), (2, 2)]
    complete = json.loads((tmp_path / "run" / "rl" / "complete.json").read_text())
    assert (complete["unscorable"], complete["mixed_groups"]) == (4, 4)
    for file in sorted((tmp_path / "run" / "rl" / "rollouts").iterdir()):
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        # 2 x 1 + 10 and 2 x 3 + 10; their mean of 2 stands in for None: 14. The mean of the group is 14, not that of a
        # fourth completion with a reward of 0, and the failed one has no advantage
        assert [line["reward"] for line in lines] == [14.0, 12.0, 16.0, None] * 2
        assert [line["advantage"] for line in lines] == pytest.approx([0.0, -2.0, 2.0, 0.0] * 2)


def rows_file(folder: Path, **columns: object) -> Path:
    path = folder / "rows.jsonl"
    words = "amber birch cedar delta ember flint grove heron island jetty kelp larch maple nettle osier pine".split()
    texts = [" ".join(words[(n * k + k) % 16] for k in range(1, 12)) for n in range(60)]
    lines = [{"prompt": f"{text} {n}?", **columns} for n, text in enumerate(texts)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("verb", ["rl", "evaluate"])
@pytest.mark.parametrize(
    ("columns", "advice"), [({"hill": 3}, "there: hill"), ({"info": {"gt": "3"}}, "answer: info.gt")]
)
def test_rows_without_a_known_answer_stop_a_run_before_anything_is_sampled(
    cli: Whet, tmp_path: Path, verb: str, columns: dict[str, object], advice: str
) -> None:
    rows = rows_file(tmp_path, **columns)
    code, _, err = cli(verb, "--data.source", rows, "--run", tmp_path / "run", "--threads", 1)
    assert code == 2
    *_, line = err.strip().splitlines()
    assert "has 'answer', which the reward 'answer' needs; columns that are there" in line
    assert advice in line
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.is_dir()) == ["data"]


def test_a_column_that_a_function_needs_is_missed_before_supervised_fine_tuning(recipe: Path, tmp_path: Path) -> None:
    (recipe.parent / "mine.py").write_text("def short(completion, hill):\n    return hill\n")
    settings = {"sft": {"max_steps": 1}, "rl": {"rewards": [{"name": "mine.py:short"}]}}
    with pytest.raises(DataError, match=r"no row of rl_train has 'hill', which the reward 'mine\.py:short' needs"):
        whet.run(recipe, run=tmp_path / "run", quiet=True, **settings)
    assert not (tmp_path / "run" / "sft").exists()


def test_a_verifier_that_fails_on_everything_ends_evaluation_and_keeps_nothing(recipe: Path, tmp_path: Path) -> None:
    (recipe.parent / "mine.py").write_text("def grade(completion):\n    raise ValueError('no grade today')\n")
    settings = {"rl": None, "evaluate": {"reward": "mine.py:grade", "max_completion_length": 4, "samples": 0}}
    with pytest.raises(DataError, match=r"could judge none of the 10 answers so far; the first: ValueError: no grade"):
        whet.run(recipe, run=tmp_path / "run", quiet=True, **settings)
    assert not list((tmp_path / "run" / "evaluation").rglob("base.jsonl"))


def test_the_reward_file_is_on_record_and_another_one_is_told(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    rewards = {"rl": {"rewards": [{"name": "mine.py:short"}]}}
    whet.run(recipe, run=run, quiet=True, **rewards)
    record = json.loads((run / "rl" / "complete.json").read_text())
    digest = hashlib.sha256((recipe.parent / "mine.py").read_bytes()).hexdigest()
    assert record["inputs"]["reward:mine.py"] == digest
    # neither the recipe's place nor that of the file is in the run's folder, so both may move
    written = b"".join(file.read_bytes() for file in run.rglob("*") if file.suffix in (".json", ".jsonl", ".yaml"))
    assert str(tmp_path).encode() not in written
    moved = recipe.parent.rename(tmp_path / "elsewhere")
    whet.run(moved / recipe.name, run=run.rename(tmp_path / "moved"), quiet=True, **rewards)
    (moved / "mine.py").write_text("def short(completion):\n    return 1.0\n")
    (tmp_path / "moved" / "rl" / "complete.json").unlink()
    with pytest.raises(RunFolderError, match=r"the reward file mine\.py is not the one that rl began with"):
        whet.run(moved / recipe.name, run=tmp_path / "moved", quiet=True, **rewards)


def test_a_trained_reward_model_says_which_template_it_was_trained_with(finished_run: Path) -> None:
    settings = load_recipe(finished_run / "resolved.yaml", environ={}).recipe.template
    assert recorded_template(finished_run / "reward_model" / "model") == settings
    complete = json.loads((finished_run / "reward_model" / "complete.json").read_text())
    assert "reward_model/model/whet_template.json" in complete["outputs"]
