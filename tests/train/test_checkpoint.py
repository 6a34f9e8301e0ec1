"""Checkpoints on a layer of three inputs: whole or absent, the best by its own record, damage told."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from whet.core.errors import RunFolderError
from whet.train.checkpoint import Checkpoints, Start
from whet.train.step.optimizers import adamw
from whet.train.step.update import update

START = "a" * 64


def one_step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
    update(
        model, optimizer, [x], lambda batch: model(batch).square(), denominator=4, learning_rate=0.1, max_grad_norm=1.0
    )


def fresh() -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, adamw(model, weight_decay=0.1)


def checkpoints_in(folder: Path, *, keep: int = 9, start_weights: str = START) -> Checkpoints:
    return Checkpoints(folder, keep=keep, start=Start(model="models/mine", weights=start_weights))


def saved(folder: Path, losses: dict[int, float | None], *, keep: int = 9) -> dict[int, torch.Tensor]:
    """Checkpoints of these steps with their validation losses; the weights of each step."""
    model, optimizer = fresh()
    checkpoints, weights = checkpoints_in(folder, keep=keep), {}
    for step, loss in losses.items():
        one_step(model, optimizer, step)
        checkpoints.save(step, model, optimizer, {}, validation_loss=loss)
        weights[step] = model.weight.detach().clone()
    return weights


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def damage(folder: Path, step: int, file: str = "model.safetensors") -> None:
    path = folder / f"step-{step:06d}" / file
    path.write_bytes(path.read_bytes()[:-3])


def test_going_on_is_the_same_run_bit_for_bit(tmp_path: Path) -> None:
    straight, optimizer = fresh()
    for step in range(6):
        one_step(straight, optimizer, step)
        checkpoints_in(tmp_path).save(step + 1, straight, optimizer, {"n": step})
    for path in sorted(tmp_path.glob("step-*"))[3:]:
        shutil.rmtree(path)
    resumed, optimizer = fresh()
    restored = checkpoints_in(tmp_path).restore(resumed, optimizer)
    assert restored is not None
    assert (restored.step, restored.state, restored.skipped) == (3, {"n": 2}, ())
    for step in range(3, 6):
        one_step(resumed, optimizer, step)
    assert torch.equal(resumed.weight, straight.weight)
    assert torch.equal(resumed.bias, straight.bias)


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("how", ["cut", "flip", "missing", "empty"])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path, file: str, how: str) -> None:
    weights = saved(tmp_path, {1: None, 2: None})
    path = tmp_path / "step-000002" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": path.read_bytes()[:-3], "flip": bytes(content), "empty": b""}[how])
    model, optimizer = fresh()
    restored = checkpoints_in(tmp_path).restore(model, optimizer)
    assert restored is not None
    assert restored.step == 1
    assert torch.equal(model.weight, weights[1])
    assert len(restored.skipped) == 1
    assert file in restored.skipped[0]
    assert (tmp_path / "last").readlink().name == "step-000001"


@pytest.mark.parametrize(
    ("key", "value"), [("step", 3), ("validation_loss", 0.1), ("start_weights", "b"), ("state", {"n": 1}), ("more", 1)]
)
def test_a_state_that_was_edited_is_damaged(tmp_path: Path, key: str, value: object) -> None:
    saved(tmp_path, {1: 0.5, 2: 0.7})
    path = tmp_path / "step-000002" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    restored = checkpoints_in(tmp_path).restore(*fresh())
    assert restored is not None
    assert (restored.step, restored.skipped) == (1, ("step-000002/state.json is not what was written",))


def test_when_all_are_damaged_nothing_is_thrown_away(tmp_path: Path) -> None:
    saved(tmp_path, {1: None})
    damage(tmp_path, 1)
    with pytest.raises(RunFolderError, match="every checkpoint is damaged"):
        checkpoints_in(tmp_path).restore(*fresh())
    with pytest.raises(RunFolderError, match=r"no whole checkpoint \(step-000001/model.safetensors is not"):
        checkpoints_in(tmp_path).load_best(fresh()[0])


def test_where_nothing_was_saved_nothing_is_restored(tmp_path: Path) -> None:
    assert checkpoints_in(tmp_path / "none").restore(*fresh()) is None
    with pytest.raises(RunFolderError, match="the stage saved none"):
        checkpoints_in(tmp_path / "none").load_best(fresh()[0])


def test_the_best_and_the_newest_are_kept(tmp_path: Path) -> None:
    # losses 0.9 0.4 0.6 0.4 0.8: the best is the first 0.4, at step 2, and not the equal one behind it
    weights = saved(tmp_path, {1: 0.9, 2: 0.4, 3: 0.6, 4: 0.4, 5: 0.8}, keep=2)
    assert names(tmp_path) == ["best", "last", "step-000002", "step-000004", "step-000005"]
    assert (tmp_path / "last").readlink().name == "step-000005"
    assert (tmp_path / "best").readlink().name == "step-000002"
    model, _ = fresh()
    best = checkpoints_in(tmp_path).load_best(model)
    assert (best.step, best.validation_loss, best.skipped) == (2, 0.4, ())
    assert torch.equal(model.weight, weights[2])
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".pt", ".bin", ".pkl")]


def test_a_loss_that_is_not_finite_is_never_the_best(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path)
    assert not checkpoints.is_better(float("nan"))
    assert not checkpoints.is_better(float("-inf"))
    assert checkpoints.is_better(1e9)
    saved(tmp_path, {1: 2.0, 2: float("nan"), 3: float("-inf")})
    assert checkpoints.load_best(fresh()[0]).step == 1


def test_without_validation_the_newest_are_kept_and_nothing_is_called_the_best(tmp_path: Path) -> None:
    weights = saved(tmp_path, {1: None, 2: None, 3: None}, keep=1)
    assert names(tmp_path) == ["last", "step-000003"]
    model, _ = fresh()
    best = checkpoints_in(tmp_path).load_best(model)
    assert (best.step, best.validation_loss) == (3, None)
    assert torch.equal(model.weight, weights[3])


@pytest.mark.parametrize("links", [{"last": 2, "best": 1}, {"last": 3, "best": 1}, {"best": 2}, {}])
def test_killed_between_moving_the_links_the_best_is_still_the_best(tmp_path: Path, links: dict[str, int]) -> None:
    # step 3 is saved and the best; the links are as they were before, half moved, or gone
    weights = saved(tmp_path, {1: 0.9, 2: 0.7, 3: 0.5})
    for name in ("last", "best"):
        (tmp_path / name).unlink()
        if name in links:
            (tmp_path / name).symlink_to(f"step-{links[name]:06d}")
    model, optimizer = fresh()
    checkpoints = checkpoints_in(tmp_path)
    restored = checkpoints.restore(model, optimizer)
    assert restored is not None
    assert (restored.step, restored.skipped) == (3, ())
    assert {name: (tmp_path / name).readlink().name for name in ("last", "best")} == {
        "last": "step-000003",
        "best": "step-000003",
    }
    assert not checkpoints.is_better(0.6)
    best = checkpoints.load_best(model)
    assert (best.step, best.validation_loss) == (3, 0.5)
    assert torch.equal(model.weight, weights[3])


def test_a_damaged_best_is_passed_over_and_the_next_best_is_reported(tmp_path: Path) -> None:
    weights = saved(tmp_path, {1: 0.9, 2: 0.4, 3: 0.8, 4: 0.6, 5: None})
    damage(tmp_path, 2)
    model, _ = fresh()
    best = checkpoints_in(tmp_path).load_best(model)
    assert (best.step, best.validation_loss) == (4, 0.6)
    assert best.skipped == ("step-000002/model.safetensors is not what was written",)
    assert torch.equal(model.weight, weights[4])
    assert (tmp_path / "best").readlink().name == "step-000004"


def test_going_on_after_the_best_was_damaged_it_no_longer_has_to_be_beaten(tmp_path: Path) -> None:
    saved(tmp_path, {1: 0.9, 2: 0.4, 3: 0.8})
    damage(tmp_path, 2)
    model, optimizer = fresh()
    checkpoints = checkpoints_in(tmp_path)
    restored = checkpoints.restore(model, optimizer)
    assert restored is not None
    assert (restored.step, restored.skipped) == (3, ("step-000002/model.safetensors is not what was written",))
    assert (tmp_path / "best").readlink().name == "step-000003"
    assert checkpoints.is_better(0.7)
    checkpoints.save(4, model, optimizer, {}, validation_loss=0.7)
    assert checkpoints.load_best(model).step == 4


def test_where_every_validated_one_is_damaged_the_newest_is_kept(tmp_path: Path) -> None:
    weights = saved(tmp_path, {1: 0.4, 2: None, 3: None})
    damage(tmp_path, 1)
    model, _ = fresh()
    best = checkpoints_in(tmp_path).load_best(model)
    assert (best.step, best.validation_loss, len(best.skipped)) == (3, None, 1)
    assert torch.equal(model.weight, weights[3])
    assert not (tmp_path / "best").is_symlink()


def test_a_damaged_newest_does_not_push_out_what_is_saved_after_it(tmp_path: Path) -> None:
    # step 4 is damaged, the stage goes on from 2 and saves 3: with one checkpoint to keep, that is 3 and not 4
    saved(tmp_path, {2: None, 4: None})
    damage(tmp_path, 4)
    model, optimizer = fresh()
    checkpoints = checkpoints_in(tmp_path, keep=1)
    assert checkpoints.restore(model, optimizer) is not None
    checkpoints.save(3, model, optimizer, {})
    restored = checkpoints_in(tmp_path, keep=1).restore(*fresh())
    assert restored is not None
    assert restored.step == 3


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, {1: None})
    other = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(RunFolderError, match="of another model"):
        checkpoints_in(tmp_path).restore(other, adamw(other, weight_decay=0.0))


def test_a_stage_that_started_from_other_weights_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, {1: None})
    with pytest.raises(RunFolderError, match=f"weights of SHA-256 {'a' * 16}, but those of models/mine are {'b' * 16}"):
        checkpoints_in(tmp_path, start_weights="b" * 64).restore(*fresh())
