"""The tokenizer that lies beside a model's weights."""

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from whet.models.folder.found import resolve_model
from whet.models.quietly import quietly

__all__ = ["load_tokenizer"]


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer alone. Begin and end tokens that it does not name are taken from the model's config."""
    source = resolve_model(name)
    tokenizer: PreTrainedTokenizerBase = quietly(AutoTokenizer.from_pretrained, name, source)
    if tokenizer.eos_token_id is None or tokenizer.bos_token_id is None:
        from transformers import AutoConfig

        config = quietly(AutoConfig.from_pretrained, name, source)
        for kind in ("eos", "bos"):
            token_id = getattr(config, f"{kind}_token_id", None)
            token_id = token_id[0] if isinstance(token_id, list) else token_id
            if getattr(tokenizer, f"{kind}_token_id") is None and token_id is not None:
                setattr(tokenizer, f"{kind}_token", tokenizer.convert_ids_to_tokens(token_id))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
