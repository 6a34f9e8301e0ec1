"""What a run would fail of is told before it does anything: all of it at once, each with its place, in no time."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import whet as api
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.recipe.file import LoadedRecipe, load_recipe
from whet.models.tiny import TINY_FOLDER
from whet.preflight.checks import CHECKS, require_ready

Whet = Callable[..., tuple[int, str, str]]
ROW = '{"question": "What is 1 and 2?", "answer": "#### 3"}\n'


def problems(loaded: LoadedRecipe, run: Path | None = None) -> list[str]:
    try:
        require_ready(loaded, run)
    except RecipeError as error:
        return list(error.problems)
    return []


def of(**settings: Any) -> list[str]:
    return problems(load_recipe(None, overrides=settings, environ={}))


def test_a_sound_recipe_has_no_problem(least_recipe: Path, tmp_path: Path) -> None:
    assert problems(load_recipe(least_recipe, environ={})) == []
    (tmp_path / "rows.jsonl").write_text(ROW)
    assert of(sft={"max_length": 512}, **{"data.source": str(tmp_path / "rows.jsonl")}) == []


BROKEN = """\
model: {model}
data:
  source: [rows.jsonl, gone.jsonl]
  preferences: pears.csv
  pinned: {{final: nowhere/test.jsonl}}
sft: {{max_length: 4096}}
rl:
  rewards: [{{name: anwser}}]
  max_prompt_length: 400
  max_completion_length: 200
evaluate:
  reward: mine.py:f
  contamination: [seen.parquet]
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(TINY_FOLDER, tmp_path / "base")
    (tmp_path / "base" / "model.safetensors").write_bytes(b"")
    (tmp_path / "rows.jsonl").write_text(ROW)
    (tmp_path / "pears.csv").write_bytes(b"\x1f\x8b\x08 packed")
    (tmp_path / "seen.parquet").write_bytes(b"PAR1 cut")
    (tmp_path / "broken.yaml").write_text(BROKEN.format(model="base"))
    return tmp_path / "broken.yaml"


EXPECTED = {
    3: ("data.source: gone.jsonl: no such file",),
    4: ("data.preferences: pears.csv: gzip-compressed, but its name does not end in .gz; rename it",),
    5: ("data.pinned.final: nowhere/test.jsonl: no such file",),
    1: ("model: base/model.safetensors: empty; copy the file again",),
    6: ("sft.max_length: is 4,096, but base reads at most 512 tokens; lower it, or choose",),
    9: ("rl.max_prompt_length: 400 and max_completion_length 200 are 600 tokens, but base reads at most 512 tokens",),
    8: ("rl.rewards.0.name: reward 'anwser' is not known; did you mean 'answer'?",),
    12: ("evaluate.reward: reward 'mine.py:f': no such file mine.py",),
    13: ("evaluate.contamination: seen.parquet: ",),
}


def test_everything_at_once_with_its_place(broken: Path) -> None:
    found = problems(load_recipe(broken, environ={}))
    assert len(found) == len(EXPECTED)
    for line, (said,) in EXPECTED.items():
        assert any(problem.startswith(f"broken.yaml:{line}: {said}") for problem in found), (line, found)


@pytest.mark.parametrize(
    "words", [("run",), ("run", "--dry-run"), ("sft",), ("reward-model",), ("rl",), ("evaluate",), ("plan",)]
)
def test_every_road_into_a_run_says_so(whet: Whet, broken: Path, words: tuple[str, ...]) -> None:
    code, out, err = whet(words[0], "broken.yaml", *words[1:])
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == len(EXPECTED)
    assert "Traceback" not in err
    assert not (broken.parent / "runs").exists()


def test_in_python_too(broken: Path) -> None:
    for call in (api.run, api.sft, api.reward_model, api.rl, api.evaluate):
        with pytest.raises(RecipeError) as caught:
            call(broken)
        assert len(caught.value.problems) == len(EXPECTED)
    assert not (broken.parent / "runs").exists()


def test_a_flag_names_its_setting_once(whet: Whet) -> None:
    code, _, err = whet("sft", "--model", "/no/where", "--data.source", "no.jsonl", "--sft.max-length", 9999)
    assert code == 2
    assert err.splitlines() == [
        "--data.source: no.jsonl: no such file",
        "--model: '/no/where': no such folder, and not a hub id of the form owner/name",
    ]


