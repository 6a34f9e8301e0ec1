"""Models out: folders that anyone's `from_pretrained` reads."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

from whet.core.files import atomic_directory
from whet.models.quietly import quiet

__all__ = ["save_model"]


def save_model(model: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a folder that `from_pretrained` reads, safetensors only, whole or not at all."""
    with atomic_directory(folder) as partial, quiet():
        any_model: Any = model
        any_model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
