"""The flat batch: the tokens of all sequences in one row, a prompt once for all its completions, no pad token anywhere.

    flat tokens   [p p p p | a a a | b b b b b | q q | c c c]      two prompts p, q; completions a, b of p and c of q
    positions      0 1 2 3   4 5 6   4 5 6 7 8   0 1   2 3 4       each completion continues its prompt
    attended by            a: p + a    b: p + b        c: q + c

Products with weights run on the N flat tokens. Only attention is laid out in rows (S segments, padded to the longest
inside the kernel's call), by gather indices made here. The ONE shift of the system is made here too: the logits at a
token's predecessor are compared with the token, and what comes out is (B, T), aligned to the completions' tokens.

Legend: N flat token, S segment, Q query place in its segment, K key place, A asked-for position, B completion, T token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["FlatBatch", "TokenGroup", "flat_batch", "micro_batches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGroup:
    """A prompt with its completions: `TokenGroup(prompt_ids=(1, 5), completions=((7, 2), (8, 9, 2)), loss_masks=...)`.

    SFT has one completion, a comparison two, a GRPO group G. `loss_masks` says which completion tokens are trained
    (True) and has the completions' shape. Prompts and completions are never empty.
    """

    prompt_ids: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]
    loss_masks: tuple[tuple[bool, ...], ...]

    def __post_init__(self) -> None:
        assert self.prompt_ids, "a prompt needs at least one token to predict from"
        assert all(self.completions), "a completion needs at least its end token"
        assert [len(mask) for mask in self.loss_masks] == [len(ids) for ids in self.completions]

    @property
    def tokens(self) -> int:
        """How many tokens go through the model."""
        return len(self.prompt_ids) + sum(map(len, self.completions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """How attention is laid out: each segment's queries are consecutive flat tokens, its keys are gathered.

    `query_index_SQ` and `key_index_SK` point into the flat tokens (0 where padded); `mask_SQK` is True where a query
    may look; `query_place_N` finds each flat token again in the flattened (S, Q). Padded queries look at key 0, so that
    no row of the softmax is empty; nothing reads them.
    """

    query_index_SQ: Tensor
    key_index_SK: Tensor
    mask_SQK: Tensor
    query_place_N: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatBatch:
    """Sequences as one row of tokens; see the module's picture."""

    tokens_N: Tensor
    positions_N: Tensor
    segments: Segments
    asked_A: Tensor  # flat place whose logits are needed: each trained token's predecessor
    targets_A: Tensor  # the trained token itself
    place_A: Tensor  # its place in the flattened (B, T)
    mask_BT: Tensor  # True = asked for
    last_B: Tensor  # flat place of each completion's last token
    segment_B: Tensor  # the segment of each completion; its keys are the whole sequence, prompt first
    groups: tuple[int, ...]  # completions in each group, in order

    @property
    def size(self) -> tuple[int, int]:
        """(B, T)."""
        return self.mask_BT.shape[0], self.mask_BT.shape[1]

    def lay_out(self, values_A: Tensor) -> Tensor:
        """One value per asked position, as (B, T) with zeros elsewhere; differentiable."""
        rows, columns = self.size
        flat = values_A.new_zeros(rows * columns).index_put((self.place_A,), values_A)
        return flat.view(rows, columns)


def _segment_spans(groups: Sequence[TokenGroup]) -> list[tuple[int, int, int, int]]:
    """(first query, queries, first prompt key, prompt keys) of each segment: a prompt, then its completions."""
    spans, place = [], 0
    for group in groups:
        prompt_at, prompt_length = place, len(group.prompt_ids)
        spans.append((place, prompt_length, 0, 0))
        place += prompt_length
        for completion in group.completions:
            spans.append((place, len(completion), prompt_at, prompt_length))
            place += len(completion)
    return spans


def _segments(spans: Sequence[tuple[int, int, int, int]], *, device: torch.device) -> Segments:
    first_S, queries_S, shared_at_S, shared_S = (
        np.array(column, dtype=np.int64) for column in zip(*spans, strict=True)
    )
    longest_query, longest_key = int(queries_S.max()), int((queries_S + shared_S).max())
    q, k = np.arange(longest_query), np.arange(longest_key)
    is_query_SQ = q < queries_S[:, None]
    query_SQ = np.where(is_query_SQ, first_S[:, None] + q, 0)
    own_SK = k - shared_S[:, None]  # place among the segment's own tokens; negative for the shared prompt
    key_SK = np.where(own_SK < 0, shared_at_S[:, None] + k, first_S[:, None] + own_SK)
    key_SK = np.where(own_SK < queries_S[:, None], key_SK, 0)
    mask_SQK = (own_SK[:, None, :] <= q[None, :, None]) & is_query_SQ[:, :, None]
    mask_SQK[:, :, 0] |= ~is_query_SQ
    return Segments(
        query_index_SQ=torch.from_numpy(query_SQ).to(device),
        key_index_SK=torch.from_numpy(key_SK).to(device),
        mask_SQK=torch.from_numpy(mask_SQK).to(device),
        query_place_N=torch.from_numpy(np.flatnonzero(is_query_SQ)).to(device),
    )


def flat_batch(groups: Sequence[TokenGroup], *, device: torch.device | str = "cpu") -> FlatBatch:
    """Lay the groups out as one flat batch on `device`; at least one group."""
    device = torch.device(device)
    tokens: list[int] = []
    positions: list[int] = []
    asked: list[int] = []
    targets: list[int] = []
    where: list[tuple[int, int]] = []
    last: list[int] = []
    row = 0
    for group in groups:
        prompt_last, start = len(tokens) + len(group.prompt_ids) - 1, len(group.prompt_ids)
        tokens += group.prompt_ids
        positions += range(start)
        for completion, mask in zip(group.completions, group.loss_masks, strict=True):
            at = len(tokens)
            tokens += completion
            positions += range(start, start + len(completion))
            for t, (token, is_asked) in enumerate(zip(completion, mask, strict=True)):
                if is_asked:
                    asked.append(prompt_last if t == 0 else at + t - 1)
                    targets.append(token)
                    where.append((row, t))
            last.append(at + len(completion) - 1)
            row += 1
    longest = max(len(completion) for group in groups for completion in group.completions)
    place = torch.tensor([r * longest + t for r, t in where], dtype=torch.long, device=device)
    mask_BT = torch.zeros(row * longest, dtype=torch.bool, device=device)
    mask_BT[place] = True
    spans = _segment_spans(groups)
    return FlatBatch(
        tokens_N=torch.tensor(tokens, dtype=torch.long, device=device),
        positions_N=torch.tensor(positions, dtype=torch.long, device=device),
        segments=_segments(spans, device=device),
        asked_A=torch.tensor(asked, dtype=torch.long, device=device),
        targets_A=torch.tensor(targets, dtype=torch.long, device=device),
        place_A=place,
        mask_BT=mask_BT.view(row, longest),
        last_B=torch.tensor(last, dtype=torch.long, device=device),
        segment_B=torch.tensor([s for s, span in enumerate(spans) if span[3]], dtype=torch.long, device=device),
        groups=tuple(len(group.completions) for group in groups),
    )


def micro_batches(groups: Sequence[TokenGroup], *, max_tokens: int) -> list[list[TokenGroup]]:
    """Cut groups, in order and whole, into pieces of at most `max_tokens` tokens; a larger group is a piece alone."""
    pieces: list[list[TokenGroup]] = []
    room = 0
    for group in groups:
        if not pieces or group.tokens > room:
            pieces.append([])
            room = max_tokens
        pieces[-1].append(group)
        room -= group.tokens
    return pieces
