"""Models in: safetensors folders that `from_pretrained` reads, checked before anything is trained on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedTokenizerBase

from whet.core.errors import ModelError
from whet.core.recipe import TemplateSettings
from whet.models.folder.found import EMBEDDED, resolve_model
from whet.models.folder.weights import stored_dtype
from whet.models.quietly import quietly
from whet.models.tokenizer import end_ids, load_tokenizer
from whet.tokens.template import Template

__all__ = [
    "EMBEDDED",
    "LoadedModel",
    "context_of",
    "load_model",
    "load_reward_model",
]

_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A float32 model with the tokenizer it is tied to; `dtype` is what its weights are stored in."""

    model: nn.Module
    tokenizer: PreTrainedTokenizerBase
    name: str
    dtype: torch.dtype

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """The end tokens that its generation config and its config name."""
        return end_ids(getattr(self.model, "generation_config", None), self.model.config)

    def template(self, settings: TemplateSettings) -> Template:
        """How its messages become ids; everything that ends an answer of this model stops a rollout."""
        return Template(self.tokenizer, settings, eos_ids=self.eos_ids)

    @property
    def context(self) -> int | None:
        """The longest sequence that the model was made for, None when its config does not say."""
        return context_of(self.model)


def context_of(model: nn.Module) -> int | None:
    """`max_position_embeddings` of the model's config."""
    config: Any = model.config
    limit = getattr(config, "max_position_embeddings", None)
    return int(limit) if limit else None


def load_model(name: str, *, device: torch.device | str = "cpu") -> LoadedModel:
    """A causal language model in float32 with its tokenizer.

    Refused, each with one line: missing or surplus weights, weights that are not finite, ids beyond the embedding.
    """
    return _load(name, AutoModelForCausalLM, device)


def load_reward_model(name: str, *, device: torch.device | str = "cpu") -> LoadedModel:
    """A sequence classifier with one label, with its tokenizer."""
    loaded = _load(name, AutoModelForSequenceClassification, device)
    labels = getattr(loaded.model.config, "num_labels", None)
    if labels != 1:
        raise ModelError(f"model {name!r} has {labels} labels; a reward model has one (num_labels: 1)")
    return loaded


def _require_all_keys(name: str, info: Mapping[str, Any]) -> None:
    """Every tensor of the files is one of the model's, of its shape, and none is missing."""
    for key, held, asked in sorted(info["mismatched_keys"]):
        raise ModelError(
            f"model {name!r}: its weights hold {key} of shape {list(held)}, but its config.json asks for {list(asked)}"
        )
    for problem in ("missing_keys", "unexpected_keys"):
        if info[problem]:
            keys = ", ".join(sorted(str(key) for key in info[problem])[:3])
            raise ModelError(
                f"model {name!r}: {len(info[problem])} {problem.replace('_', ' ')} in its weights, as {keys}"
            )


def _load(name: str, kind: Any, device: torch.device | str) -> LoadedModel:
    source = resolve_model(name)
    tokenizer = load_tokenizer(name)
    model, info = quietly(
        kind.from_pretrained,
        name,
        source,
        dtype=torch.float32,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # then they are named in `info`, and refused here
    )
    _require_all_keys(name, info)
    for key, value in model.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise ModelError(f"model {name!r}: the weights of {key} are not finite; the file is damaged")
    largest = max(tokenizer.get_vocab().values())
    if largest >= model.get_input_embeddings().weight.shape[0]:
        raise ModelError(
            f"model {name!r}: its tokenizer has token ids up to {largest}, but the model embeds only "
            f"{model.get_input_embeddings().weight.shape[0]}; they do not belong together"
        )
    model.eval()
    dtype = _DTYPES.get(stored_dtype(name), torch.float32)
    return LoadedModel(model=model.to(device), tokenizer=tokenizer, name=name, dtype=dtype)
