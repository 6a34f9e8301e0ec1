"""Files as the library writes them are read as the library reads them; what it refuses is refused. More broken ones
stand in tests/models/broken.py."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from whet.core.errors import ModelError
from whet.models.folder.safetensors_header import TensorEntry, read_header
from whet.models.tiny import TINY_FOLDER


def test_what_the_library_reads() -> None:
    path = TINY_FOLDER / "model.safetensors"
    entries = read_header(path)
    with safe_open(path, "pt") as file:
        assert set(entries) == set(file.keys())
        for name, entry in entries.items():
            tensor = file.get_tensor(name)
            assert (entry.dtype, entry.shape, entry.size) == ("F32", tuple(tensor.shape), tensor.numel())


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
        torch.float8_e4m3fn,
        torch.float8_e5m2,
        torch.complex64,
    ],
)
def test_every_type(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {
        "a": torch.zeros(3, 5, dtype=dtype),
        "none": torch.zeros(0, 4, dtype=dtype),
        "b": torch.zeros((), dtype=dtype),
    }
    save_file(tensors, tmp_path / "x.safetensors", {"format": "pt", "note": '{[ \\" ]}'})
    entries = read_header(tmp_path / "x.safetensors")
    assert {name: entry.shape for name, entry in entries.items()} == {"a": (3, 5), "none": (0, 4), "b": ()}
    assert (
        sum(entry.end - entry.begin for entry in entries.values()) == 16 * torch.zeros((), dtype=dtype).element_size()
    )


def written(path: Path, header: bytes, data: bytes) -> Path:
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def test_four_bits_a_number(tmp_path: Path) -> None:
    header = b'{"a": {"dtype": "F4", "shape": [3, 2], "data_offsets": [0, 3]}}'
    entry = read_header(written(tmp_path / "x.safetensors", header, bytes(3)))["a"]
    assert entry == TensorEntry(dtype="F4", shape=(3, 2), begin=0, end=3)


@given(st.integers(0, 2**32), st.sampled_from(["flip", "cut", "shuffle"]))
def test_the_library_takes_the_same(tmp_path_factory: pytest.TempPathFactory, seed: int, how: str) -> None:
    """Random damage to a small file."""
    random = np.random.default_rng(seed)
    header = json.dumps(
        {
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
        }
    ).encode()
    data = bytearray(len(header).to_bytes(8, "little") + header + bytes(32))
    if how == "flip":
        data[random.integers(8 + len(header))] ^= 1 << random.integers(8)
    elif how == "cut":
        del data[random.integers(len(data)) :]
    else:
        one, two = random.integers(8, 8 + len(header), size=2)
        data[one], data[two] = data[two], data[one]
    path = tmp_path_factory.mktemp("damage") / "x.safetensors"
    path.write_bytes(data)
    ours, theirs = names_by(lambda: read_header(path)), names_by(lambda: keys_of(path))
    assert ours == theirs


def keys_of(path: Path) -> list[str]:
    with safe_open(path, "pt") as file:
        return list(file.keys())


def names_by(read: Callable[[], Iterable[str]]) -> set[str] | None:
    """The names of the tensors, None when the file is refused."""
    try:
        return set(read())
    except (ModelError, SafetensorError):
        return None


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"x\.safetensors: cannot be read \(No such file"):
        read_header(tmp_path / "x.safetensors")
