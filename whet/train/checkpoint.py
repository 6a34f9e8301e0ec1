"""Checkpoints that are whole or absent, hold everything the next step needs, and are never trusted unchecked.

    checkpoints/
      step-000100/   model.safetensors  optimizer.safetensors  state.json (SHA-256 of both and of itself, step, what the
                     stage started from, validation loss if there is one, what the stage keeps)
      last -> step-000100        best -> step-000075

The folders are the truth: which one is the newest or the best is read from their states, never from the two links,
which are for people and are set right whenever a stage goes on. Safetensors and JSON only: a checkpoint from a stranger
can be opened.
"""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from whet.core.errors import DataError, RunFolderError
from whet.core.files import atomic_directory, file_sha256, read_json, write_json

__all__ = ["Best", "Checkpoints", "Restored", "Start"]

_NAME = re.compile(r"step-(\d{6,})")
_FILES = ("model.safetensors", "optimizer.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a stage starts from: the model as it was named, and the SHA-256 of its weights."""

    model: str
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Where to go on: `step` updates are done; `state` is what the stage saved; `skipped` names damaged checkpoints."""

    step: int
    state: Mapping[str, Any]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The weights a stage keeps; `validation_loss` is None where nothing was validated and the newest are the best."""

    step: int
    validation_loss: float | None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saved:
    """One checkpoint folder and what its state.json says."""

    path: Path
    step: int
    validation_loss: float | None
    start_weights: str
    sha256: Mapping[str, str]
    state: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one stage's folder."""

    def __init__(self, folder: Path, *, keep: int, start: Start) -> None:
        self.folder = folder
        self.keep = keep
        self.start = start
        self.best: Best | None = None

    def is_better(self, validation_loss: float) -> bool:
        """Whether weights of this validation loss would be the best of those that were saved."""
        best = None if self.best is None else self.best.validation_loss
        return math.isfinite(validation_loss) and (best is None or validation_loss < best)

    def save(
        self,
        step: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: Mapping[str, Any],
        *,
        validation_loss: float | None = None,
    ) -> None:
        """Write the state after `step` updates, move `last` (and `best`), then drop what is older than `keep`."""
        target = self.folder / f"step-{step:06d}"
        loss = validation_loss if validation_loss is not None and math.isfinite(validation_loss) else None
        with atomic_directory(target) as partial:
            save_file(_trainable(model), partial / "model.safetensors")
            save_file(_optimizer_tensors(model, optimizer), partial / "optimizer.safetensors")
            record = {
                "step": step,
                "start_weights": self.start.weights,
                "validation_loss": loss,
                "sha256": {name: file_sha256(partial / name) for name in _FILES},
                "state": dict(state),
            }
            write_json(partial / "state.json", {**record, "seal": _seal(record)})
        if loss is not None and self.is_better(loss):
            self.best = Best(step=step, validation_loss=loss)
        self._point("last", step)
        self._point_best()
        self._drop_old(step)

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Restored | None:
        """Load the newest whole checkpoint into model and optimizer; None when there is none.

        A damaged one is passed over and named, the best one too; when all are damaged, that is an error, because
        starting again silently would throw the work away. So is one of a stage that started from other weights.
        """
        states, damaged = self._states()
        newest = self._first_whole(sorted(states, key=lambda saved: -saved.step), damaged)
        if newest is None:
            if damaged:
                raise RunFolderError(
                    f"{self.folder}: every checkpoint is damaged ({'; '.join(damaged)}); restore one from a backup, or "
                    "delete the folder to train this stage from the start"
                )
            return None
        self._require_same_start(newest)
        _load_into(model, load_file(newest.path / "model.safetensors"), newest.path)
        _load_optimizer(model, optimizer, load_file(newest.path / "optimizer.safetensors"))
        best = self._first_whole(_by_loss(saved for saved in states if saved.step <= newest.step), damaged)
        self.best = None if best is None else Best(step=best.step, validation_loss=best.validation_loss)
        self._point("last", newest.step)
        self._point_best()
        return Restored(step=newest.step, state=newest.state, skipped=tuple(damaged))

    def load_best(self, model: nn.Module) -> Best:
        """Load the weights of the lowest validation loss, without any the newest, and say which these are."""
        states, damaged = self._states()
        validated = _by_loss(states)
        others = sorted((saved for saved in states if saved.validation_loss is None), key=lambda saved: -saved.step)
        found = self._first_whole([*validated, *others], damaged)
        if found is None:
            raise RunFolderError(f"{self.folder}: no whole checkpoint ({'; '.join(damaged) or 'the stage saved none'})")
        _load_into(model, load_file(found.path / "model.safetensors"), found.path)
        self.best = Best(step=found.step, validation_loss=found.validation_loss, skipped=tuple(damaged))
        self._point_best()
        return self.best

    def _states(self) -> tuple[list[_Saved], list[str]]:
        """Every checkpoint whose state can be read, and what is wrong with the others."""
        states, damaged = [], []
        for path in sorted(self.folder.glob("step-*")):
            if _NAME.fullmatch(path.name):
                try:
                    states.append(_read_state(path))
                except DataError as error:
                    damaged.append(str(error))
        return states, damaged

    def _first_whole(self, candidates: Iterable[_Saved], damaged: list[str]) -> _Saved | None:
        """The first whose files are what was written; what is wrong with those before it is added to `damaged`."""
        for saved in candidates:
            problem = _damage(saved)
            if problem is None:
                return saved
            if problem not in damaged:
                damaged.append(problem)
        return None

    def _require_same_start(self, saved: _Saved) -> None:
        if saved.start_weights != self.start.weights:
            raise RunFolderError(
                f"{saved.path}: the stage started from weights of SHA-256 {saved.start_weights[:16]}, but those of "
                f"{self.start.model} are {self.start.weights[:16]}: they were exchanged since; put the old ones back, "
                "or choose another --run"
            )

    def _point_best(self) -> None:
        """Where nothing was validated, nothing is called the best."""
        if self.best is not None and self.best.validation_loss is not None:
            self._point("best", self.best.step)
        else:
            (self.folder / "best").unlink(missing_ok=True)

    def _point(self, name: str, step: int) -> None:
        partial = self.folder / f".{name}.partial-{os.getpid()}"
        partial.unlink(missing_ok=True)
        partial.symlink_to(f"step-{step:06d}")
        partial.replace(self.folder / name)

    def _drop_old(self, step: int) -> None:
        """Keep the best and the newest; what is beyond `step` is damaged, and replaced when the stage gets there."""
        done = [path for path in self.folder.glob("step-*") if _NAME.fullmatch(path.name) and _step_of(path) <= step]
        for path in sorted(done, key=_step_of, reverse=True)[self.keep :]:
            if self.best is None or _step_of(path) != self.best.step:
                shutil.rmtree(path)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _by_loss(states: Iterable[_Saved]) -> list[_Saved]:
    """The validated ones, best first; of equal ones the earliest."""
    validated = [(saved.validation_loss, saved.step, saved) for saved in states if saved.validation_loss is not None]
    return [saved for _, _, saved in sorted(validated, key=lambda entry: entry[:2])]


def _seal(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _read_state(path: Path) -> _Saved:
    record = read_json(path / "state.json")
    if not isinstance(record, dict) or record.pop("seal", None) != _seal(record):
        raise DataError(f"{path.name}/state.json is not what was written")
    return _Saved(path=path, **record)


def _damage(saved: _Saved) -> str | None:
    """What is wrong with the files of a checkpoint, None when they are what was written."""
    for name in _FILES:
        if not (saved.path / name).is_file():
            return f"{saved.path.name}/{name} is missing"
        if file_sha256(saved.path / name) != saved.sha256[name]:
            return f"{saved.path.name}/{name} is not what was written"
    return None


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
