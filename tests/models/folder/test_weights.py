import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from whet.core.errors import ModelError
from whet.models.folder.weights import stored_dtype, weight_files, weights_digest
from whet.models.tiny import TINY_FOLDER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_FOLDER, tmp_path / "model"))


def sharded(folder: Path, shards: dict[str, dict[str, torch.Tensor]]) -> None:
    (folder / "model.safetensors").unlink()
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
    weight_map = {key: name for name, tensors in shards.items() for key in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_one_file_has_its_own_digest(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    assert weights_digest(str(folder)) == hashlib.sha256(content).hexdigest() == weights_digest("whet:tiny")
    # another file beside it is not what `from_pretrained` reads
    shutil.copy(folder / "model.safetensors", folder / "consolidated.safetensors")
    assert [file.name for file in weight_files(str(folder))] == ["model.safetensors"]


def test_of_several_files_each_counts_and_strangers_do_not(folder: Path) -> None:
    first, second = {"a": torch.zeros(2)}, {"b": torch.ones(3)}
    sharded(folder, {"model-2.safetensors": second, "model-1.safetensors": first})
    save_file({"c": torch.ones(1)}, folder / "adapter.safetensors")
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("model-1.safetensors", "model-2.safetensors")
    ]
    before = weights_digest(str(folder))
    assert before == hashlib.sha256("".join(lines).encode()).hexdigest()
    save_file({"b": torch.full((3,), 2.0)}, folder / "model-2.safetensors")
    assert weights_digest(str(folder)) != before
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(ModelError, match="does not hold all of its safetensors files"):
        weights_digest(str(folder))


def test_the_type_that_most_numbers_are_stored_in(folder: Path) -> None:
    # 10 bfloat16 numbers are 20 bytes, 3 float32 numbers 12
    assert stored_dtype(str(folder)) == "F32"
    save_file({"a": torch.zeros(10, dtype=torch.bfloat16), "b": torch.zeros(3)}, folder / "model.safetensors")
    assert stored_dtype(str(folder)) == "BF16"
    save_file({"a": torch.zeros(10, dtype=torch.float16), "b": torch.zeros(6)}, folder / "model.safetensors")
    assert stored_dtype(str(folder)) == "F32"
