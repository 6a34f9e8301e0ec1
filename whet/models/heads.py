"""A reward model: the language model's body with one scalar per sequence instead of the next token."""

import copy
import re
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from whet.core.errors import ModelError
from whet.models.load import LoadedModel

__all__ = ["is_classifier", "pad_with", "read_up_to", "reward_model_from"]

_NEW_PAD = "<|pad|>"
# Tokens that never end a text: held for padding, for what a tokenizer does not know, or for nothing yet.
_NEVER_LAST = tuple(re.compile(kind, re.IGNORECASE) for kind in ("pad", "unk", "reserved|unused"))


def reward_model_from(loaded: LoadedModel, *, seed: int, ends: Collection[int] = ()) -> nn.Module:
    """A one-label sequence classifier that takes over the body of `loaded`; its head is new, small and seeded.

    The folder that `save_model` writes of it gives the same scores in `AutoModelForSequenceClassification` anywhere: it
    is read at the last token that is not its pad token, so none of the tokens that end an answer (`ends`, and those of
    the model) may pad. The body is the same object, not a copy: train one or the other.
    """
    source: Any = loaded.model
    pad_id = _pad_id(loaded.tokenizer, {*ends, *loaded.eos_ids, loaded.tokenizer.eos_token_id})
    config = type(source.config)(**source.config.to_dict())
    config.num_labels = 1
    config.get_text_config().pad_token_id = config.pad_token_id = pad_id
    config.tie_word_embeddings = False
    try:
        judge: Any = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    except ValueError as error:
        raise ModelError(f"model {loaded.name!r}: transformers has no sequence classifier of this kind") from error
    prefix = source.base_model_prefix
    setattr(judge, prefix, getattr(source, prefix))
    _make_room(judge, pad_id)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weight = judge.score.weight
        weight.copy_(torch.randn(weight.shape, generator=generator) / weight.shape[1])
    module: nn.Module = judge.to(next(source.parameters()).device).eval()
    return module


def is_classifier(model: nn.Module) -> bool:
    return "ForSequenceClassification" in type(model).__name__


def read_up_to(model: nn.Module, ids: Sequence[int]) -> tuple[int, ...]:
    """The ids without the pad tokens at their end, where a classifier is not read: it is at the last other token.

    A reward model of another trainer may pad with the end token; then its own score is that of the token before.
    """
    config: Any = model.config
    pad_id = config.get_text_config().pad_token_id
    last = max((place for place, id_ in enumerate(ids) if id_ != pad_id), default=len(ids) - 1)
    return tuple(ids[: last + 1])


def pad_with(tokenizer: PreTrainedTokenizerBase, pad_id: int) -> PreTrainedTokenizerBase:
    """The tokenizer, told to pad with that token on the right; a token behind its last one is added."""
    token = tokenizer.convert_ids_to_tokens(pad_id)
    tokenizer.add_special_tokens({"pad_token": _NEW_PAD if token is None else str(token)})
    assert tokenizer.pad_token_id == pad_id
    tokenizer.padding_side = "right"
    return tokenizer


def _pad_id(tokenizer: PreTrainedTokenizerBase, ends: Collection[int | None]) -> int:
    """The pad token where it ends nothing; else a special token that never does; else a new one."""
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in ends:
        return int(tokenizer.pad_token_id)
    special = {id_: str(token) for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    for kind in _NEVER_LAST:
        for id_, token in sorted(special.items()):
            if id_ not in ends and kind.search(token):
                return int(id_)
    wider = copy.deepcopy(tokenizer)
    wider.add_special_tokens({"pad_token": _NEW_PAD})
    return int(wider.pad_token_id)


def _make_room(judge: Any, pad_id: int) -> None:
    """A row of zeros for a token that the embedding has none for; attention never looks there."""
    rows = judge.get_input_embeddings().weight.shape[0]
    if pad_id >= rows:
        judge.resize_token_embeddings(pad_id + 1, mean_resizing=False)
        with torch.no_grad():
            judge.get_input_embeddings().weight[rows:] = 0
