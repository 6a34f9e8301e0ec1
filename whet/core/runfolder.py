"""The run folder: one run per folder, held by a lock, portable, and refused when it belongs to another recipe.

runs/NAME/
  recipe.yaml  resolved.yaml  environment.json
  data/  sft/  reward_model/  rl/  evaluation/        each with complete.json once its stage is done
  report.html
"""

import fcntl
import os
import platform
import socket
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from whet.core.errors import RecipeError, RunFolderError
from whet.core.files import is_leftover, sweep_leftovers, write_json, write_text, writing
from whet.core.recipe import Recipe, Stage
from whet.core.recipe.text import read_value, read_yaml
from whet.core.runlog import printable
from whet.core.stage_record import StageRecord

__all__ = ["RunFolder", "environment", "flatten", "resolved_yaml"]

PACKAGES = ("whet", "torch", "transformers", "tokenizers", "datasets", "safetensors", "numpy", "scipy", "pydantic")
# Settings that say where a run is computed, not what it computes: they may change between two starts.
_WHERE = ("name", "device")


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted keys: `{"sft": {"seed": 1}}` -> `{"sft.seed": 1}`."""
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            flat |= flatten(inner, f"{prefix}{key}.")
        else:
            flat[prefix + key] = inner
    return flat


class RunFolder:
    """An open run folder; use it as a context manager, so that the lock is let go. Death lets it go too."""

    def __init__(self, path: Path, recipe: Recipe, *, origins: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.recipe = recipe
        self._make()
        self._lock = self._take_lock()
        try:
            sweep_leftovers(path)
            self._claim(origins or {})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._lock)

    def folder(self, stage: Stage) -> Path:
        """The stage's own folder, made if need be."""
        path = self.path / stage
        path.mkdir(exist_ok=True)
        return path

    def record(self, stage: Stage) -> StageRecord:
        """What the stage read and wrote."""
        return StageRecord(self.path, stage)

    def stage_complete(self, stage: Stage) -> dict[str, Any] | None:
        """What the stage left when it was done, None while it is not."""
        return self.record(stage).complete()

    def _make(self) -> None:
        """The folder itself; one that holds other things than a run's first files is left as it is, without a lock."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            names = {file.name for file in self.path.iterdir()}
        except OSError as error:
            raise RunFolderError(
                f"{self.path}: cannot make the run folder ({error.strerror}); choose another --run"
            ) from error
        strangers = sorted(name for name in names - {".lock"} if not is_leftover(name))
        if strangers and "resolved.yaml" not in names:
            raise RunFolderError(
                f"{self.path}: not empty ({', '.join(strangers[:3])}) and not a run folder; choose another --run"
            )

    def _take_lock(self) -> int:
        try:
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise RunFolderError(
                f"{self.path}: cannot be written to ({error.strerror}); choose another --run"
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise RunFolderError(f"{self.path}: in use by {holder}; wait for it, or choose another --run") from None
        except OSError as error:
            os.close(handle)
            raise RunFolderError(
                f"{self.path}: this file system has no locks ({error.strerror}); choose a --run on another"
            ) from error
        with writing(self.path / ".lock"):
            os.truncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return handle

    def _has_work(self) -> bool:
        """Whether any stage has something worth keeping; a run that failed before may be given a mended recipe."""
        return any(self.path.glob("*/complete.json")) or any(self.path.glob("*/checkpoints/step-*"))

    def _claim(self, origins: Mapping[str, str]) -> None:
        resolved = self.path / "resolved.yaml"
        now = self.recipe.model_dump(mode="json")
        if resolved.exists() and self._has_work():
            before = _settings_of(resolved)
            differing = list(_differences(before, now))
            if differing:
                shown = "".join(f"\n  {line}" for line in differing)
                raise RunFolderError(
                    f"{self.path}: made by another recipe; choose another --run, or delete the folder. "
                    f"What differs:{shown}"
                )
            return
        # First what tells whose folder it is: killed behind any of these lines, the same command goes on.
        write_text(resolved, resolved_yaml(now, origins))
        asked = self.recipe.model_dump(mode="json", exclude_unset=True)
        write_text(self.path / "recipe.yaml", yaml.safe_dump(asked, sort_keys=False, allow_unicode=True))
        write_json(self.path / "environment.json", environment())


def _settings_of(resolved: Path) -> dict[str, Any]:
    try:
        return read_yaml(resolved.read_text(encoding="utf-8"), resolved.name)[0]
    except (RecipeError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{resolved}: damaged or edited ({error}), so nobody can tell whose folder it is; choose another --run"
        ) from error


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = flatten(before), flatten(now)
    for key in sorted(old.keys() | new.keys()):
        if key not in _WHERE and (key not in old or key not in new or old[key] != new[key]):
            was, becomes = (repr(flat[key]) if key in flat else "nothing" for flat in (old, new))
            yield printable(f"{key}: {was} in the folder, {becomes} now", limit=400)


def resolved_yaml(settings: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    """Every setting with where its value came from as a comment; it loads again as a recipe."""
    head = "# Every setting of this run; the comment says where a value came from (nothing: the default).\n"
    return head + "".join(_resolved_lines(settings, origins, ""))


def _resolved_lines(settings: Mapping[str, Any], origins: Mapping[str, str], above: str) -> Iterator[str]:
    indent = "  " * above.count(".")
    for name, value in settings.items():
        key = above + name
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:\n"
            yield from _resolved_lines(value, origins, f"{key}.")
        else:
            origin = printable(origins.get(key, "")).replace("\n", "\\n")
            yield f"{indent}{name}: {_on_one_line(value)}{f'  # {origin}' if origin else ''}\n"


def _on_one_line(value: Any) -> str:
    """A value as YAML without a line break, which this reader and YAML 1.1's read alike."""
    options: dict[str, Any] = {"default_flow_style": True, "width": 10**9, "sort_keys": False, "allow_unicode": True}
    text = str(yaml.safe_dump(value, **options)).removesuffix("...\n").strip()
    if "\n" not in text and read_value(text) == value:
        return text
    return str(yaml.safe_dump(value, default_style='"', **options)).strip()


def environment() -> dict[str, Any]:
    """Versions and machine; no path, no variable, no secret."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "packages": versions,
    }
