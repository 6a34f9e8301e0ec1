"""One flat forward for the Llama family, over the loaded model's own modules: no copies, no padding, no unused logits.

Llama, Mistral, Qwen 2 and 3, SmolLM: RMSNorm, rotary positions, grouped heads, gated MLP, optional q/k norm and biases,
tied or own head. At construction the result is compared with the model's own forward; where the architecture is another
or the numbers differ, the model's own padded forward is used behind the same interface and `reason` says why.

Legend: N flat token, A asked-for position, W wanted position, S segment, Q query, K key, H head, D head size,
C channel, V vocabulary, B completion, T completion token.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whet.models.head_logprobs import head_logprobs
from whet.models.products import linear
from whet.tokens.batches import FlatBatch, Segments, TokenGroup, flat_batch

__all__ = ["Decoder", "Layer", "TokenScores"]

_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """One number per completion token, zero where `mask_BT` is False.

    `logprobs_BT` is differentiable; `entropy_BT` (nats, of the whole distribution at that temperature) is not.
    """

    logprobs_BT: Tensor
    entropy_BT: Tensor
    mask_BT: Tensor


class Layer:
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


def _gather(x_NHD: Tensor, index_SK: Tensor) -> Tensor:
    """(N, H, D) -> (S, H, K, D). By `embedding`, whose backward is deterministic on every device, unlike indexing's."""
    gathered: Tensor = F.embedding(index_SK, x_NHD.flatten(1)).unflatten(-1, x_NHD.shape[1:])
    return gathered.transpose(1, 2)


def _attend(q_NHD: Tensor, k_NHD: Tensor, v_NHD: Tensor, segments: Segments, scale: float) -> Tensor:
    """(N, H * D): each flat token attends to its segment's keys."""
    q, k, v = (
        _gather(q_NHD, segments.query_index_SQ),
        _gather(k_NHD, segments.key_index_SK),
        _gather(v_NHD, segments.key_index_SK),
    )
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    mask = segments.mask_SQK[:, None]
    attended_SHQD = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    flat = attended_SHQD.transpose(1, 2).flatten(2).flatten(0, 1)
    return F.embedding(segments.query_place_N, flat)


class Decoder:
    """Log-probabilities, entropies and rewards of flat batches under one model, causal or sequence-classifying."""

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model
        self.layers: list[Layer] = []
        self.kind: Literal["flat", "padded"] = "padded"
        self.reason: str | None = self._try_flat()
        if self.reason is None:
            self.kind = "flat"

    @property
    def device(self) -> torch.device:
        found: torch.device = next(self.model.parameters()).device
        return found

    def logprobs(self, batch: FlatBatch, *, temperature: float = 1.0) -> TokenScores:
        """log p(token) of every asked-for completion token at this temperature, float32."""
        if self.kind == "flat":
            hidden_AC = self.hidden(batch, batch.asked_A)
        else:
            hidden_AC = self._padded_hidden(batch)[batch.asked_A]
        logprob_A, entropy_A = head_logprobs(
            hidden_AC, self.model.get_output_embeddings(), batch.targets_A, temperature=temperature
        )
        return TokenScores(
            logprobs_BT=batch.lay_out(logprob_A), entropy_BT=batch.lay_out(entropy_A), mask_BT=batch.mask_BT
        )

    def rewards(self, batch: FlatBatch) -> Tensor:
        """(B,) scalar of a one-label classifier, read at each completion's last token, float32."""
        hidden_BC = (
            self.hidden(batch, batch.last_B) if self.kind == "flat" else self._padded_hidden(batch)[batch.last_B]
        )
        score: Tensor = self.model.score(hidden_BC)
        return score[:, 0].float()

    def embed(self, tokens_N: Tensor, positions_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings (N, C) with the rotary cosines and sines (N, D)."""
        base = self.model.model
        x_NC = base.embed_tokens(tokens_N)
        cos, sin = base.rotary_emb(x_NC[None], positions_N[None])
        return x_NC, cos[0], sin[0]

    def final_norm(self, x_WC: Tensor) -> Tensor:
        normed: Tensor = self.model.model.norm(x_WC)
        return normed

    def hidden(self, batch: FlatBatch, wanted_W: Tensor, *, keep: list[tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """(W, C) after the final norm; the last layer's output product and MLP run at the wanted positions only.

        `keep` receives each layer's keys and values, (N, KV heads, D).
        """
        x_NC, cos_ND, sin_ND = self.embed(batch.tokens_N, batch.positions_N)
        for layer in self.layers:
            normed_NC = layer.norm_attention(x_NC)
            k_NHD, v_NHD = layer.keys_values(normed_NC, cos_ND, sin_ND)
            if keep is not None:
                keep.append((k_NHD, v_NHD))
            q_NHD = layer.queries(normed_NC, cos_ND, sin_ND)
            attended_NC = _attend(q_NHD, k_NHD, v_NHD, batch.segments, layer.scale)
            if layer is self.layers[-1]:
                x_NC, attended_NC = F.embedding(wanted_W, x_NC), F.embedding(wanted_W, attended_NC)
            x_NC = layer.finish(x_NC, attended_NC)
        return self.final_norm(x_NC)

    def _padded_hidden(self, batch: FlatBatch) -> Tensor:
        """(N, C) by the model's own forward over one padded row per completion; a prompt is computed once for each."""
        keys_BK = batch.segments.key_index_SK[batch.segment_B]
        length_B = batch.positions_N[batch.last_B] + 1
        real_BK = torch.arange(keys_BK.shape[1], device=keys_BK.device) < length_B[:, None]
        base = getattr(self.model, self.model.base_model_prefix)
        hidden_BKC = base(input_ids=batch.tokens_N[keys_BK], attention_mask=real_BK.long()).last_hidden_state
        flat: Tensor = hidden_BKC.new_zeros(len(batch.tokens_N), hidden_BKC.shape[-1])
        return flat.index_put((keys_BK[real_BK],), hidden_BKC[real_BK])

    def _try_flat(self) -> str | None:
        """None when the flat forward is this model's; else why not."""
        try:
            base, config = self.model.model, self.model.config
            if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
                return "the model uses sliding-window attention"
            head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
            self.layers = [Layer(block, head_size) for block in base.layers]
            return self._difference()
        except (AttributeError, TypeError, RuntimeError, ValueError) as error:
            self.layers = []
            return f"{type(self.model).__name__} is not of the Llama family ({type(error).__name__}: {error})"

    def _difference(self) -> str | None:
        vocabulary = self.model.get_input_embeddings().weight.shape[0]
        tokens = [(7 * place + 3) % vocabulary for place in range(24)]
        group = TokenGroup(prompt_ids=tuple(tokens[:8]), completions=(tuple(tokens[8:]),), loss_masks=((True,) * 16,))
        batch = flat_batch([group], device=self.device)
        with torch.no_grad():
            ours, theirs = self.hidden(batch, batch.asked_A), self._padded_hidden(batch)[batch.asked_A]
        difference = float((ours - theirs).abs().max() / theirs.abs().max())
        if difference <= _TOLERANCE:
            return None
        return (
            f"the flat forward differs from the model's own by {difference:.1e} (at most {_TOLERANCE:.0e} is accepted)"
        )
