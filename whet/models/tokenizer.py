"""The tokenizer that lies beside a model's weights, and the end tokens that the model's files name."""

from collections.abc import Iterator
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from whet.core.errors import ModelError
from whet.core.recipe import TemplateSettings
from whet.models.folder.found import EMBEDDED, resolve_model
from whet.models.quietly import quietly
from whet.tokens.template import Template

__all__ = ["end_ids", "load_template", "load_tokenizer"]


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer alone, as its files say: no token is named that they do not name."""
    tokenizer: Any = quietly(AutoTokenizer.from_pretrained, name, resolve_model(name))
    if name in EMBEDDED:
        # Its file is the bare vocabulary, which tests make other tokenizers of; transformers takes this from no other.
        tokenizer.add_bos_token = True
    found: PreTrainedTokenizerBase = tokenizer
    return found


def load_template(name: str, settings: TemplateSettings) -> Template:
    """How a model's messages become ids, without its weights."""
    source = resolve_model(name)
    config = quietly(AutoConfig.from_pretrained, name, source)
    try:
        generation = quietly(GenerationConfig.from_pretrained, name, source)
    except ModelError:  # many models have none
        generation = None
    return Template(load_tokenizer(name), settings, eos_ids=end_ids(config, generation))


def end_ids(*configs: Any) -> tuple[int, ...]:
    """Every `eos_token_id` that configs and generation configs name, one or many; None has none."""
    return tuple(dict.fromkeys(id_ for config in configs if config is not None for id_ in _ends_in(config)))


def _ends_in(config: Any) -> Iterator[int]:
    for part in (config, getattr(config, "text_config", None)):
        named = getattr(part, "eos_token_id", None)
        for id_ in named if isinstance(named, list | tuple) else [named]:
            if isinstance(id_, int) and 0 <= id_ < 2**31:
                yield id_
