"""Models out: folders that anyone's `from_pretrained` reads, and that stop where they were taught to."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from whet.core.files import atomic_directory, read_json, write_json
from whet.models.heads import is_classifier, pad_with
from whet.models.quietly import quiet

__all__ = ["save_model"]


def save_model(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    dtype: torch.dtype = torch.float32,
    ends: Sequence[int] = (),
) -> None:
    """Write a folder that `from_pretrained` reads, safetensors only, whole or not at all, its weights as `dtype`.

    The model itself stays as it is. Where a weight is too large for `dtype`, all are written in float32.

    `ends` are the tokens that stop it (`Template.ends`), the trained one first: config and generation config name them,
    so that it stops there in `generate` and in vLLM too. The tokenizer is written as it came, but that of a classifier
    pads with the token that its config says, on the right, where positions count from the first token.
    """
    any_model: Any = model
    weights = _cast(any_model.state_dict(), dtype)
    kept = next(value.dtype for value in weights.values() if value.is_floating_point())
    if is_classifier(model):
        tokenizer = pad_with(copy.deepcopy(tokenizer), any_model.config.pad_token_id)
    with atomic_directory(folder) as partial, quiet():
        any_model.save_pretrained(partial, state_dict=weights)
        tokenizer.save_pretrained(partial)
        # transformers writes there what the model in memory is in.
        _change(partial / "config.json", dtype=str(kept).removeprefix("torch."))
        if ends:
            _name_ends(partial, ends)


def _name_ends(folder: Path, ends: Sequence[int]) -> None:
    """In the files, not the model: transformers saves no generation config that it finds odd and that was changed."""
    for file in (folder / "config.json", folder / "generation_config.json"):
        if file.is_file():
            _change(file, eos_token_id=ends[0] if len(ends) == 1 else list(ends))


def _change(file: Path, **entries: Any) -> None:
    write_json(file, read_json(file) | entries)


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
