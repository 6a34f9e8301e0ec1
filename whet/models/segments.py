"""Attention over the segments of a flat batch: each looks at its prompt and itself, nothing is padded to the longest.

Products over pieces of like length, on any device, with the probabilities kept for the backward pass while they are few
and computed again otherwise. Memory is bounded in bytes, never by the longest row times the rows.

Legend: N flat token, S segment in a piece, T query place, P prompt key, K key place (prompt first, then own), H query
head, J key/value head, G query head of the same key/value head (H = J x G), D head size.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whet.tokens.batches import Segment

__all__ = ["AttentionPlan", "plan_attention"]

# Scores that are made at once (they should stay in the cache), and how many may be kept for the backward pass.
_SCORES_AT_ONCE = 2_000_000
_SCORES_KEPT = 64_000_000
# A segment of so many tokens is a piece alone, in place; shorter ones are gathered, if the shortest of a piece has at
# least that share of the longest's tokens.
_ALONE, _LIKE = 48, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Segments of like length that are computed together; `prompt` is the place and length of the keys they share.

    `place_ST` points at flat tokens, at the segment's last where padded. `real_ST` is None when nothing is padded.
    A segment that is alone is a slice of the flat tokens, `alone`, and is not copied.
    """

    place_ST: Tensor
    real_ST: Tensor | None
    prompt: tuple[int, int] | None
    alone: slice | None

    @property
    def size(self) -> tuple[int, int]:
        return self.place_ST.shape[0], self.place_ST.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionPlan:
    """How the attention of one flat batch is cut; `layers` share `_SCORES_KEPT`."""

    pieces: tuple[Piece, ...]
    layers: int

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
        out_NHD: Tensor = _SegmentAttention.apply(  # type: ignore[no-untyped-call]
            query_HND, key_JND, value_JND, self, scale, window, softcap
        )
        return out_NHD


def plan_attention(segments: Sequence[Segment], *, layers: int, device: torch.device) -> AttentionPlan:
    """Segments of the same prompt, or of none, sorted by length and cut where lengths or memory differ too much."""
    by_prompt: dict[tuple[int, int] | None, list[Segment]] = {}
    for segment in segments:
        prompt = (segment.prompt_at, segment.prompt_length) if segment.prompt_length else None
        by_prompt.setdefault(prompt, []).append(segment)
    pieces = []
    for prompt, alike in by_prompt.items():
        shared = prompt[1] if prompt else 0
        run: list[Segment] = []
        for segment in sorted(alike, key=lambda one: -one.length):
            longest = run[0].length if run else segment.length
            scores = (len(run) + 1) * min(longest, _rows_at_once(longest)) * (shared + longest)
            is_too_much = longest >= _ALONE or 8 * scores > _SCORES_AT_ONCE
            if run and (is_too_much or segment.length < _LIKE * longest):
                pieces.append(_piece(run, prompt, device))
                run = []
            run.append(segment)
        pieces.append(_piece(run, prompt, device))
    return AttentionPlan(pieces=tuple(pieces), layers=layers)


def _rows_at_once(length: int) -> int:
    """Queries of a long segment go in blocks, so that the half that a causal mask hides is mostly not computed."""
    return length if length <= 256 else 128


def _piece(segments: Sequence[Segment], prompt: tuple[int, int] | None, device: torch.device) -> Piece:
    longest = segments[0].length
    length_S1 = torch.tensor([[segment.length] for segment in segments])
    first_S1 = torch.tensor([[segment.at] for segment in segments])
    own_1T = torch.arange(longest)[None]
    place_ST = first_S1 + torch.minimum(own_1T, length_S1 - 1)
    is_padded = segments[-1].length < longest
    real_ST = (own_1T < length_S1).to(device) if is_padded else None
    alone = slice(segments[0].at, segments[0].at + longest) if len(segments) == 1 else None
    return Piece(place_ST=place_ST.to(device), real_ST=real_ST, prompt=prompt, alone=alone)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """The queries `first:end` of a piece: what they see of their own keys (`keys_from:keys_end`), and its mask."""

    first: int
    end: int
    keys_from: int
    keys_end: int
    prompt_from: int
    mask_TK: Tensor  # 0 or -inf, of as many of the last keys as it has columns


