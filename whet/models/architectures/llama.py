"""Llama"s block and what is built like it: Llama, Mistral, Qwen 2 and 3, SmolLM.

RMSNorm before attention and MLP, rotary positions, grouped heads, gated MLP, optional q/k norm and biases.

Legend: N flat token, W wanted position, H head, D head size, C channel.
"""

from typing import Any

import torch
from torch import Tensor

from whet.models.products import linear

__all__ = ["LlamaBlock"]


class LlamaBlock:
    """One transformer block, its modules borrowed from the loaded model."""

    def __init__(self, block: Any, head_size: int) -> None:
        attention, mlp = block.self_attn, block.mlp
        self.norm_attention, self.norm_mlp = block.input_layernorm, block.post_attention_layernorm
        self.q, self.k, self.v, self.o = attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj
        self.q_norm, self.k_norm = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
        self.gate, self.up, self.down = mlp.gate_proj, mlp.up_proj, mlp.down_proj
        self.activation = mlp.act_fn
        self.scale = float(attention.scaling)
        self.head_size = head_size

    def keys_values(self, normed_NC: Tensor, cos_ND: Tensor, sin_ND: Tensor) -> tuple[Tensor, Tensor]:
        """(N, KV heads, D) each, keys rotated."""
        k_NHD = linear(self.k, normed_NC).unflatten(-1, (-1, self.head_size))
        v_NHD = linear(self.v, normed_NC).unflatten(-1, (-1, self.head_size))
        if self.k_norm is not None:
            k_NHD = self.k_norm(k_NHD)
        return _rotate(k_NHD, cos_ND, sin_ND), v_NHD

    def queries(self, normed_WC: Tensor, cos_WD: Tensor, sin_WD: Tensor) -> Tensor:
        """(W, heads, D), rotated."""
        q_WHD = linear(self.q, normed_WC).unflatten(-1, (-1, self.head_size))
        if self.q_norm is not None:
            q_WHD = self.q_norm(q_WHD)
        return _rotate(q_WHD, cos_WD, sin_WD)

    def finish(self, x_WC: Tensor, attended_WC: Tensor) -> Tensor:
        """The residual stream after attention's output product and the gated MLP."""
        x_WC = x_WC + linear(self.o, attended_WC)
        normed_WC = self.norm_mlp(x_WC)
        return x_WC + linear(self.down, self.activation(linear(self.gate, normed_WC)) * linear(self.up, normed_WC))


def _rotate(x_NHD: Tensor, cos_ND: Tensor, sin_ND: Tensor) -> Tensor:
    half = x_NHD.shape[-1] // 2
    turned = torch.cat((-x_NHD[..., half:], x_NHD[..., :half]), dim=-1)
    return x_NHD * cos_ND[:, None] + turned * sin_ND[:, None]
