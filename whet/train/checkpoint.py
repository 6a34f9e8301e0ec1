"""Checkpoints that are whole or absent, hold everything the next step needs, and are never trusted unchecked.

    checkpoints/
      step-000100/   model.safetensors  optimizer.safetensors  state.json (SHA-256 of both, step, what the stage keeps)
      last -> step-000100        best -> step-000075

Safetensors and JSON only: a checkpoint from a stranger can be opened.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from whet.core.errors import DataError, RunFolderError
from whet.core.files import atomic_directory, file_sha256, read_json, write_json

__all__ = ["Checkpoints", "Restored"]

_NAME = re.compile(r"step-(\d{6,})")
_FILES = ("model.safetensors", "optimizer.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Where to go on: `step` updates are done; `state` is what the stage saved; `skipped` names damaged checkpoints."""

    step: int
    state: Mapping[str, Any]
    skipped: tuple[str, ...]


class Checkpoints:
    """The checkpoints of one stage's folder."""

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder = folder
        self.keep = keep

    def save(
        self,
        step: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: Mapping[str, Any],
        *,
        is_best: bool = False,
    ) -> None:
        """Write the state after `step` updates, move `last` (and `best`), then drop what is older than `keep`."""
        target = self.folder / f"step-{step:06d}"
        with atomic_directory(target) as partial:
            save_file(_trainable(model), partial / "model.safetensors")
            save_file(_optimizer_tensors(model, optimizer), partial / "optimizer.safetensors")
            digests = {name: file_sha256(partial / name) for name in _FILES}
            write_json(partial / "state.json", {"step": step, "sha256": digests, "state": dict(state)})
        self._point("last", target.name)
        if is_best:
            self._point("best", target.name)
        self._drop_old()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Restored | None:
        """Load the newest whole checkpoint into model and optimizer; None when there is none.

        A damaged one is passed over and named; when all are damaged, that is an error, because starting again silently
        would throw the work away.
        """
        skipped: list[str] = []
        for path in self._steps():
            try:
                saved = _verified(path)
            except DataError as error:
                skipped.append(str(error))
                continue
            _load_into(model, load_file(path / "model.safetensors"), path)
            _load_optimizer(model, optimizer, load_file(path / "optimizer.safetensors"))
            return Restored(step=saved["step"], state=saved["state"], skipped=tuple(skipped))
        if skipped:
            raise RunFolderError(
                f"{self.folder}: every checkpoint is damaged ({'; '.join(skipped)}); restore one from a backup, or "
                "delete the folder to train this stage from the start"
            )
        return None

    def load_best(self, model: nn.Module) -> int:
        """Load the weights that `best` points to (else `last`) and return their step."""
        for name in ("best", "last"):
            path = self.folder / name
            if path.exists():
                saved = _verified(path)
                _load_into(model, load_file(path / "model.safetensors"), path)
                return int(saved["step"])
        raise RunFolderError(f"{self.folder}: no checkpoint; the stage saved none")

    def _steps(self) -> list[Path]:
        """Newest first."""
        found = [path for path in self.folder.glob("step-*") if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.name.removeprefix("step-")), reverse=True)

    def _point(self, name: str, target: str) -> None:
        partial = self.folder / f".{name}.partial-{os.getpid()}"
        partial.unlink(missing_ok=True)
        partial.symlink_to(target)
        partial.replace(self.folder / name)

    def _drop_old(self) -> None:
        best = self.folder / "best"
        kept = best.readlink().name if best.is_symlink() else None
        for path in self._steps()[self.keep :]:
            if path.name != kept:
                shutil.rmtree(path)


def _verified(path: Path) -> dict[str, Any]:
    saved = read_json(path / "state.json")
    for name in _FILES:
        if not (path / name).is_file():
            raise DataError(f"{path.name}/{name} is missing")
        if file_sha256(path / name) != saved["sha256"][name]:
            raise DataError(f"{path.name}/{name} is not what was written")
    return dict(saved)


def _trainable(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().contiguous() for name, value in model.named_parameters() if value.requires_grad}


def _load_into(model: nn.Module, saved: Mapping[str, Tensor], path: Path) -> None:
    parameters = dict(model.named_parameters())
    expected = {name for name, value in parameters.items() if value.requires_grad}
    if expected != set(saved):
        raise RunFolderError(
            f"{path}: its weights are of another model ({len(saved)} tensors, {len(expected)} expected)"
        )
    with torch.no_grad():
        for name, value in saved.items():
            parameters[name].copy_(value)


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    tensors = {}
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            tensors[f"{names[parameter]}:{key}"] = torch.as_tensor(value).detach().contiguous()
    return tensors


def _load_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for full_name, value in saved.items():
        name, key = full_name.rsplit(":", 1)
        device = parameters[name].device if key != "step" or parameters[name].is_cuda else torch.device("cpu")
        optimizer.state[parameters[name]][key] = value.to(device)
