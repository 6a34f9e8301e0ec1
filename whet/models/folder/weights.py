"""The weights behind a model's name as files: which they are, their digest, and the type of their numbers."""

import hashlib
from collections import Counter
from pathlib import Path

from whet.core.digests import file_digest
from whet.core.errors import ModelError
from whet.core.files import read_json
from whet.models.folder.found import local_folder
from whet.models.folder.safetensors_header import read_header

__all__ = ["stored_dtype", "weight_files", "weights_digest"]


def weight_files(name: str) -> list[Path]:
    """The safetensors files that `from_pretrained` reads, sorted; of a hub id the ones in the local cache."""
    folder = local_folder(name)
    if folder is None:
        raise ModelError(f"model {name!r} is not in the local cache of the hub")
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    files = sorted(folder.glob("*.safetensors"))
    if index.is_file():
        files = [folder / file for file in sorted(set(read_json(index)["weight_map"].values()))]
    if not files or not all(file.is_file() for file in files):
        raise ModelError(f"model {name!r}: {folder} does not hold all of its safetensors files")
    return files


def weights_digest(name: str) -> str:
    """SHA-256 of the weights as hex: of one file what `sha256sum` says, of several that of a list of theirs."""
    digests = [(file_digest(file), file.name) for file in weight_files(name)]
    if len(digests) == 1:
        return digests[0][0]
    return hashlib.sha256("".join(f"{digest}  {file}\n" for digest, file in digests).encode()).hexdigest()


def stored_dtype(name: str) -> str:
    """The type that most of the stored numbers have, as safetensors spells it: `F32`, `BF16`, `F16`, ..."""
    sizes: Counter[str] = Counter()
    for file in weight_files(name):
        for entry in read_header(file).values():
            sizes[entry.dtype] += entry.end - entry.begin
    return sizes.most_common(1)[0][0]