def _blocks(piece: Piece, window: int | None, device: torch.device, dtype: torch.dtype) -> Iterator[_Block]:
    longest = piece.size[1]
    shared = piece.prompt[1] if piece.prompt else 0
    rows = _rows_at_once(longest)
    for first in range(0, longest, rows):
        end = min(first + rows, longest)
        oldest = 0 if window is None else max(0, shared + first - window + 1)
        prompt_from, keys_from = min(oldest, shared), max(0, oldest - shared)
        # Without a window only the block's own keys can lie in a query's future: the mask is of the last columns.
        columns = end - first if window is None else shared + end - oldest
        place_T1 = torch.arange(shared + first, shared + end, device=device)[:, None]
        place_K = torch.arange(shared + end - columns, shared + end, device=device)
        is_seen_TK = place_K <= place_T1
        if window is not None:
            is_seen_TK &= place_K > place_T1 - window
        mask_TK = torch.zeros(is_seen_TK.shape, dtype=dtype, device=device).masked_fill_(~is_seen_TK, -math.inf)
        yield _Block(first=first, end=end, keys_from=keys_from, keys_end=end, prompt_from=prompt_from, mask_TK=mask_TK)


def _gather(x_HND: Tensor, piece: Piece) -> Tensor:
    """(H, S, T, D)."""
    if piece.alone is not None:
        return x_HND[:, None, piece.alone]
    gathered: Tensor = x_HND.index_select(1, piece.place_ST.flatten()).unflatten(1, piece.size)
    return gathered


def _probabilities(
    operands: "_Operands", block: _Block, scale: float, softcap: float | None
) -> tuple[Tensor, Tensor | None]:
    """Softmax (J, S, G, T, K), and the capped scores when there is a cap."""
    J, S, G, _, D = operands.q.shape
    q, rows = operands.q[:, :, :, block.first : block.end], block.end - block.first
    k_own = operands.k[:, :, block.keys_from : block.keys_end].reshape(J * S, -1, D)
    scores = torch.bmm(q.reshape(J * S, G * rows, D), k_own.transpose(1, 2)).view(J, S, G, rows, -1)
    if operands.prompt_k is not None and block.prompt_from < operands.prompt_k.shape[1]:
        k_prompt = operands.prompt_k[:, block.prompt_from :]
        seen = torch.bmm(q.reshape(J, S * G * rows, D), k_prompt.transpose(1, 2))
        scores = torch.cat([seen.view(J, S, G, rows, -1), scores], dim=-1)
    scores *= scale
    capped = None
    if softcap is not None:
        capped = scores.div_(softcap).tanh_().mul_(softcap)
        scores = capped.clone()
    scores[..., -block.mask_TK.shape[1] :] += block.mask_TK
    return torch.softmax(scores, dim=-1, dtype=torch.promote_types(q.dtype, torch.float32)).to(q.dtype), capped


