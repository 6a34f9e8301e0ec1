from pathlib import Path

import pytest

from whet.core.recipe import (
    DataSettings,
    EvaluateSettings,
    Recipe,
    RewardModelSettings,
    RewardSettings,
    RlSettings,
    SftSettings,
)
from whet.models.tiny import TINY_FOLDER
from whet.preflight.reads import Reads, reads_of, start_of

MODEL = {f"model:{name}" for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")}


def test_a_whole_road() -> None:
    rewards = (RewardSettings(name="answer"), RewardSettings(name="reward_model"))
    recipe = Recipe(
        sft=SftSettings(),
        reward_model=RewardModelSettings(),
        rl=RlSettings(rewards=rewards),
        evaluate=EvaluateSettings(),
    )
    found = {stage: reads_of(stage, recipe, None) for stage in recipe.stages()}
    assert found["data"] == found["report"] == Reads()
    manifest = "data/manifest.json"
    assert found["sft"].inside == (manifest, "data/ft_train.parquet", "data/ft_validation.parquet")
    assert found["reward_model"].inside == (manifest, "data/rm_train.parquet", "sft/model/")
    assert found["rl"].inside == (manifest, "data/rl_train.parquet", "sft/model/", "reward_model/model/")
    assert found["evaluation"].inside[5:] == ("sft/model/", "rl/model/", "reward_model/model/")
    assert {stage for stage, reads in found.items() if set(reads.outside) == MODEL} == {"sft", "evaluation"}
    assert found["sft"].outside["model:config.json"] == TINY_FOLDER / "config.json"


@pytest.mark.parametrize(
    ("recipe", "stage", "start"),
    [
        (Recipe(rl=RlSettings()), "rl", None),
        (Recipe(sft=SftSettings(), rl=RlSettings()), "rl", "sft"),
        (Recipe(sft=SftSettings(), rl=RlSettings()), "sft", None),
        (Recipe(sft=SftSettings(), reward_model=RewardModelSettings(start_from="base")), "reward_model", None),
        (Recipe(reward_model=RewardModelSettings()), "reward_model", None),
    ],
)
def test_where_a_stage_starts(recipe: Recipe, stage: str, start: str | None) -> None:
    assert start_of(stage, recipe) == start
    reads = reads_of(stage, recipe, None)
    assert ("model:model.safetensors" in reads.outside) == (start is None)
    assert ("sft/model/" in reads.inside) == (start == "sft")


def test_reward_files_are_read_where_the_recipe_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    for path in (tmp_path / "recipes" / "mine.py", tmp_path / "far.py"):
        path.write_text("def f(completion): return 1.0")
    names = ("answer", "mine.py:f", f"{tmp_path}/far.py:f", "gone.py:f", "reward_model")
    recipe = Recipe(
        reward_model=RewardModelSettings(),
        rl=RlSettings(rewards=tuple(RewardSettings(name=name) for name in names)),
        evaluate=EvaluateSettings(reward="mine.py:f"),
    )
    outside = reads_of("rl", recipe, tmp_path / "recipes").outside
    assert {name: path for name, path in outside.items() if name not in MODEL} == {
        "reward:mine.py": tmp_path / "recipes" / "mine.py",
        "reward:far.py": tmp_path / "far.py",
    }
    assert "reward:mine.py" in reads_of("evaluation", recipe, tmp_path / "recipes").outside
    assert "reward:mine.py" not in reads_of("evaluation", recipe, None).outside


def test_the_sources_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    found = reads_of("data", Recipe(data=DataSettings(source=str(tmp_path / "rows.jsonl"))), None)
    assert found == Reads(outside={"source:rows.jsonl": tmp_path / "rows.jsonl"})


def test_a_model_that_is_nowhere_is_left_to_whoever_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("nobody/nothing", str(tmp_path / "nothing")):
        assert reads_of("sft", Recipe(model=name, sft=SftSettings()), None).outside == {}
