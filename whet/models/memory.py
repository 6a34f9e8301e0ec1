"""What a stage will hold in memory, from the model's config alone. Bytes throughout; no weights are loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from whet.models.folder.config import ModelShape

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


def parameters_of(shape: ModelShape) -> int | None:
    """Parameters of a Llama-family model of this shape, norms included; None when the config does not say enough."""
    width, layers, heads, kv_heads = (
        shape.hidden_size,
        shape.num_hidden_layers,
        shape.num_attention_heads,
        shape.num_key_value_heads,
    )
    head, inner, vocabulary = shape.head_dim, shape.intermediate_size, shape.vocab_size
    if not (width and layers and heads and kv_heads and head and inner and vocabulary):
        return None
    attention = 2 * width * heads * head + 2 * width * kv_heads * head
    layer = attention + 3 * width * inner + 2 * width
    embeddings = vocabulary * width * (1 if shape.tie_word_embeddings else 2)
    return embeddings + layers * layer + width


def training_memory(
    shape: ModelShape,
    *,
    parameters: int,
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
    and optimizer state. What the config does not say counts as nothing.
    """
    trained = int(parameters * trainable_share)
    layers, width = shape.num_hidden_layers or 0, shape.hidden_size or 0
    per_token = layers * (14 * width + 3 * (shape.intermediate_size or 0))
    keys = layers * (shape.num_key_value_heads or 0) * (shape.head_dim or 0)
    return MemoryPlan(
        weights=parameters * bytes_per_value,
        gradients=trained * bytes_per_value,
        optimizer=OPTIMIZER_STATES[optimizer] * trained * bytes_per_value,
        activations=tokens * per_token * bytes_per_value,
        logits=min(tokens * (shape.vocab_size or 0), 32_000_000) * bytes_per_value * 2,
        other_models=other_models * parameters * bytes_per_value,
        cache=cached_tokens * 2 * keys * bytes_per_value,
    )
