"""The loop that SFT and the reward model share, on a scripted task: which weights are kept, what is logged, resumed."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from whet.core.errors import TrainingStoppedError
from whet.core.order import rows_of_step
from whet.core.recipe import RewardModelSettings, SftSettings
from whet.core.runlog import Progress
from whet.train import checkpoint
from whet.train.checkpoint import Best, Start
from whet.train.supervised import SupervisedSummary, require_examples, train_supervised

EXAMPLES = 7


class ScriptedTask:
    """Row r pulls the one weight towards r; validation losses, killed steps and broken steps (from 1) are scripted."""

    stage = "sft"
    examples = EXAMPLES

    def __init__(
        self,
        validation: Mapping[int, float] | None = None,
        *,
        kill: int = 0,
        broken: Sequence[int] = (),
    ) -> None:
        self.model = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.model.weight)
        self.validation, self.kill, self.broken = validation, kill, broken
        self.rows: dict[int, list[int]] = {}
        self.weights: dict[int, float] = {}
        self.step = 0

    def going_on_after(self, step: int) -> "ScriptedTask":
        self.step = step
        return self

    def micro_batches(self, rows: Sequence[int]) -> list[list[int]]:
        self.step += 1
        self.rows[self.step] = list(rows)
        if self.step == self.kill:
            raise KeyboardInterrupt
        return [list(rows[:1]), list(rows[1:])]

    def denominator(self, batches: Sequence[list[int]]) -> float:
        return float(sum(map(len, batches)))

    def losses(self, batch: list[int]) -> Tensor:
        pull = torch.tensor([float(row) for row in batch])
        return (self.model.weight - pull).square() * (math.nan if self.step in self.broken else 1.0)

    def metrics(self) -> Mapping[str, float]:
        self.weights[self.step] = float(self.model.weight.detach())
        return {"train/rows": len(self.rows[self.step])}

    def validate(self) -> float | None:
        return None if self.validation is None else self.validation[self.step]


def settings_with(**fields: object) -> SftSettings:
    return SftSettings.model_validate(
        {
            "learning_rate": 0.5,
            "lr_scheduler_type": "linear",
            "warmup_ratio": 0.4,
            "num_train_epochs": 2,
            "batch_size": 3,
            "eval_steps": 2,
            "save_steps": 100,
            "save_total_limit": 1,
            **fields,
        }
    )


def train(
    task: ScriptedTask,
    out: Path,
    settings: SftSettings | RewardModelSettings | None = None,
    said: list[str] | None = None,
) -> SupervisedSummary:
    progress = Progress(quiet=True)
    if said is not None:
        progress.say = lambda *lines: said.extend(lines)  # type: ignore[method-assign]
    start = Start(model="scripted", weights="digest")
    return train_supervised(
        task, task.model, settings or settings_with(), start=start, seed=4, out=out, progress=progress
    )


def log(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "time/step_s"} for line in lines]


def checkpoints(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "checkpoints").iterdir())


# 7 rows by 3 are 3 steps a pass, 6 in all; validated in every second step.
FALLING_AND_RISING = {2: 0.9, 4: 0.4, 6: 0.6}


def test_the_weights_of_the_lowest_validation_loss_are_kept(tmp_path: Path) -> None:
    task = ScriptedTask(FALLING_AND_RISING)
    summary = train(task, tmp_path)
    assert summary == SupervisedSummary(steps=6, skipped_steps=0, best=Best(step=4, validation_loss=0.4))
    assert float(task.model.weight.detach()) == task.weights[4] != task.weights[6]
    assert [line.get("validation/loss") for line in log(tmp_path)] == [None, 0.9, None, 0.4, None, 0.6]
    assert checkpoints(tmp_path) == ["best", "last", "step-000004", "step-000006"]


def test_the_last_step_is_validated_whatever_eval_steps_is(tmp_path: Path) -> None:
    task = ScriptedTask({4: 0.4, 6: 0.3})
    assert train(task, tmp_path, settings_with(eval_steps=4)).best == Best(step=6, validation_loss=0.3)
    assert float(task.model.weight.detach()) == task.weights[6]


def test_without_validation_rows_the_last_weights_are_kept(tmp_path: Path) -> None:
    task = ScriptedTask()
    assert train(task, tmp_path).best == Best(step=6, validation_loss=None)
    assert float(task.model.weight.detach()) == task.weights[6]
    assert "validation/loss" not in log(tmp_path)[-1]


def test_losses_that_are_not_finite_choose_no_weights(tmp_path: Path) -> None:
    assert train(ScriptedTask({2: math.nan, 4: 0.5, 6: -math.inf}), tmp_path / "some").best.step == 4
    none = train(ScriptedTask(dict.fromkeys((2, 4, 6), math.nan)), tmp_path / "none")
    assert none.best == Best(step=6, validation_loss=None)
    assert log(tmp_path / "none")[1]["nonfinite"] == ["validation/loss"]


def test_what_a_step_trains_on_and_logs(tmp_path: Path) -> None:
    task = ScriptedTask(FALLING_AND_RISING)
    train(task, tmp_path)
    assert task.rows == {step + 1: rows_of_step(step, examples=7, batch_size=3, seed=4) for step in range(6)}
    lines = log(tmp_path)
    assert [line["train/rows"] for line in lines] == [2, 2, 3, 2, 2, 3]
    assert [line["epoch"] for line in lines] == [0.3333, 0.6667, 1.0, 1.3333, 1.6667, 2.0]
    # warm-up of ceil(0.4 x 6) = 3 steps, then linear: progress 0, 1/3, 2/3
    rates = [0.5 / 3, 1 / 3, 0.5, 0.5, 1 / 3, 0.5 / 3]
    assert [line["train/learning_rate"] for line in lines] == pytest.approx(rates)
    # the mean of (0 - r)^2 over the first rows; its gradient -2 mean(r); AdamW's first step is the rate
    first = task.rows[1]
    assert lines[0]["train/loss"] == pytest.approx(sum(row**2 for row in first) / 2)
    assert lines[0]["train/grad_norm"] == pytest.approx(2 * sum(first) / 2)
    assert task.weights[1] == pytest.approx(0.5 / 3, rel=1e-5)


def test_how_many_steps_there_are(tmp_path: Path) -> None:
    assert train(ScriptedTask(), tmp_path / "a", settings_with(max_steps=4)).steps == 4
    assert train(ScriptedTask(), tmp_path / "b", settings_with(max_steps=40, num_train_epochs=3)).steps == 9
    assert train(ScriptedTask(), tmp_path / "c", settings_with(batch_size=50)).steps == 2
    # the reward model is validated nowhere, and asked once, at its end
    task = ScriptedTask({3: 1.0})
    assert train(task, tmp_path / "d", RewardModelSettings(batch_size=3, learning_rate=0.1)).best.step == 3


@pytest.mark.parametrize("step", range(1, 7))
def test_killed_in_any_step_it_ends_as_the_undisturbed_run(tmp_path: Path, step: int) -> None:
    settings = settings_with(save_steps=3)
    straight = ScriptedTask(FALLING_AND_RISING)
    expected = train(straight, tmp_path / "straight", settings)
    with pytest.raises(KeyboardInterrupt):
        train(ScriptedTask(FALLING_AND_RISING, kill=step), tmp_path / "killed", settings)
    # saved are 2 and 4 as the best so far, 3 and 6
    after = {1: 0, 2: 0, 3: 2, 4: 3, 5: 4, 6: 4}[step]
    resumed = ScriptedTask(FALLING_AND_RISING).going_on_after(after)
    said: list[str] = []
    assert train(resumed, tmp_path / "killed", settings, said) == expected
    assert said == ([f"sft: going on after step {after} of 6"] if after else [])
    assert log(tmp_path / "killed") == log(tmp_path / "straight")
    assert torch.equal(resumed.model.weight, straight.model.weight)
    assert checkpoints(tmp_path / "killed") == checkpoints(tmp_path / "straight")


@pytest.mark.parametrize("moved", [0, 1])
def test_killed_while_the_links_of_the_best_step_are_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    straight = ScriptedTask(FALLING_AND_RISING)
    expected = train(straight, tmp_path / "straight")
    links = 2 + moved  # those of step 2 are moved, of step 4 the first or none
    replace = Path.replace

    def dying(self: Path, target: Path) -> Path:
        nonlocal links
        if self.is_symlink():
            links -= 1
            if links < 0:
                raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(checkpoint.Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        train(ScriptedTask(FALLING_AND_RISING), tmp_path / "killed")
    monkeypatch.undo()
    resumed = ScriptedTask(FALLING_AND_RISING).going_on_after(4)
    assert train(resumed, tmp_path / "killed") == expected
    assert torch.equal(resumed.model.weight, straight.model.weight)


def test_a_best_that_was_damaged_meanwhile_is_passed_over_and_told(tmp_path: Path) -> None:
    class Damaging(ScriptedTask):
        def validate(self) -> float | None:
            if self.step == 6:
                (tmp_path / "checkpoints" / "step-000004" / "model.safetensors").write_bytes(b"")
            return super().validate()

    task, said = Damaging(FALLING_AND_RISING), list[str]()
    problem = "step-000004/model.safetensors is not what was written"
    summary = train(task, tmp_path, settings_with(save_total_limit=3), said)
    assert summary.best == Best(step=6, validation_loss=0.6, skipped=(problem,))
    assert float(task.model.weight.detach()) == task.weights[6]
    assert said == [f"sft: passed over {problem}"]


def test_steps_that_are_not_finite_are_skipped_counted_and_end_the_run(tmp_path: Path) -> None:
    task = ScriptedTask(FALLING_AND_RISING, broken=(2, 3, 5))
    assert train(task, tmp_path / "a").skipped_steps == 3
    assert task.weights[1] == task.weights[2] == task.weights[3] != task.weights[4] == task.weights[5]
    stopped = ScriptedTask(FALLING_AND_RISING, broken=(2, 3, 4))
    with pytest.raises(TrainingStoppedError, match="sft stopped at step 4: the loss was not finite in 3 steps"):
        train(stopped, tmp_path / "b")
    # counted over a resume: step 2 was saved as the best so far
    with pytest.raises(KeyboardInterrupt):
        train(ScriptedTask(FALLING_AND_RISING, broken=(2, 3, 4), kill=3), tmp_path / "c")
    resumed = ScriptedTask(FALLING_AND_RISING, broken=(2, 3, 4)).going_on_after(2)
    with pytest.raises(TrainingStoppedError, match="sft stopped at step 4"):
        train(resumed, tmp_path / "c")


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    class Breaking(ScriptedTask):
        def metrics(self) -> Mapping[str, float]:
            if self.step == 4:
                nn.init.constant_(self.model.weight, math.inf)
            return super().metrics()

    with pytest.raises(TrainingStoppedError, match="sft stopped at step 4: the weights of weight are not finite"):
        train(Breaking(FALLING_AND_RISING), tmp_path)
    assert checkpoints(tmp_path) == ["best", "last", "step-000002"]


def test_too_many_dropped_rows_stop_the_stage() -> None:
    # 2 of 20 are 0.1
    require_examples("sft", 18, {"too long": 2}, limit=0.1)
    with pytest.raises(TrainingStoppedError, match=r"3 of 20 rows were dropped \(1 empty, 2 too long\), more than sft"):
        require_examples("sft", 17, {"too long": 2, "empty": 1}, limit=0.1)
    require_examples("sft", 17, {"too long": 2, "empty": 1}, limit=0.15)
    with pytest.raises(TrainingStoppedError, match=r"no row is left to train on \(4 too long\)"):
        require_examples("sft", 0, {"too long": 4}, limit=1.0)
