"""The head of a safetensors file, checked byte for byte before anything is allocated for it.

8 bytes of length, a JSON object `{name: {"dtype", "shape", "data_offsets": [begin, end]}}`, then the tensors without a
gap and without an overlap to the end of the file (https://github.com/huggingface/safetensors, "Format").
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import ModelError, first_line
from whet.core.runlog import printable

__all__ = ["TensorEntry", "read_header"]

# The format's own limit.
_LONGEST_HEADER = 100_000_000
_BITS: Mapping[str, int] = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """`TensorEntry(dtype="F32", shape=(1536, 128), begin=0, end=786432)`; begin and end are bytes behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Every tensor of the file by name; `ModelError` names the file and what is wrong with it."""
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(8)
            length = int.from_bytes(head, "little")
            if len(head) == 8 and length <= min(_LONGEST_HEADER, size - 8):
                return _checked(path, stream.read(length), size - 8 - length)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if size < 8:
        raise ModelError(f"{path}: {'empty' if size == 0 else f'only {size} bytes'}; copy the file again")
    raise ModelError(
        f"{path}: its header would be {length:,} bytes of a file of {size:,}; cut off, or no safetensors file"
    )


def _checked(path: Path, header: bytes, room: int) -> dict[str, TensorEntry]:
    try:
        value = json.loads(header, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its header is not valid JSON ({first_line(error)})") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: its header is no JSON object")
    value.pop("__metadata__", None)
    entries = {name: _entry(path, name, entry) for name, entry in value.items()}
    reached = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != reached:
            what = "overlaps the tensor before it" if entry.begin < reached else "leaves a gap before it"
            raise ModelError(f"{path}: tensor {_shown(name)} {what}; no sound file does")
        reached = entry.end
    if reached != room:
        what = "cut off" if reached > room else "longer than its header says"
        raise ModelError(f"{path}: {what}, {room:,} bytes of tensors where {reached:,} should be; copy the file again")
    return entries


def _entry(path: Path, name: str, entry: Any) -> TensorEntry:
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        sizes = [*shape, begin, end]
        is_sound = all(type(number) is int and 0 <= number < 1 << 63 for number in sizes) and isinstance(dtype, str)
    except (TypeError, KeyError, ValueError):
        is_sound = False
    if not is_sound:
        raise ModelError(f"{path}: tensor {_shown(name)} has no sound dtype, shape and data_offsets in the header")
    if dtype not in _BITS:
        raise ModelError(f"{path}: tensor {_shown(name)} is of the unknown dtype {_shown(dtype)}")
    if math.prod(shape) * _BITS[dtype] != (end - begin) * 8:
        raise ModelError(
            f"{path}: tensor {_shown(name)} of shape {shape} in {dtype} has {end - begin:,} bytes; a damaged header"
        )
    return TensorEntry(dtype=dtype, shape=tuple(shape), begin=begin, end=end)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _shown(name: str) -> str:
    return printable(repr(name), limit=80)
