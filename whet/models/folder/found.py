"""From a model's name to the folder or hub id behind it."""

from collections.abc import Mapping
from pathlib import Path

from whet.core.errors import ModelError, first_line
from whet.models.folder.files import ENDINGS

__all__ = ["EMBEDDED", "fetched_config", "fetched_folder", "local_folder", "resolve_model"]

EMBEDDED: Mapping[str, Path] = {"whet:tiny": Path(__file__).parents[1] / "tiny_weights"}
_READ_OF_A_HUB = [f"*{ending}" for ending in ENDINGS]
# Other forms of the same weights, and what lies in folders: templates there are `.jinja`.
_NOT_OF_A_HUB = ["consolidated*", *(f"*/*{ending}" for ending in ENDINGS if ending != ".jinja")]


def resolve_model(name: str) -> str:
    """The folder or hub id behind a name; a name that looks like a path must exist."""
    if name in EMBEDDED:
        return str(EMBEDDED[name])
    if name.startswith("whet:"):
        raise ModelError(f"model {name!r} is not embedded; known: {', '.join(sorted(EMBEDDED))}")
    path = Path(name)
    if path.is_dir():
        return _checked_folder(path)
    if path.exists():
        raise ModelError(f"model {name!r} is a file; give the folder that holds config.json and model.safetensors")
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(f"model {name!r}: no such folder, and not a hub id of the form owner/name")
    return name


def _checked_folder(path: Path) -> str:
    if not (path / "config.json").is_file():
        raise ModelError(f"{path}: no config.json; give the folder that holds the model's config.json and safetensors")
    if not any(path.glob("*.safetensors")):
        pickled = [file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for file in path.glob(pattern)]
        found = f"only {', '.join(sorted(pickled))}, which can run code when loaded" if pickled else "no weights at all"
        raise ModelError(f"{path}: {found}; whet reads safetensors only, convert the model first")
    names = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
    if not any((path / name).is_file() for name in names):
        raise ModelError(f"{path}: no tokenizer ({', '.join(names)}); copy the tokenizer files of this model into it")
    return str(path)


def local_folder(name: str) -> Path | None:
    """The folder that a name stands for; of a hub id its newest snapshot in the cache, None when there is none."""
    source = resolve_model(name)
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return _snapshot(source, local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def fetched_folder(name: str) -> Path:
    """The folder that a name stands for; what the hub has of it and `from_pretrained` reads is fetched first."""
    source = resolve_model(name)
    if Path(source).is_dir():
        return Path(source)
    try:
        return _snapshot(source, local_files_only=False)
    except Exception as error:  # the hub's own errors, the network's, the disk's
        raise ModelError(f"model {name!r} cannot be fetched from the hub ({first_line(error)})") from error


def fetched_config(hub_id: str) -> Path:
    """The `config.json` of a model of the hub, which is fetched alone."""
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(hub_id, "config.json"))
    except Exception as error:  # the hub's own errors, the network's, the disk's
        raise ModelError(f"model {hub_id!r}: no config.json of it at the hub ({first_line(error)})") from error


def _snapshot(hub_id: str, *, local_files_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            hub_id, local_files_only=local_files_only, allow_patterns=_READ_OF_A_HUB, ignore_patterns=_NOT_OF_A_HUB
        )
    )