class _SegmentAttention(torch.autograd.Function):
    """softmax(q k^T * scale + mask) v for every segment; dS = P (dP - sum(P dP)) in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        q_HND: Tensor,
        k_JND: Tensor,
        v_JND: Tensor,
        plan: AttentionPlan,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        heads, tokens, _ = q_HND.shape
        out_NHD = q_HND.new_empty(tokens, heads, v_JND.shape[-1])
        room = _SCORES_KEPT // plan.layers if any(ctx.needs_input_grad[:3]) else 0
        kept: list[Tensor] = []
        for piece in plan.pieces:
            operands = _operands(q_HND, k_JND, v_JND, piece)
            J, S, G, T, _ = operands.q.shape
            out = q_HND.new_empty(J, S, G, T, v_JND.shape[-1])
            for block in _blocks(piece, window, q_HND.device, q_HND.dtype):
                p, _ = _probabilities(operands, block, scale, softcap)
                out[:, :, :, block.first : block.end] = _mixed(p, operands, block)
                keeps = softcap is None and p.numel() <= room
                room -= p.numel() if keeps else 0
                kept.append(p if keeps else p.new_empty(0))
            _scatter(out_NHD, out, piece)
        ctx.save_for_backward(q_HND, k_JND, v_JND, *kept)
        ctx.rest = (plan, scale, window, softcap)
        return out_NHD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q_HND, k_JND, v_JND, *kept = ctx.saved_tensors
        plan, scale, window, softcap = ctx.rest
        dout_HND = gradients[0].transpose(0, 1)
        found = tuple(torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in (q_HND, k_JND, v_JND))
        remaining = iter(kept)
        for piece in plan.pieces:
            operands = _operands(q_HND, k_JND, v_JND, piece)
            dout = _queries(dout_HND, piece, k_JND.shape[0])
            if piece.real_ST is not None:
                dout *= piece.real_ST[None, :, None, :, None]  # gathered, so in memory of its own
            own = _own_gradients(found, operands, piece)
            for block in _blocks(piece, window, q_HND.device, q_HND.dtype):
                p, capped = next(remaining), None
                if not p.numel():
                    p, capped = _probabilities(operands, block, scale, softcap)
                _block_gradients(operands, p, capped, dout, piece, block, own, found, scale=scale, softcap=softcap)
            if piece.alone is None:
                for whole, part in zip(found, own, strict=True):
                    _scatter_add(whole, part, piece)
        return *found, None, None, None, None


def _block_gradients(
    operands: "_Operands",
    p: Tensor,
    capped: Tensor | None,
    dout: Tensor,
    piece: Piece,
    block: _Block,
    own: Sequence[Tensor],
    found: Sequence[Tensor],
    *,
    scale: float,
    softcap: float | None,
) -> None:
    """Add one block's gradients: to the piece's own queries, keys and values, and to its prompt's in `found`."""
    J, S, _, _, D = operands.q.shape
    at, keys = slice(block.first, block.end), slice(block.keys_from, block.keys_end)
    own_keys = block.keys_end - block.keys_from
    shared = p.shape[-1] - own_keys
    q, dout = operands.q[:, :, :, at], dout[:, :, :, at]
    q_own, dout_own = q.reshape(J * S, -1, D), dout.reshape(J * S, -1, dout.shape[-1])
    q_all, dout_all = q.reshape(J, -1, D), dout.reshape(J, -1, dout.shape[-1])
    k_own = operands.k[:, :, keys].reshape(J * S, own_keys, D)
    v_own = operands.v[:, :, keys].reshape(J * S, own_keys, -1)
    dp = torch.bmm(dout_own, v_own.transpose(1, 2)).view(*p.shape[:-1], own_keys)
    if shared:
        assert operands.prompt_v is not None
        dp_prompt = torch.bmm(dout_all, operands.prompt_v[:, block.prompt_from :].transpose(1, 2))
        dp = torch.cat([dp_prompt.view(*p.shape[:-1], shared), dp], dim=-1)
    wide = torch.promote_types(p.dtype, torch.float32)
    ds = torch._softmax_backward_data(dp.to(wide), p.to(wide), -1, wide).to(p.dtype)
    if capped is not None and softcap is not None:
        ds *= 1 - (capped / softcap).square()
    ds *= scale
    p_own, ds_own = (x.view(J * S, -1, p.shape[-1])[..., shared:] for x in (p, ds))
    own[2][:, :, keys] += torch.bmm(p_own.transpose(1, 2), dout_own).view(J, S, own_keys, -1)
    own[1][:, :, keys] += torch.bmm(ds_own.transpose(1, 2), q_own).view(J, S, own_keys, D)
    dq = torch.bmm(ds_own, k_own).view(q.shape)
    if shared:
        assert piece.prompt is not None
        assert operands.prompt_k is not None
        place = slice(piece.prompt[0] + block.prompt_from, sum(piece.prompt))
        p_all, ds_all = (x.view(J, -1, p.shape[-1])[..., :shared] for x in (p, ds))
        found[2][:, place] += torch.bmm(p_all.transpose(1, 2), dout_all)
        found[1][:, place] += torch.bmm(ds_all.transpose(1, 2), q_all)
        dq += torch.bmm(ds_all, operands.prompt_k[:, block.prompt_from :]).view(q.shape)
    own[0][:, :, :, at] = dq


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operands:
    """What a piece is computed from: queries (J, S, G, T, D), keys and values (J, S, T, D), the prompt's (J, P, D)."""

    q: Tensor
    k: Tensor
    v: Tensor
    prompt_k: Tensor | None
    prompt_v: Tensor | None


