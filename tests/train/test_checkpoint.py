from pathlib import Path

import pytest
import torch
from torch import nn

from whet.core.errors import RunFolderError
from whet.train.checkpoint import Checkpoints
from whet.train.step.optimizers import adamw
from whet.train.step.update import update


def one_step(model: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
    update(
        model, optimizer, [x], lambda batch: model(batch).square(), denominator=4, learning_rate=0.1, max_grad_norm=1.0
    )


def fresh() -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, adamw(model, weight_decay=0.1)


def test_going_on_is_the_same_run_bit_for_bit(tmp_path: Path) -> None:
    straight, optimizer = fresh()
    for step in range(6):
        one_step(straight, optimizer, step)
        Checkpoints(tmp_path, keep=9).save(step + 1, straight, optimizer, {"n": step})
    for path in sorted(tmp_path.glob("step-*"))[3:]:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    resumed, optimizer = fresh()
    restored = Checkpoints(tmp_path, keep=9).restore(resumed, optimizer)
    assert restored is not None
    assert (restored.step, restored.state, restored.skipped) == (3, {"n": 2}, ())
    for step in range(3, 6):
        one_step(resumed, optimizer, step)
    assert torch.equal(resumed.weight, straight.weight)
    assert torch.equal(resumed.bias, straight.bias)


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "missing", "empty"])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path, file: str, damage: str) -> None:
    model, optimizer = fresh()
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2):
        one_step(model, optimizer, step)
        checkpoints.save(step, model, optimizer, {})
    path = tmp_path / "step-000002" / file
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[len(content) // 2] ^= (
            1 if damage == "flip" and file != "state.json" else 0x80 if damage == "flip" else 0
        )
        path.write_bytes({"cut": content[:-3], "flip": content, "empty": b""}[damage])
    restored = checkpoints.restore(*fresh())
    assert restored is not None
    assert restored.step == 1
    assert len(restored.skipped) == 1
    assert file in restored.skipped[0]


def test_when_all_are_damaged_nothing_is_thrown_away(tmp_path: Path) -> None:
    model, optimizer = fresh()
    checkpoints = Checkpoints(tmp_path, keep=3)
    one_step(model, optimizer, 0)
    checkpoints.save(1, model, optimizer, {})
    (tmp_path / "step-000001" / "model.safetensors").write_bytes(b"")
    with pytest.raises(RunFolderError, match="every checkpoint is damaged"):
        checkpoints.restore(*fresh())


def test_the_best_and_the_newest_are_kept(tmp_path: Path) -> None:
    model, optimizer = fresh()
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(1, 6):
        one_step(model, optimizer, step)
        if step == 2:
            best = model.weight.detach().clone()
        checkpoints.save(step, model, optimizer, {}, is_best=step == 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best",
        "last",
        "step-000002",
        "step-000004",
        "step-000005",
    ]
    assert (tmp_path / "last").readlink().name == "step-000005"
    assert checkpoints.load_best(model) == 2
    assert torch.equal(model.weight, best)
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".pt", ".bin", ".pkl")]


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    model, optimizer = fresh()
    one_step(model, optimizer, 0)
    Checkpoints(tmp_path, keep=1).save(1, model, optimizer, {})
    other = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(RunFolderError, match="of another model"):
        Checkpoints(tmp_path, keep=1).restore(other, adamw(other, weight_decay=0.0))
