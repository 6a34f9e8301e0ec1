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

from whet.models.architectures import ARCHITECTURES
from whet.models.architectures.llama import LlamaBlock
from whet.models.head_logprobs import head_logprobs
from whet.tokens.batches import FlatBatch, Segments, TokenGroup, flat_batch

__all__ = ["Decoder", "TokenScores"]

_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenScores:
    """One number per completion token, zero where `mask_BT` is False.

    `logprobs_BT` is differentiable; `entropy_BT` (nats, of the whole distribution at that temperature) is not.
    """

    logprobs_BT: Tensor
    entropy_BT: Tensor
    mask_BT: Tensor


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
        self.layers: list[LlamaBlock] = []
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
        """None when the flat forward of some known architecture is this model's; else why not."""
        reason: str | None = None
        for block in ARCHITECTURES.values():
            reason = self._try_architecture(block)
            if reason is None:
                return None
        return reason

    def _try_architecture(self, block: type[LlamaBlock]) -> str | None:
        try:
            base, config = self.model.model, self.model.config
            if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
                return "the model uses sliding-window attention"
            head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
            self.layers = [block(layer, head_size) for layer in base.layers]
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