def _own_gradients(found: Sequence[Tensor], operands: "_Operands", piece: Piece) -> list[Tensor]:
    """Where a piece's own gradients are added up: a view of the whole, or memory of their own when gathered."""
    if piece.alone is None:
        return [torch.zeros_like(x) for x in (operands.q, operands.k, operands.v)]
    kv_heads = operands.k.shape[0]
    return [found[0][:, piece.alone].unflatten(0, (kv_heads, 1, -1)), *(x[:, None, piece.alone] for x in found[1:])]


def _queries(x_HND: Tensor, piece: Piece, kv_heads: int) -> Tensor:
    """(J, S, G, T, D): the query heads of a key/value head beside one another."""
    if piece.alone is not None:
        alone: Tensor = x_HND[:, piece.alone].unflatten(0, (kv_heads, 1, -1))
        return alone
    gathered: Tensor = _gather(x_HND, piece).unflatten(0, (kv_heads, -1)).transpose(1, 2).contiguous()
    return gathered


def _operands(q_HND: Tensor, k_JND: Tensor, v_JND: Tensor, piece: Piece) -> _Operands:
    place = None if piece.prompt is None else slice(piece.prompt[0], sum(piece.prompt))
    return _Operands(
        q=_queries(q_HND, piece, k_JND.shape[0]),
        k=_gather(k_JND, piece),
        v=_gather(v_JND, piece),
        prompt_k=None if place is None else k_JND[:, place],
        prompt_v=None if place is None else v_JND[:, place],
    )


def _mixed(p: Tensor, operands: _Operands, block: _Block) -> Tensor:
    """The values of prompt and own keys by their probabilities, (J, S, G, T, D)."""
    J, S, G, T, keys = p.shape
    own = block.keys_end - block.keys_from
    v_own = operands.v[:, :, block.keys_from : block.keys_end].reshape(J * S, own, -1)
    out = torch.bmm(p.view(J * S, G * T, keys)[..., keys - own :], v_own).view(J, S, G, T, -1)
    if keys > own:
        assert operands.prompt_v is not None
        p_prompt = p.view(J, S * G * T, keys)[..., : keys - own]
        out += torch.bmm(p_prompt, operands.prompt_v[:, block.prompt_from :]).view(out.shape)
    return out


def _scatter(out_NHD: Tensor, out_JSGTD: Tensor, piece: Piece) -> None:
    J, S, G, T, D = out_JSGTD.shape
    if piece.alone is not None:
        out_NHD[piece.alone].view(T, J, G, D).copy_(out_JSGTD[:, 0].permute(2, 0, 1, 3))
        return
    place, values = piece.place_ST.flatten(), out_JSGTD.permute(1, 3, 0, 2, 4).reshape(S * T, J * G, D)
    if piece.real_ST is not None:
        real = piece.real_ST.flatten()
        place, values = place[real], values[real]
    out_NHD.index_copy_(0, place, values)


def _scatter_add(whole_HND: Tensor, part: Tensor, piece: Piece) -> None:
    """Each flat token is in one segment, so only prompts, which several pieces share, meet a number already there."""
    heads, size = whole_HND.shape[0], whole_HND.shape[2]
    part_HSTD = part.transpose(1, 2) if part.ndim == 5 else part
    place, values = piece.place_ST.flatten(), part_HSTD.reshape(heads, -1, size)
    if piece.real_ST is not None:
        real = piece.real_ST.flatten()
        place, values = place[real], values[:, real]
    whole_HND.index_add_(1, place, values)
