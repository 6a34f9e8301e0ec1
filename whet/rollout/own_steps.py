"""Decoding with a model's own forward and cache, for models whose attention cannot be replaced, as recurrent ones.

Rows of prompts of equal length are decoded together, so that nothing is padded. Whether the model's cache gives the
numbers of its whole forward is found out on a few tokens; where it does not, the whole row is computed for every token.

Legend: R row, L place, V vocabulary.
"""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["OwnSteps"]

_TOLERANCE = {torch.float32: 2e-4, torch.float64: 1e-8}
_HALF_TOLERANCE = 0.2
_CACHES = ("cache", "past_key_values", "cache_params")


class OwnSteps:
    """The logits behind rows of equal length that grow by one token at a time."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model
        parameters = inspect.signature(self.model.forward).parameters
        self._name = next((name for name in _CACHES if name in parameters), None)
        self.is_cached = self._name is not None and self._cache_is_right()

    def start(self, ids_RL: Tensor) -> Tensor:
        """(R, V) behind the prompts."""
        self._ids_RL, self._cache = ids_RL, None
        return self._forward(ids_RL)

    def step(self, token_R: Tensor) -> Tensor:
        """(R, V) behind one more token of every row."""
        self._ids_RL = torch.cat([self._ids_RL, token_R[:, None]], dim=1)
        return self._forward(token_R[:, None] if self.is_cached else self._ids_RL)

    def _forward(self, ids_RL: Tensor) -> Tensor:
        if not self.is_cached:
            logits: Tensor = self.model(input_ids=ids_RL, use_cache=False).logits[:, -1]
            return logits
        assert self._name is not None
        before: dict[str, Any] = {} if self._cache is None else {self._name: self._cache}
        output = self.model(input_ids=ids_RL, use_cache=True, **before)
        self._cache = getattr(output, self._name)
        found: Tensor = output.logits[:, -1]
        return found

    @torch.no_grad()
    def _cache_is_right(self) -> bool:
        device, vocabulary = next(self.model.parameters()).device, self.model.get_input_embeddings().weight.shape[0]
        ids_RL = torch.tensor(
            [[(31 * (place + 9 * r) + 3) % vocabulary for place in range(9)] for r in range(2)], device=device
        )
        whole_RLV = self.model(input_ids=ids_RL, use_cache=False).logits
        self.is_cached = True
        try:
            steps = [self.start(ids_RL[:, :5]), *(self.step(ids_RL[:, place]) for place in range(5, 9))]
        except (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError):
            return False
        apart = (torch.stack(steps, dim=1) - whole_RLV[:, 4:]).abs().max() / whole_RLV.abs().max()
        return bool(apart <= _TOLERANCE.get(self.model.dtype, _HALF_TOLERANCE))
