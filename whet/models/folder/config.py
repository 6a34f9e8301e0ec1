"""A model's `config.json` without transformers: values within bounds, and the few numbers that planning needs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import ModelError
from whet.core.runlog import printable
from whet.models.folder.bounded_json import read_bounded_json

__all__ = ["ModelShape", "config_problems", "read_config", "shape_of"]

_MOST_BYTES = 4 << 20
_MOST_ITEMS = 100_000
_CONTEXTS = ("n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length", "context_length")
# Whole numbers by the names that architectures have for them; the bounds are far beyond any model there is.
_BOUNDS: Sequence[tuple[re.Pattern[str], int, int]] = [
    (re.compile(pattern), low, high)
    for pattern, low, high in (
        (r"(num_|n_|max_window_|encoder_|decoder_)?(hidden_|attention_|nextn_predict_)?layers?", 0, 10_000),
        (r"(num_|n_)?(attention_|key_value_|query_|kv_|linear_)*(head|heads)(_kv)?", 1, 1 << 16),
        (r"num_labels|(num_|n_)?(local_|routed_|shared_)?experts(_per_tok(en)?)?", 0, 1 << 16),
        (r"(padded_)?vocab_size", 1, 1 << 26),
        (r"hidden_size|d_model|n_embd|dim|word_embed_proj_dim", 1, 1 << 20),
        (r"head_dim", 0, 1 << 16),
        (r"(\w+_)?intermediate_size|n_inner|ffn_dim|ffn_hidden_size", 0, 1 << 24),
        ("|".join(("max_position_embeddings", *_CONTEXTS)), 1, 1 << 24),
    )
]
_LARGEST = 1 << 53
_MOST_EXPERTS = 1 << 20
_ONE_NUMBER = ("hidden_size", "num_hidden_layers", "vocab_size", "max_position_embeddings")
_DTYPES = {"auto", "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"}
# One thing by several names; transformers calls it by the first.
_ALIASES: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "d_model", "dim"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads", "attention_heads"),
    "num_key_value_heads": ("n_head_kv", "num_kv_heads"),
    "intermediate_size": ("n_inner", "ffn_dim", "ffn_hidden_size"),
    "max_position_embeddings": _CONTEXTS,
    "vocab_size": ("padded_vocab_size",),
}


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` as an object; `ModelError` names the file when it is none or a value is beyond all bounds."""
    path = folder / "config.json"
    value = read_bounded_json(path, most_bytes=_MOST_BYTES)
    if not isinstance(value, dict):
        raise ModelError(f"{path}: a {type(value).__name__}, where an object of settings was expected")
    for problem in config_problems(value):
        raise ModelError(f"{path}: {problem}")
    return value


def config_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What no model's config says, one line each."""
    if not isinstance(config.get("model_type"), str):
        yield "has no model_type, which says how the model is built; copy the config of this model"
    yield from _problems_in(config, "")


def _problems_in(config: Mapping[str, Any], above: str) -> Iterator[str]:
    """Of this object and of those within it, such as `text_config`."""
    if len(config) > _MOST_ITEMS:
        yield f"{above or 'it'} has {len(config):,} keys; no config has more than {_MOST_ITEMS:,}"
        return
    for name, value in config.items():
        key = printable(f"{above}{name}", limit=80)
        if isinstance(value, Mapping):
            yield from _problems_in(value, f"{above}{name}.")
        elif isinstance(value, list) and len(value) > _MOST_ITEMS:
            yield f"{key} is a list of {len(value):,} values; no config has more than {_MOST_ITEMS:,}"
        else:
            yield from _problems_of(key, name, value)
    yield from _problems_between(config, above)


def _problems_of(key: str, name: str, value: Any) -> Iterator[str]:
    if name in ("dtype", "torch_dtype") and not _is_dtype(value):
        yield f"{key} is {_shown(value)}; known: {', '.join(sorted(_DTYPES))}"
    bounds = next(((low, high) for pattern, low, high in _BOUNDS if pattern.fullmatch(name)), None)
    if name in _ONE_NUMBER and value is not None and not _is_whole(value):
        yield f"{key} is {_shown(value)}, where a whole number was expected"
        return
    low, high = bounds or (-_LARGEST, _LARGEST)
    for number in value if isinstance(value, list) else [value]:
        is_size = _is_whole(number) if bounds else isinstance(number, int)
        if is_size and not low <= number <= high:
            yield f"{key} is {_shown(number)}; what a model can have is {low:,} to {high:,}"
            return


def _problems_between(config: Mapping[str, Any], above: str) -> Iterator[str]:
    heads, kv_heads = _whole(config, "num_attention_heads"), _whole(config, "num_key_value_heads")
    if heads and kv_heads and heads % kv_heads:
        yield f"{above}num_attention_heads is {heads}, no multiple of num_key_value_heads, {kv_heads}"
    layers = _whole(config, "num_hidden_layers") or 0
    for name in ("num_experts", "num_local_experts", "n_routed_experts"):
        experts = _whole(config, name) or 0
        if layers * experts > _MOST_EXPERTS:
            yield f"{above}{name} is {experts:,} in {layers:,} layers; no model has more than {_MOST_EXPERTS:,} in all"


def _is_whole(value: Any) -> bool:
    """Some configs hold 1200.0 where 1200 is meant."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


def _is_dtype(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.removeprefix("torch.") in _DTYPES)


def _shown(value: Any) -> str:
    return printable(repr(value), limit=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The sizes of a transformer as its config says them; a size that it does not say is None."""

    hidden_size: int | None
    num_hidden_layers: int | None
    num_attention_heads: int | None
    num_key_value_heads: int | None
    head_dim: int | None
    intermediate_size: int | None
    vocab_size: int | None
    max_position_embeddings: int | None
    tie_word_embeddings: bool


def shape_of(config: Mapping[str, Any]) -> ModelShape:
    """By whatever name an architecture has for a size; of models that see and hear too, the part that writes."""
    text = config.get("text_config")
    part = {**config, **text} if isinstance(text, Mapping) else config
    heads, hidden = _whole(part, "num_attention_heads"), _whole(part, "hidden_size")
    return ModelShape(
        hidden_size=hidden,
        num_hidden_layers=_whole(part, "num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=_whole(part, "num_key_value_heads") or heads,
        head_dim=_whole(part, "head_dim") or (hidden // heads if hidden and heads else None),
        intermediate_size=_whole(part, "intermediate_size") or (4 * hidden if hidden else None),
        vocab_size=_whole(part, "vocab_size"),
        max_position_embeddings=_whole(part, "max_position_embeddings"),
        tie_word_embeddings=bool(part.get("tie_word_embeddings", True)),
    )


def _whole(config: Mapping[str, Any], name: str) -> int | None:
    for alias in (name, *_ALIASES.get(name, ())):
        value = config.get(alias)
        if isinstance(value, list):
            value = max((number for number in value if isinstance(number, int)), default=None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
