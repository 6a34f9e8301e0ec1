"""Whether a way of computing a model gives the model's own numbers, found out on a few tokens when it is loaded.

What is compared is what is used: log-probabilities (a reward model: scores) of two groups of several completions, and
the gradients of a weighted sum of them at the embedding and at the first and last block. The model's own are of each
completion alone, without padding. Windows are shortened meanwhile, so that a few tokens see them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from whet.core.errors import ModelError
from whet.tokens.batches import FlatBatch, TokenGroup, flat_batch

__all__ = ["Probe"]

# Largest accepted difference of a log-probability (nats), and of a gradient as a share of its norm.
_TOLERANCE = {torch.float32: (2e-5, 1e-4), torch.float64: (1e-9, 1e-8)}
_HALF_TOLERANCE = (0.1, 0.1)
_WINDOW = 5
# What a library's forward throws when it is asked for what it cannot do.
_FAILURES = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)


class Scores(Protocol):
    """The part of a decoder that is compared."""

    model: Any

    @property
    def device(self) -> torch.device: ...

    @property
    def is_judge(self) -> bool: ...

    def logprobs(self, batch: FlatBatch) -> Any: ...

    def rewards(self, batch: FlatBatch) -> Tensor: ...


class Probe:
    """A decoder's numbers in its present way against its model's own, which are computed once."""

    def __init__(self, decoder: Scores, *, trains: bool) -> None:
        self.decoder = decoder
        self.trains = trains and any(parameter.requires_grad for parameter in decoder.model.parameters())
        self.groups = _groups(decoder.model.get_input_embeddings().weight.shape[0])
        try:
            with _short_windows(decoder.model):
                self._own = self._measure(self._own_values)
        except _FAILURES as error:
            name = type(decoder.model).__name__
            raise ModelError(f"{name}: its own forward fails on a few tokens: {_line(error)}") from error

    def fault(self) -> str | None:
        """None when the decoder's present way gives the model's own numbers, else what differs."""
        try:
            with _short_windows(self.decoder.model):
                if self._own is None:
                    self._own = self._measure(self._own_values)
                found = self._measure(self._found_values)
        except (
            AttributeError,
            IndexError,
            KeyError,
            NotImplementedError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            if self._own is None:
                name = type(self.decoder.model).__name__
                raise ModelError(f"{name}: its own forward fails on a few tokens: {_line(error)}") from error
            return _line(error)
        return _difference(found, self._own, self.decoder.model.dtype)

    def _measure(self, values: Any) -> tuple[Tensor, list[Tensor]]:
        if not self.trains:
            with torch.no_grad():
                return values(), []
        with torch.enable_grad():
            value = values()
            loss = (value * torch.linspace(0.5, 1.5, len(value), device=value.device)).sum()
            grads = torch.autograd.grad(loss, _watched(self.decoder.model), allow_unused=True)
        return value.detach(), [grad for grad in grads if grad is not None]

    def _found_values(self) -> Tensor:
        batch = flat_batch(self.groups, device=self.decoder.device)
        if self.decoder.is_judge:
            return self.decoder.rewards(batch)
        found: Tensor = self.decoder.logprobs(batch).logprobs_BT[batch.mask_BT]
        return found

    def _own_values(self) -> Tensor:
        values = []
        for group in self.groups:
            for completion in group.completions:
                ids = torch.tensor([group.prompt_ids + completion], device=self.decoder.device)
                values.append(self._own_of(ids, len(completion)))
        return torch.cat(values)

    def _own_of(self, ids: Tensor, length: int) -> Tensor:
        model = self.decoder.model
        if self.decoder.is_judge:
            score: Tensor = model.score(model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, -1])[
                0
            ].float()
            return score
        logits = model(input_ids=ids, use_cache=False).logits[0, -length - 1 : -1].float()
        return torch.log_softmax(logits, dim=-1).gather(-1, ids[0, -length:, None])[:, 0]


def _groups(vocabulary: int) -> list[TokenGroup]:
    tokens = [(7919 * place + 3) % vocabulary for place in range(60)]

    def group(prompt: list[int], *completions: list[int]) -> TokenGroup:
        return TokenGroup(
            prompt_ids=tuple(prompt),
            completions=tuple(map(tuple, completions)),
            loss_masks=tuple((True,) * len(one) for one in completions),
        )

    return [
        group(tokens[:9], tokens[9:20], tokens[20:24], tokens[24:31]),
        group(tokens[31:37], tokens[37:49], tokens[49:50]),
    ]


def _watched(model: Any) -> list[Tensor]:
    """The embedding and the parameters of the first and the last block; of a model without blocks, all."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module)]
    blocks = max(lists, key=len, default=None)
    watched = [model.get_input_embeddings().weight]
    watched += list(model.parameters()) if blocks is None else [*blocks[0].parameters(), *blocks[-1].parameters()]
    unique = {id(parameter): parameter for parameter in watched if parameter.requires_grad}
    return list(unique.values())


@contextmanager
def _short_windows(model: Any) -> Iterator[None]:
    """Attention windows and chunks of a few tokens, wherever the model keeps their size."""
    places = [model.config, model.config.get_text_config(), *model.modules()]
    names = ("sliding_window", "attention_chunk_size")
    found = [
        (place, name, getattr(place, name))
        for place in {id(place): place for place in places}.values()
        for name in names
        if isinstance(getattr(place, name, None), int) and getattr(place, name) > _WINDOW
    ]
    for place, name, _ in found:
        setattr(place, name, _WINDOW)
    try:
        yield
    finally:
        for place, name, size in found:
            setattr(place, name, size)


def _difference(found: tuple[Tensor, list[Tensor]], own: tuple[Tensor, list[Tensor]], dtype: torch.dtype) -> str | None:
    value_tolerance, gradient_tolerance = _TOLERANCE.get(dtype, _HALF_TOLERANCE)
    apart = float((found[0] - own[0]).abs().max())
    accepted = value_tolerance * max(1.0, float(own[0].abs().max()))
    if not apart <= accepted:
        return f"its numbers differ from the model's own by {apart:.1e} (accepted: {accepted:.0e})"
    # A gradient that is nothing but rounding (a key's bias has none) is held against the others' norm.
    least = 1e-3 * max((float(theirs.norm()) for theirs in own[1]), default=0.0)
    for ours, theirs in zip(found[1], own[1], strict=True):
        share = float((ours - theirs).norm()) / max(float(theirs.norm()), least, 1e-30)
        if not share <= gradient_tolerance:
            return f"a gradient is off the model's own by {share:.1e} of its norm (accepted: {gradient_tolerance:.0e})"
    return None


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
