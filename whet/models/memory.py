"""What a stage will hold in memory, from the model's config alone. Bytes throughout; no weights are loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["OPTIMIZER_STATES", "MemoryPlan", "parameters_of", "training_memory"]

# Copies of the gradients that an optimizer keeps: nothing, the second moment, or both moments.
OPTIMIZER_STATES: Mapping[str, int] = {"sgd": 0, "rmsprop": 1, "adam": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """The parts of the peak, in bytes."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    other_models: int = 0
    cache: int = 0

    @property
    def total(self) -> int:
        return (
            self.weights
            + self.gradients
            + self.optimizer
            + self.activations
            + self.logits
            + self.other_models
            + self.cache
        )


def parameters_of(config: Any) -> int:
    """Parameters of a Llama-family model, norms included."""
    width, heads = config.hidden_size, config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or width // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    attention = 2 * width * heads * head_size + 2 * width * kv_heads * head_size
    layer = attention + 3 * width * config.intermediate_size + 2 * width
    embeddings = config.vocab_size * width * (1 if config.tie_word_embeddings else 2)
    return int(embeddings + config.num_hidden_layers * layer + width)


def training_memory(
    config: Any,
    *,
    tokens: int,
    trainable_share: float = 1.0,
    optimizer: Literal["sgd", "rmsprop", "adam"] = "adam",
    other_models: int = 0,
    cached_tokens: int = 0,
    bytes_per_value: int = 4,
) -> MemoryPlan:
    """A training step over `tokens` tokens at once, with `other_models` more of the same size held beside it.

    Activations: about 14 values of the width and 3 of the MLP's width per token and layer stay for the backward pass.
    Logits: the head works in chunks and keeps at most 32 million probabilities. Only trainable weights have gradients
    and optimizer state.
    """
    weights = parameters_of(config)
    trained = int(weights * trainable_share)
    width = config.hidden_size
    kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or width // config.num_attention_heads
    per_token = config.num_hidden_layers * (14 * width + 3 * config.intermediate_size)
    return MemoryPlan(
        weights=weights * bytes_per_value,
        gradients=trained * bytes_per_value,
        optimizer=OPTIMIZER_STATES[optimizer] * trained * bytes_per_value,
        activations=tokens * per_token * bytes_per_value,
        logits=min(tokens * config.vocab_size, 32_000_000) * bytes_per_value * 2,
        other_models=other_models * weights * bytes_per_value,
        cache=cached_tokens * 2 * config.num_hidden_layers * kv_heads * head_size * bytes_per_value,
    )
