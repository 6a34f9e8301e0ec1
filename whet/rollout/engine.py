"""Batched decoding: a prompt prefilled once for its group, a cache that never grows by copying, rows that leave.

Legend: P prompt, G completion of the same prompt, R row being decoded, H key/value head, L cache place, D head size,
V vocabulary.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whet.core.records import Prompt, Rollout
from whet.models.decoder import Decoder
from whet.models.load import context_of
from whet.models.products import linear
from whet.rollout.sampling import SamplingSettings, choose_tokens, uniforms
from whet.tokens.batches import TokenGroup, flat_batch
from whet.tokens.template import Template

__all__ = ["Sampler"]

# Finished rows are removed from the batch in steps of this many: every new batch size costs set-up time.
_LEAVE_TOGETHER = 8


@dataclass(slots=True, kw_only=True)
class _Row:
    """One completion being written."""

    index: int
    prompt_ids: tuple[int, ...]
    limit: int  # tokens it may have: the setting's, or what the model's context leaves
    ids: list[int]
    logprobs: list[float]
    has_stopped: bool = False

    @property
    def is_done(self) -> bool:
        return self.has_stopped or len(self.ids) >= self.limit


class Sampler:
    """Completions of prompts under one model. `decode_rows` bounds how many are decoded at once."""

    def __init__(self, model: nn.Module, template: Template, *, decode_rows: int = 128) -> None:
        self.decoder = Decoder(model)
        self.template = template
        self.decode_rows = decode_rows

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        samples: int,
        settings: SamplingSettings,
        seeds: Sequence[int],
        tick: Callable[[int], None] | None = None,
    ) -> list[Rollout]:
        """`samples` rollouts of each prompt, prompt-major (P x G), drawn with one seed per rollout.

        A completion ends with a stop token, at `max_completion_length`, or where the model's context ends. `tick` is
        called with the number of completions that a batch has finished.
        """
        assert len(seeds) == len(prompts) * samples
        prompt_ids = [self.template.prompt_ids(prompt) for prompt in prompts]
        rows = [
            _Row(index=p * samples + g, prompt_ids=ids, limit=self._room(ids, settings), ids=[], logprobs=[])
            for p, ids in enumerate(prompt_ids)
            for g in range(samples)
        ]
        noise = np.stack([uniforms(seed, settings.max_completion_length) for seed in seeds]) if seeds else None
        together = max(samples, self.decode_rows // samples * samples)
        for start in range(0, len(rows), together):
            chunk = rows[start : start + together]
            assert noise is not None
            decode = self._decode_flat if self.decoder.kind == "flat" else self._decode_with_model
            decode(chunk, samples, settings, torch.from_numpy(noise[start : start + together]).to(self.decoder.device))
            if tick:
                tick(len(chunk))
        return [self._rollout(prompts[row.index // samples], row, samples) for row in rows]

    def _room(self, prompt_ids: tuple[int, ...], settings: SamplingSettings) -> int:
        context = context_of(self.decoder.model) or len(prompt_ids) + settings.max_completion_length
        assert len(prompt_ids) < context, "a prompt as long as the model's context leaves no room for a completion"
        return min(settings.max_completion_length, context - len(prompt_ids))

    def _rollout(self, prompt: Prompt, row: _Row, samples: int) -> Rollout:
        return Rollout(
            prompt=prompt,
            sample=row.index % samples,
            prompt_ids=row.prompt_ids,
            completion_ids=tuple(row.ids),
            logprobs=tuple(row.logprobs),
            text=self.template.decode(row.ids),
            finish="stop" if row.has_stopped else "length",
        )

    def _take(self, rows: Sequence[_Row], token_R: Tensor, logprob_R: Tensor) -> None:
        for row, token, logprob in zip(rows, token_R.tolist(), logprob_R.tolist(), strict=True):
            if not row.is_done:
                row.ids.append(token)
                row.logprobs.append(logprob)
                row.has_stopped = token in self.template.stop_ids

    def _decode_flat(self, rows: Sequence[_Row], samples: int, settings: SamplingSettings, noise_RT: Tensor) -> None:
        cache, hidden_PC = self._prefill([row.prompt_ids for row in rows[::samples]], settings.max_completion_length)
        group_R = torch.arange(len(rows), device=noise_RT.device) // samples
        cache.keep(group_R)
        hidden_RC = hidden_PC[group_R]
        rows = list(rows)
        for t in range(settings.max_completion_length):
            token_R, logprob_R = choose_tokens(self._logits(hidden_RC), noise_RT[:, t], settings)
            self._take(rows, token_R, logprob_R)
            finished = sum(row.is_done for row in rows)
            if finished == len(rows):
                return
            if finished >= min(_LEAVE_TOGETHER, max(1, len(rows) // 2)):
                kept_R = torch.tensor([r for r, row in enumerate(rows) if not row.is_done], device=token_R.device)
                cache.keep(kept_R)
                token_R, noise_RT = token_R[kept_R], noise_RT[kept_R]
                rows = [row for row in rows if not row.is_done]
            hidden_RC = self._step(token_R, cache)

    def _logits(self, hidden_RC: Tensor) -> Tensor:
        return linear(self.decoder.model.get_output_embeddings(), hidden_RC)

    def _prefill(self, prompts: Sequence[tuple[int, ...]], room: int) -> "tuple[_Cache, Tensor]":
        """The cache of the prompts and the hidden state of each one's last token, (P, C)."""
        decoder = self.decoder
        # A prompt followed by one token that nothing asks about: the flat batch is made for prompts with completions.
        groups = [TokenGroup(prompt_ids=ids, completions=((ids[-1],),), loss_masks=((True,),)) for ids in prompts]
        batch = flat_batch(groups, device=decoder.device)
        kept: list[tuple[Tensor, Tensor]] = []
        hidden_PC = decoder.hidden(batch, batch.asked_A, keep=kept)
        is_prompt_S = torch.ones(len(batch.segments.key_index_SK), dtype=torch.bool, device=decoder.device)
        is_prompt_S[batch.segment_B] = False
        longest = max(map(len, prompts))
        index_PL = batch.segments.key_index_SK[is_prompt_S, :longest]
        length_P = torch.tensor([len(ids) for ids in prompts], device=decoder.device)
        cache = _Cache(length_P, [(k[index_PL], v[index_PL]) for k, v in kept], longest + room)
        return cache, hidden_PC

    def _step(self, token_R: Tensor, cache: "_Cache") -> Tensor:
        """Append one token to every row; the hidden state that predicts the next, (R, C)."""
        decoder = self.decoder
        x_RC, cos_RD, sin_RD = decoder.embed(token_R, cache.length_R)
        mask_RL = cache.advance()
        for layer, (k_RHLD, v_RHLD) in zip(decoder.layers, cache.layers, strict=True):
            normed_RC = layer.norm_attention(x_RC)
            k_RHD, v_RHD = layer.keys_values(normed_RC, cos_RD, sin_RD)
            cache.put(k_RHLD, k_RHD)
            cache.put(v_RHLD, v_RHD)
            # Grouped heads are the query places of their key head, so keys need no copies.
            q_RHQD = layer.queries(normed_RC, cos_RD, sin_RD).unflatten(1, (k_RHD.shape[1], -1))
            longest = mask_RL.shape[-1]
            attended = F.scaled_dot_product_attention(
                q_RHQD,
                k_RHLD[:, :, :longest],
                v_RHLD[:, :, :longest],
                attn_mask=mask_RL[:, None, None],
                scale=layer.scale,
            )
            x_RC = layer.finish(x_RC, attended.flatten(1))
        return decoder.final_norm(x_RC)

    def _decode_with_model(
        self, rows: Sequence[_Row], samples: int, settings: SamplingSettings, noise_RT: Tensor
    ) -> None:
        """The model's own forward and cache, prompts padded on the left: for what the decoder does not know."""
        model: Any = self.decoder.model
        device = noise_RT.device
        longest = max(len(row.prompt_ids) for row in rows)
        pad = self.template.tokenizer.pad_token_id or 0
        ids_RL = torch.tensor([[pad] * (longest - len(r.prompt_ids)) + list(r.prompt_ids) for r in rows], device=device)
        mask_RL = torch.tensor(
            [[0] * (longest - len(r.prompt_ids)) + [1] * len(r.prompt_ids) for r in rows], device=device
        )
        # transformers 5.24 calls it `cache`, those before it `past_key_values`.
        name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
        past = None
        for t in range(settings.max_completion_length):
            position_RL = (mask_RL.cumsum(-1) - 1).clamp_min(0)[:, -ids_RL.shape[1] :]
            output = model(
                input_ids=ids_RL,
                attention_mask=mask_RL,
                position_ids=position_RL,
                use_cache=True,
                **{name: past},
            )
            past = getattr(output, name)
            token_R, logprob_R = choose_tokens(output.logits[:, -1], noise_RT[:, t], settings)
            self._take(rows, token_R, logprob_R)
            if all(row.is_done for row in rows):
                return
            ids_RL = token_R[:, None]
            mask_RL = torch.cat((mask_RL, mask_RL.new_ones(len(rows), 1)), dim=1)


