"""Whether a model's folder can be what it says it is, from names, heads and sizes: before any library opens a file."""

import functools
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from whet.core.digests import identity_of
from whet.core.errors import ModelError
from whet.core.runlog import printable
from whet.models.folder.bounded_json import read_bounded_json, require_shallow
from whet.models.folder.config import ModelShape, read_config, shape_of
from whet.models.folder.files import model_files
from whet.models.folder.safetensors_header import TensorEntry, read_header

__all__ = ["folder_problems", "require_sound"]

_INDEX = "model.safetensors.index.json"
_MOST_INDEX, _MOST_TOKENIZER, _MOST_OTHER = 64 << 20, 128 << 20, 16 << 20
_LARGE = ("tokenizer.json", "vocab.json")
_APART = "they do not belong together"
_Value = TypeVar("_Value")
_NUMBERED = re.compile(r"(.*?)\.(\d+)\.")


def require_sound(folder: Path) -> None:
    """`ModelError` with the first problem of the folder, and how many more there are; looked at once while it stays."""
    files = tuple((str(path), identity_of(path)) for path in model_files(folder).values() if path.is_file())
    problems = _problems_once(folder, files)
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise ModelError(problems[0] + more)


@functools.lru_cache(maxsize=64)
def _problems_once(folder: Path, files: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[str, ...]:
    return tuple(folder_problems(folder))


def folder_problems(folder: Path) -> list[str]:
    """One line for each file that no sound model's folder holds: what is wrong, and in which file.

    What lies in the folder is read within bounds; weights themselves are not. Links may lead about within the folder,
    and within the hub's cache where it is a snapshot there.
    """
    files = model_files(folder)
    problems = [problem for path in files.values() if (problem := _kind_problem(path, folder)) is not None]
    if problems:
        return problems
    found = _Found()
    config = found.tried(lambda: read_config(folder))
    tensors = found.tried(lambda: _tensors(folder, files))
    for name, path in files.items():
        if path.suffix == ".json" and name not in ("config.json", _INDEX):
            found.tried(functools.partial(_readable, path))
        elif path.suffix not in (".json", ".safetensors") and path.stat().st_size > _MOST_TOKENIZER:
            found.problems.append(f"{path}: larger than {_MOST_TOKENIZER:,} bytes; no tokenizer's file is")
    if config is not None and tensors is not None:
        found.problems += [f"{folder / 'config.json'}: {line}" for line in _too_large(config, tensors)]
    return found.problems


class _Found:
    """The problems so far."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def tried(self, read: Callable[[], _Value]) -> _Value | None:
        try:
            return read()
        except ModelError as error:
            self.problems.append(str(error))
            return None


def _kind_problem(path: Path, folder: Path) -> str | None:
    """A link that leads away or nowhere, or what is no file: reading a pipe would never end."""
    home = folder.resolve()
    home = home.parents[1] if home.parent.name == "snapshots" else home
    try:
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
    except (OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        return f"{path}: a link that leads nowhere; copy the file there"
    if not real.is_relative_to(home):
        return f"{path}: a link out of the folder; copy the file there"
    return None if stat.S_ISREG(mode) else f"{path}: no ordinary file"


def _readable(path: Path) -> None:
    """A JSON file besides config and index: an object of bounded size and depth. The large ones are not parsed here."""
    if path.name in _LARGE:
        size = path.stat().st_size
        if size > _MOST_TOKENIZER:
            raise ModelError(f"{path}: larger than {_MOST_TOKENIZER:,} bytes; no tokenizer's file is")
        content = path.read_bytes()
        require_shallow(path, content)
        if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            raise ModelError(f"{path}: {'empty' if size == 0 else 'no JSON object'}; copy the file again")
    elif not isinstance(read_bounded_json(path, most_bytes=_MOST_OTHER), dict):
        raise ModelError(f"{path}: no JSON object; copy the file again")


def _tensors(folder: Path, files: Mapping[str, Path]) -> dict[str, TensorEntry]:
    """Every tensor that `from_pretrained` will read, by name: of the one file, or of all that the index names."""
    if "model.safetensors" in files:
        return read_header(files["model.safetensors"])
    if _INDEX not in files:
        there = ", ".join(name for name in files if name.endswith(".safetensors"))
        raise ModelError(
            f"{folder}: no model.safetensors and no {_INDEX}, only {printable(there, limit=120)}; "
            "give the folder of a whole model"
        )
    index = read_bounded_json(files[_INDEX], most_bytes=_MOST_INDEX)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise ModelError(f"{files[_INDEX]}: has no weight_map from tensors to files")
    tensors: dict[str, TensorEntry] = {}
    for name in sorted(set(places.values())):
        if name not in files or "/" in name or not name.endswith(".safetensors"):
            raise ModelError(
                f"{files[_INDEX]}: names {printable(repr(name), limit=80)}, no safetensors file of {folder}"
            )
        tensors |= read_header(files[name])
    missing = sorted(places.keys() - tensors.keys())
    if missing:
        raise ModelError(
            f"{files[_INDEX]}: {len(missing)} tensors are not where it says, as {printable(missing[0], limit=80)}"
        )
    return tensors


def _too_large(config: Mapping[str, Any], tensors: Mapping[str, TensorEntry]) -> Iterator[str]:
    """Where a model would be built that is far larger than the weights; what is merely wrong is found when loading."""
    shape, layers = shape_of(config), _layers(tensors)
    if layers and shape.num_hidden_layers and shape.num_hidden_layers > 4 * layers:
        yield f"asks for {shape.num_hidden_layers:,} layers, but the weights hold {layers:,}; {_APART}"
        return
    least, held = _least_parameters(shape), sum(entry.size for entry in tensors.values())
    if "quantization_config" not in config and least > 2 * held:
        yield f"asks for at least {least:,} parameters, but the weights hold {held:,}; {_APART}"


def _layers(tensors: Mapping[str, TensorEntry]) -> int:
    """The longest row of numbered blocks: `model.layers.0.`, `model.layers.1.`, ..."""
    numbers: dict[str, set[str]] = {}
    for name in tensors:
        if (found := _NUMBERED.match(name)) is not None:
            numbers.setdefault(found[1], set()).add(found[2])
    return max(map(len, numbers.values()), default=0)


def _least_parameters(shape: ModelShape) -> int:
    """What any transformer of this shape has: its embeddings, and per layer two vectors of the width."""
    width = shape.hidden_size or 0
    return width * ((shape.vocab_size or 0) + 2 * (shape.num_hidden_layers or 0))
