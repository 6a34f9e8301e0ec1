"""A reward model: the language model's body with one scalar per sequence instead of the next token."""

from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from whet.core.errors import ModelError
from whet.models.load import LoadedModel

__all__ = ["reward_model_from"]


def reward_model_from(loaded: LoadedModel, *, seed: int) -> nn.Module:
    """A one-label sequence classifier that takes over the body of `loaded`; its head is new, small and seeded.

    The folder that `save_model` writes of it is read by `AutoModelForSequenceClassification` anywhere. The body is the
    same object, not a copy: train one or the other.
    """
    source: Any = loaded.model
    config = type(source.config)(**source.config.to_dict())
    config.num_labels = 1
    config.pad_token_id = loaded.tokenizer.pad_token_id
    config.tie_word_embeddings = False
    try:
        judge: Any = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    except ValueError as error:
        raise ModelError(f"model {loaded.name!r}: transformers has no sequence classifier of this kind") from error
    prefix = source.base_model_prefix
    setattr(judge, prefix, getattr(source, prefix))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weight = judge.score.weight
        weight.copy_(torch.randn(weight.shape, generator=generator) / weight.shape[1])
    module: nn.Module = judge.to(next(source.parameters()).device).eval()
    return module
