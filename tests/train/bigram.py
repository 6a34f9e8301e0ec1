"""A model so small that a loop over its tokens can be written out, and AdamW and the gradient's norm by hand.

The next token depends on the last one alone: logits = W (g * E[last]), with E (V, C), g (C,) and W (V, C).

Legend: V token of the vocabulary, C channel.
"""

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from whet.core.recipe import TemplateSettings

__all__ = ["Bigram", "BigramJudge", "Loaded", "PlainAdamW", "clipped", "parameters_of", "plain_logprobs"]

WEIGHTS = {
    "E": [[0.9, -0.3], [-0.5, 0.8]],
    "g": [1.2, 0.7],
    "W": [[0.6, -0.2], [-0.4, 0.5]],
}


class Body(PreTrainedModel):
    """g * E[token]."""

    config_class = PretrainedConfig

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.embed = nn.Embedding(2, 2)
        self.norm = nn.Parameter(torch.tensor(WEIGHTS["g"]))
        with torch.no_grad():
            self.embed.weight.copy_(torch.tensor(WEIGHTS["E"]))

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Any) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.embed(input_ids) * self.norm)


class _Headed(PreTrainedModel):
    config_class = PretrainedConfig
    base_model_prefix = "model"

    def __init__(self, outputs: int) -> None:
        config = PretrainedConfig(vocab_size=2, hidden_size=2, num_labels=1, tie_word_embeddings=False)
        super().__init__(config)
        self.model = Body(config)
        self.head = nn.Linear(2, outputs, bias=False)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.model.embed


class Bigram(_Headed):
    """The language model; float32."""

    def __init__(self) -> None:
        super().__init__(2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor(WEIGHTS["W"]))

    def get_output_embeddings(self) -> nn.Linear:
        return self.head

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Any) -> SimpleNamespace:
        return SimpleNamespace(logits=self.head(self.model(input_ids).last_hidden_state))


class BigramJudge(_Headed):
    """A reward model: r = w . (g * E[last token])."""

    def __init__(self) -> None:
        super().__init__(1)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[0.3, -0.7]]))

    @property
    def score(self) -> nn.Linear:
        return self.head

    def get_output_embeddings(self) -> None:
        return None

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Any) -> SimpleNamespace:
        return SimpleNamespace(logits=self.head(self.model(input_ids).last_hidden_state[:, -1]))


class Loaded:
    """What `load_model` gives of such a model: no tokenizer, a template that knows its end, a context of 55 tokens."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.tokenizer, self.context, self.dtype = model, None, 55, torch.bfloat16

    def template(self, settings: TemplateSettings) -> SimpleNamespace:
        return SimpleNamespace(ends=(1,), told=())


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """E, g and W as float64 leaves of their own."""
    names = {"model.embed.weight": "E", "model.norm": "g", "head.weight": "W"}
    return {names[name]: value.detach().double().clone().requires_grad_() for name, value in model.named_parameters()}


def plain_logprobs(weights: Mapping[str, Tensor], prompt: Sequence[int], completion: Sequence[int], t: float) -> Tensor:
    """log p of each completion token at temperature `t`, and of every other token: (tokens, 2)."""
    last = [prompt[-1], *completion[:-1]]
    return torch.stack([torch.log_softmax(weights["W"] @ (weights["g"] * weights["E"][i]) / t, dim=-1) for i in last])


def clipped(gradients: Mapping[str, Tensor], limit: float) -> tuple[dict[str, Tensor], float]:
    """Scaled down to the global norm `limit`; and the norm before."""
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values()))
    factor = min(1.0, limit / (norm + 1e-6))
    return {name: gradient * factor for name, gradient in gradients.items()}, norm


class PlainAdamW:
    """AdamW (Loshchilov and Hutter 2019, algorithm 2) with torch's defaults; decay on the matrices E and W alone."""

    def __init__(self, weights: Mapping[str, Tensor], *, decay: float) -> None:
        self.weights, self.decay, self.steps = weights, decay, 0
        self.m = {name: torch.zeros_like(value) for name, value in weights.items()}
        self.v = {name: torch.zeros_like(value) for name, value in weights.items()}

    def step(self, gradients: Mapping[str, Tensor], rate: float) -> None:
        self.steps += 1
        with torch.no_grad():
            for name, weight in self.weights.items():
                gradient = gradients[name]
                self.m[name] = 0.9 * self.m[name] + 0.1 * gradient
                self.v[name] = 0.999 * self.v[name] + 0.001 * gradient**2
                mean = self.m[name] / (1 - 0.9**self.steps)
                spread = (self.v[name] / (1 - 0.999**self.steps)).sqrt()
                if name != "g":
                    weight -= rate * self.decay * weight
                weight -= rate * mean / (spread + 1e-8)