class _Cache:
    """Keys and values of every layer, (R, H, L, D), allocated once; each row has its own length."""

    def __init__(self, length_R: Tensor, prefilled: Sequence[tuple[Tensor, Tensor]], room: int) -> None:
        self.length_R = length_R
        self.longest = int(length_R.max())
        self.room = room
        self._place_L = torch.arange(room, device=length_R.device)
        # Places behind a row's end are zero, never uninitialised: a mask does not stop NaN.
        self.layers = [(self._lay_out(k_RLHD), self._lay_out(v_RLHD)) for k_RLHD, v_RLHD in prefilled]

    def _lay_out(self, x_RLHD: Tensor) -> Tensor:
        rows, filled, heads, size = x_RLHD.shape
        out_RHLD = x_RLHD.new_zeros(rows, heads, self.room, size)
        out_RHLD[:, :, :filled] = x_RLHD.transpose(1, 2)
        return out_RHLD

    def keep(self, rows_R: Tensor) -> None:
        """Go on with the chosen rows; a row may be chosen more than once."""
        self.length_R = self.length_R[rows_R]
        self.layers = [(k[rows_R], v[rows_R]) for k, v in self.layers]

    def advance(self) -> Tensor:
        """Make room for one token in each row; (R, L) True where a row may look."""
        self._at_R = self.length_R
        self._row_R = torch.arange(len(self.length_R), device=self.length_R.device)
        self.length_R = self.length_R + 1
        self.longest += 1
        return self._place_L[: self.longest] < self.length_R[:, None]

    def put(self, cached_RHLD: Tensor, new_RHD: Tensor) -> None:
        cached_RHLD[self._row_R, :, self._at_R] = new_RHD
