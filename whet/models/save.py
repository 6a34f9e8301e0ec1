"""Models out: folders that anyone's `from_pretrained` reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from whet.core.files import atomic_directory, read_json, write_json
from whet.models.quietly import quiet

__all__ = ["save_model"]


def save_model(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path, *, dtype: torch.dtype = torch.float32
) -> None:
    """Write a folder that `from_pretrained` reads, safetensors only, whole or not at all, its weights as `dtype`.

    The model itself stays as it is. Where a weight is too large for `dtype`, all are written in float32.
    """
    any_model: Any = model
    weights = _cast(any_model.state_dict(), dtype)
    kept = next(value.dtype for value in weights.values() if value.is_floating_point())
    with atomic_directory(folder) as partial, quiet():
        any_model.save_pretrained(partial, state_dict=weights)
        tokenizer.save_pretrained(partial)
        # transformers writes there what the model in memory is in.
        config = read_json(partial / "config.json")
        write_json(partial / "config.json", config | {"dtype": str(kept).removeprefix("torch.")})


def _cast(weights: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The floating tensors as `dtype`, all as they are when one does not fit; tied tensors stay tied."""
    cast: dict[tuple[int, torch.Size], Tensor] = {}
    for value in weights.values():
        key = (value.data_ptr(), value.shape)
        if value.is_floating_point() and key not in cast:
            cast[key] = value.detach().to(dtype)
    if not all(bool(torch.isfinite(value).all()) for value in cast.values()):
        return dict(weights)
    return {name: cast.get((value.data_ptr(), value.shape), value) for name, value in weights.items()}