def test_an_empty_recipe_is_told_what_to_add(whet: Whet, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("seed: 3\n")
    for words in (("run", "r.yaml"), ("run", "r.yaml", "--dry-run"), ("plan", "r.yaml"), ("plan",)):
        code, _, err = whet(*words)
        assert code == 2
        assert "stages: the recipe names none; add sft, reward_model, rl or evaluate" in err
        assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "r.yaml"]
    assert of(**{"data.source": "whet:arithmetic"}) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"sft": {"max_length": 512}}, []),
        ({"sft": {"max_length": 513}}, ["sft.max_length"]),
        ({"sft": {"max_length": 1024}}, []),  # the default, a bound like any other
        ({"reward_model": {"max_length": 2048}}, ["reward_model.max_length"]),
        ({"rl": {"max_completion_length": 511}}, []),
        ({"rl": {"max_completion_length": 512}}, ["rl.max_completion_length"]),
        ({"rl": {"max_prompt_length": 513}}, ["rl.max_prompt_length"]),
        ({"rl": {"max_prompt_length": 300, "max_completion_length": 212}}, []),
        ({"rl": {"max_prompt_length": 300, "max_completion_length": 213}}, ["rl.max_prompt_length"]),
        ({"rl": {"max_prompt_length": 600, "max_completion_length": 600}}, ["rl.max_completion_length", "rl.max_pro"]),
        ({"evaluate": {"max_completion_length": 512}}, ["evaluate.max_completion_length"]),
        ({"evaluate": {}}, []),
    ],
)
def test_lengths_against_the_context(settings: Mapping[str, Any], expected: list[str]) -> None:
    found = [problem.partition(": ")[2] for problem in of(**settings)]  # without the flag that names the section
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start)


def test_a_model_without_a_context_has_no_limit(tmp_path: Path) -> None:
    model = Path(shutil.copytree(TINY_FOLDER, tmp_path / "base"))
    config = model / "config.json"
    config.write_text(config.read_text().replace('"max_position_embeddings": 512', '"max_position_embeddings": null'))
    assert of(model=str(model), sft={"max_length": 10**6}) == []


def test_the_first_rows_tell_what_columns_say(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"body": "1 and 2?", "reply": "3"}\n')
    given: dict[str, Any] = {"data.source": str(tmp_path / "rows.jsonl"), "sft": {}}
    assert of(**given, **{"data.columns": {"prompt": "body", "completion": "reply"}}) == []
    (said,) = of(**given, **{"data.columns": {"prompt": "bdy", "completion": "reply"}})
    assert said.startswith(
        "--data.columns: rows.jsonl has no column 'bdy', which is to be 'prompt'; did you mean 'body'"
    )


@pytest.mark.parametrize("name", ["whet:nothing", "", "https://there/rows.jsonl", "rows.xlsx", "folder", "link"])
def test_sources_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("gone")
    assert len(of(**{"data.source": name}, sft={})) == 1
    assert len(of(**{"data.benchmarks": [name]}, sft={})) == 1


def test_a_folder_for_training_and_one_to_be_evaluated_on(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(ROW)
    folder = str(tmp_path)
    assert len(of(**{"data.source": folder}, sft={})) == 1  # all its files are called held out
    assert of(**{"data.pinned": {"final": folder}}, sft={}) == []
    assert of(**{"data.benchmarks": [folder]}, sft={}) == []
    (tmp_path / "earlier").mkdir()
    (said,) = of(**{"data.earlier": str(tmp_path / "earlier")}, sft={})
    assert "no manifest.json; give a folder that whet prepared" in said


def test_what_is_done_needs_no_sources(tmp_path: Path, finished_run: Path) -> None:
    """A run that was moved away from its rows and its base model is as done as before."""
    settings = {"model": "/no/where", "data.source": "gone.jsonl", "sft": {}, "rl": {}}
    loaded = load_recipe(None, overrides=settings, environ={})
    assert len(problems(loaded)) == 2
    for stage, left in (("data", 1), ("sft", 0), ("rl", 0)):
        (tmp_path / stage).mkdir()
        shutil.copy(finished_run / stage / "complete.json", tmp_path / stage)
        assert len(problems(loaded, tmp_path)) == left


def test_every_check_is_reached() -> None:
    recipe = Recipe(sft={}, rl={}, evaluate={})
    for name, check in CHECKS.items():
        assert check.problems(recipe, None) == [], name
        assert any(check.needed_by(stage, recipe) for stage in recipe.stages()), name


def test_no_check_imports_what_takes_seconds(least_recipe: Path) -> None:
    code = """
import contextlib, sys
from whet.cli import main
for words in (["run", sys.argv[1], "--dry-run"], ["plan", sys.argv[1]]):
    with contextlib.suppress(SystemExit):
        main(words)
print([name for name in ("torch", "transformers", "datasets", "scipy", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code, str(least_recipe)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "whet:tiny: 0.95 M parameters" in done.stdout
