"""Whatever happens to a file of a finished stage, the next start names it, or ends as it would have without."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import parquet

import whet
from whet import pipeline
from whet.core.errors import RunFolderError, WhetError
from whet.core.files import file_sha256
from whet.core.stage_record import StageRecord
from whet.models.tiny import TINY_FOLDER

STAGES = ("data", "sft", "reward_model", "rl", "evaluation")


@pytest.fixture(scope="module")
def run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path_factory.mktemp("integrity") / "run", symlinks=True))


def damages(content: bytes) -> Iterator[bytes | None]:
    """One bit flipped in the middle and at the end, cut in half, empty, gone."""
    for place in {len(content) // 2, len(content) - 1} if content else ():
        yield content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    yield from (content[: len(content) // 2], b"", None) if content else (b"x", None)


def files_of(run: Path, stage: str) -> list[Path]:
    return sorted(path for path in (run / stage).rglob("*") if path.is_file() and not path.is_symlink())


def damage(path: Path, damaged: bytes | None) -> None:
    path.unlink() if damaged is None else path.write_bytes(damaged)


def outcome(recipe: Path, run: Path) -> str | None:
    """What a start of the finished run says, None when it goes through."""
    try:
        whet.run(recipe, run=run, quiet=True)
    except WhetError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kinds", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_each_file_of_a_finished_stage_is_refused_by_name(run: Path, least_recipe: Path, kinds: int) -> None:
    """All that a stage wrote, each damaged in one way or in all; what of a finished one is not read is another test."""
    for stage in STAGES:
        files = [path for path in files_of(run, stage) if not {"checkpoints", "inputs.json"} & set(path.parts)]
        assert len(files) > 3
        for place, path in enumerate(files):
            content = path.read_bytes()
            ways = list(damages(content))
            for damaged in [ways[(place + kind) % len(ways)] for kind in range(kinds)]:
                if path.name == "complete.json" and damaged is None:
                    continue  # then the stage is not finished
                damage(path, damaged)
                said = outcome(least_recipe, run)
                path.write_bytes(content)
                assert said is not None, path
                assert f"{path}" in said, said
    assert outcome(least_recipe, run) is None


def test_what_nobody_reads_changes_nothing(run: Path, least_recipe: Path) -> None:
    for stage in STAGES:
        files = [path for path in files_of(run, stage) if {"checkpoints", "inputs.json"} & set(path.parts)]
        before = {path: path.read_bytes() for path in files_of(run, stage)}
        for path in files:
            damage(path, next(damages(before[path])))
        assert outcome(least_recipe, run) is None
        for path in files:
            path.write_bytes(before[path])
        assert before == {path: path.read_bytes() for path in files_of(run, stage)}


def test_a_stage_that_lost_its_mark_is_done_again_to_the_same_bytes(run: Path, least_recipe: Path) -> None:
    before = {stage: json.loads((run / stage / "complete.json").read_text()) for stage in STAGES}
    for stage in STAGES:
        (run / stage / "complete.json").unlink()
        assert outcome(least_recipe, run) is None
        after = json.loads((run / stage / "complete.json").read_text())
        assert after["inputs"] == before[stage]["inputs"]
        assert after["outputs"] == before[stage]["outputs"]


def test_a_stage_made_again_with_other_weights_is_not_passed_on(run: Path, least_recipe: Path, tmp_path: Path) -> None:
    """sft trained once more from another base model would not be what rl began with: refused by what to delete."""
    own = Path(shutil.copytree(run, tmp_path / "run", symlinks=True))
    config = own / "sft" / "model" / "config.json"
    config.write_text(config.read_text() + "\n")
    StageRecord(own, "sft").finish({"steps": 4})
    said = outcome(least_recipe, own)
    assert said is not None
    assert said.splitlines() == [
        f"{config} is not the one that {stage} was made from; delete {own / stage} to make {stage} again"
        for stage in ("reward_model",)
    ]


def test_an_unfinished_stage_goes_on_only_from_what_it_began_with(
    run: Path, least_recipe: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(TINY_FOLDER, tmp_path / "base"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**yaml.safe_load(least_recipe.read_text()), "model": str(base)}))
    own = tmp_path / "own"
    whet.sft(recipe, run=own, quiet=True)
    inputs = json.loads((own / "sft" / "complete.json").read_text())["inputs"]
    assert inputs["model:model.safetensors"] == file_sha256(base / "model.safetensors")
    assert not [name for name in inputs if str(tmp_path) in name]
    weights = (base / "model.safetensors").read_bytes()
    flipped = weights[:-1] + bytes([weights[-1] ^ 1])
    (base / "model.safetensors").write_bytes(flipped)
    for is_finished in (True, False):
        if not is_finished:
            (own / "sft" / "complete.json").unlink()
        how = "was made from" if is_finished else "began with"
        with pytest.raises(RunFolderError) as caught:
            whet.sft(recipe, run=own, quiet=True)
        assert str(caught.value) == (
            f"model.safetensors, of the base model is not the one that sft {how}; put the former one back, choose "
            f"another --run, or delete {own}/sft to make sft again"
        )
    (base / "model.safetensors").write_bytes(weights)
    whet.sft(recipe, run=own, quiet=True)
    shutil.rmtree(base)  # a stage that is done needs it no more


def test_a_model_of_the_hub_is_a_folder_like_any_other(least_recipe: Path, tmp_path: Path, hub_cache: Path) -> None:
    """Its newest snapshot is what counts: one that came since is not the model that the run began with."""
    own = tmp_path / "own"
    whet.sft(least_recipe, run=own, quiet=True, model="owner/name")
    done = json.loads((own / "sft" / "complete.json").read_text())
    assert done["inputs"]["model:model.safetensors"] == file_sha256(TINY_FOLDER / "model.safetensors")
    newer = Path(shutil.copytree(hub_cache / "snapshots" / ("a" * 40), hub_cache / "snapshots" / ("b" * 40)))
    (newer / "config.json").write_text((newer / "config.json").read_text() + "\n")
    (hub_cache / "refs" / "main").write_text("b" * 40)
    with pytest.raises(RunFolderError, match=r"^config\.json, of the base model is not the one that sft was made from"):
        whet.sft(least_recipe, run=own, quiet=True, model="owner/name")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, set[Path]]]:
    """Stage -> the files that it opens for reading, watched from inside."""
    found: dict[str, set[Path]] = {stage: set() for stage in (*STAGES, "report")}
    now: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if now and event == "open" and isinstance(arguments[0], str) and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            found[now[-1]].add(Path(arguments[0]).resolve())

    def table(path: Path, *more: Any) -> Any:
        if now:
            found[now[-1]].add(Path(path).resolve())
        return parquet_file(path, *more)

    def steps(road: Any, *arguments: Any) -> None:
        real_init(road, *arguments)
        road.steps = {stage: during(stage, step) for stage, step in road.steps.items()}

    def during(stage: str, step: Any) -> Any:
        def call() -> Any:
            now.append(stage)
            try:
                return step()
            finally:
                now.clear()

        return call

    real_init, parquet_file = pipeline._Road.__init__, parquet.ParquetFile
    monkeypatch.setattr(pipeline._Road, "__init__", steps)
    monkeypatch.setattr(parquet, "ParquetFile", table)
    sys.addaudithook(watch)  # for good, but it hears nothing outside a stage
    yield found
    now.clear()


def test_everything_that_a_stage_opens_is_among_its_inputs(
    least_recipe: Path, tmp_path: Path, opened: dict[str, set[Path]]
) -> None:
    run = (tmp_path / "run").resolve()
    whet.run(least_recipe, run=run, quiet=True)
    for stage in STAGES[1:]:
        inputs = set(json.loads((run / stage / "complete.json").read_text())["inputs"])
        names = {path.relative_to(run).as_posix() for path in opened[stage] if path.is_relative_to(run)}
        others = {name for name in names if (run / name).is_file() and not name.startswith(f"{stage}/")}
        assert others
        assert others <= inputs, stage
        assert any(name.endswith(".parquet") for name in others)
        # Their weights are opened where nobody can watch; the folders are known by the configs beside them.
        folders = {name.removesuffix("config.json") for name in others if name.endswith("/model/config.json")}
        assert {f"{folder}model.safetensors" for folder in folders} <= inputs
        base = any(path.is_relative_to(TINY_FOLDER) for path in opened[stage])
        assert base == ("model:model.safetensors" in inputs)
