"""What stands in the place of a model's own attention while its forward runs: chosen here, and nowhere else.

A model's own forward is run on flat tokens through transformers' attention interface, so that norms, rotary positions,
adapters, hooks and sharding stay the model's own, and its attention is computed by `AttentionPlan` (segments of a flat
batch) or by the cache of a decoding loop.

Legend: N flat token, H query head, J key/value head, D head size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor, nn
from transformers import AttentionInterface

__all__ = ["NAME", "Attends", "attending"]

NAME = "whet_segments"
# Options that models hand on to every attention and that change nothing here.
_UNUSED_OPTIONS = ("dropout", "position_ids", "use_cache", "output_attentions", "output_hidden_states", "is_causal")


class Attends(Protocol):
    """What stands in the place of a model's attention while its forward runs."""

    def attend(
        self,
        module: nn.Module,
        query_HND: Tensor,
        key_JND: Tensor,
        value_JND: Tensor,
        *,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        """(N, H, D) from one layer's queries, keys and values."""


# What the attention that runs at this moment works on: set around a model's forward by `attending`.
_active: Attends | None = None


@contextmanager
def attending(model: Any, plan: Attends) -> Iterator[None]:
    """Inside, the model's own forward attends by `plan`; outside it is as it was."""
    global _active
    configs = [model.config, model.config.get_text_config()]
    before = [config._attn_implementation_internal for config in configs], _active
    for config in configs:
        config._attn_implementation_internal = NAME
    _active = plan
    try:
        yield
    finally:
        for config, name in zip(configs, before[0], strict=True):
            config._attn_implementation_internal = name
        _active = before[1]


def segment_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """(1, N, H, D) from query (1, H, N, D), key and value (1, J, N, D), as transformers' attention interface has it."""
    assert _active is not None, "this attention runs inside `attending` only"
    unknown = [name for name, given in options.items() if given is not None and name not in _UNUSED_OPTIONS]
    if unknown or attention_mask is not None or (options.get("dropout") and module.training):
        raise NotImplementedError(f"attention with {', '.join(unknown) or 'a mask or dropout'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = sliding_window if sliding_window else None
    out_NHD = _active.attend(module, query[0], key[0], value[0], scale=scale, window=window, softcap=softcap)
    return out_NHD[None], None


AttentionInterface.register(NAME, segment_attention)
