"""The whole road: what it leaves, that twice is the same, and that death in any stage changes nothing."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

import whet
from whet.core.errors import RunFolderError
from whet.data.proof.check import check

WEIGHTS = ("sft/model/model.safetensors", "reward_model/model/model.safetensors", "rl/model/model.safetensors")
METRICS = ("sft/metrics.jsonl", "reward_model/metrics.jsonl", "rl/metrics.jsonl")


def timeless(path: Path) -> list[dict[str, object]]:
    """The rows of a metrics file without their times."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if not key.startswith("time/")} for row in rows]


def assert_same_run(one: Path, other: Path) -> None:
    for name in METRICS:
        assert timeless(one / name) == timeless(other / name), name
    for name in WEIGHTS:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for file in sorted((one / "rl" / "rollouts").iterdir()):
        assert file.read_bytes() == (other / "rl" / "rollouts" / file.name).read_bytes(), file.name
    assert (one / "data" / "manifest.json").read_bytes() == (other / "data" / "manifest.json").read_bytes()
    assert (one / "evaluation" / "results.json").read_bytes() == (other / "evaluation" / "results.json").read_bytes()


def test_everything_is_there(finished_run: Path) -> None:
    assert check(finished_run / "data").is_proven
    results = json.loads((finished_run / "evaluation" / "results.json").read_text())
    assert list(results["stages"]) == ["base", "sft", "rl"]
    for sets in results["stages"].values():
        assert {"in_distribution", "out_of_distribution", "final", "ft_test", "rl_test"} <= set(sets)
        for rate in sets.values():
            verdicts = ("correct", "wrong", "unparsed", "truncated", "unscorable")
            assert sum(rate[verdict] for verdict in verdicts) == rate["n"] + rate["unscorable"]
            assert rate["low"] <= rate["accuracy"] <= rate["high"]
    assert results["stages"]["base"]["final"]["correct"] == 0
    assert {(c["a"], c["b"]) for c in results["comparisons"]} == {("base", "sft"), ("sft", "rl"), ("base", "rl")}
    assert results["reward_model"]["n"] == 24
    assert not [file for file in finished_run.rglob("*") if file.suffix in (".bin", ".pt", ".pth", ".pkl")]
    text = b"".join(
        file.read_bytes() for file in finished_run.rglob("*") if file.suffix in (".json", ".jsonl", ".yaml")
    )
    assert str(finished_run.parent).encode() not in text


def test_no_training_stage_saw_an_evaluation_prompt(finished_run: Path) -> None:
    items = [json.loads(line) for line in (finished_run / "evaluation" / "items.jsonl").read_text().splitlines()]
    held_out = {item["prompt"] for item in items}
    rolled_out = {
        json.loads(line)["prompt"]
        for file in (finished_run / "rl" / "rollouts").iterdir()
        for line in file.read_text().splitlines()
    }
    assert held_out
    assert rolled_out
    assert not held_out & rolled_out


def test_a_finished_run_is_not_done_again_and_another_recipe_is_refused(finished_run: Path, least_recipe: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in finished_run.rglob("*.safetensors")}
    run = whet.run(least_recipe, run=finished_run, quiet=True)
    assert before == {file: file.stat().st_mtime_ns for file in finished_run.rglob("*.safetensors")}
    assert run.results is not None
    assert set(run.metrics) == {"sft", "reward_model", "rl"}
    assert "rewards" in run.figures
    assert "<td>rl</td>" in run._repr_html_()
    with pytest.raises(RunFolderError, match=r"sft\.learning_rate: 0\.001 in the folder, 0\.002 now"):
        whet.run(least_recipe, run=finished_run, quiet=True, sft={"learning_rate": 2e-3})


def test_a_damaged_newest_checkpoint_costs_only_its_steps(
    finished_run: Path, least_recipe: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(finished_run, tmp_path / "copy", symlinks=True))
    for name in ("rl/complete.json", "evaluation/complete.json", "evaluation/results.json", "report.html"):
        (run / name).unlink()
    shutil.rmtree(run / "rl" / "model")
    shutil.rmtree(run / "evaluation" / "items")
    weights = run / "rl" / "checkpoints" / "step-000004" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    whet.run(least_recipe, run=run, quiet=True)
    assert_same_run(finished_run, run)
    assert load_file(run / "rl" / "checkpoints" / "step-000004" / "model.safetensors")
