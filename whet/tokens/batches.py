"""The flat batch: the tokens of all sequences in one row, a prompt once for all its completions, no pad token anywhere.

    flat tokens   [p p p p | a a a | b b b b b | q q | c c c]      two prompts p, q; completions a, b of p and c of q
    positions      0 1 2 3   4 5 6   4 5 6 7 8   0 1   2 3 4       each completion continues its prompt
    attended by            a: p + a    b: p + b        c: q + c

Products with weights run on the N flat tokens; attention runs over segments, which are named here. The ONE shift of the
system is made here too: the logits at a token's predecessor are compared with the token, and what comes out is (B, T),
aligned to the completions' tokens.

Legend: N flat token, A asked-for position, B completion, T token.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["FlatBatch", "Row", "Segment", "TokenGroup", "flat_batch", "micro_batches"]


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
class Segment:
    """Consecutive flat tokens that attend to `prompt_length` tokens elsewhere, and causally to one another."""

    at: int
    length: int
    prompt_at: int = 0
    prompt_length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One completion as a row of its own: where its prompt stands in the flat batch, and where it does."""

    prompt_at: int
    prompt_length: int
    at: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatBatch:
    """Sequences as one row of tokens; see the module's picture."""

    tokens_N: Tensor
    positions_N: Tensor
    segments: tuple[Segment, ...]
    rows: tuple[Row, ...]  # one for each completion
    asked_A: Tensor  # flat place whose logits are needed: each trained token's predecessor
    targets_A: Tensor  # the trained token itself
    place_A: Tensor  # its place in the flattened (B, T)
    mask_BT: Tensor  # True = asked for
    last_B: Tensor  # flat place of each completion's last token
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


def _rows(groups: Sequence[TokenGroup]) -> list[Row]:
    rows, place = [], 0
    for group in groups:
        prompt_at, prompt_length = place, len(group.prompt_ids)
        place += prompt_length
        for completion in group.completions:
            rows.append(Row(prompt_at=prompt_at, prompt_length=prompt_length, at=place, length=len(completion)))
            place += len(completion)
    return rows


def _segments(rows: Sequence[Row]) -> list[Segment]:
    """A prompt with one completion is one segment; with several, a segment for the prompt and one for each."""
    segments = []
    for prompt_at, group in itertools.groupby(rows, key=lambda row: row.prompt_at):
        completions = list(group)
        shared = completions[0].prompt_length
        if len(completions) == 1:
            segments.append(Segment(at=prompt_at, length=shared + completions[0].length))
            continue
        segments.append(Segment(at=prompt_at, length=shared))
        segments += [
            Segment(at=row.at, length=row.length, prompt_at=prompt_at, prompt_length=shared) for row in completions
        ]
    return segments


def flat_batch(groups: Sequence[TokenGroup], *, device: torch.device | str = "cpu") -> FlatBatch:
    """Lay the groups out as one flat batch on `device`; at least one group."""
    device = torch.device(device)
    tokens: list[int] = []
    positions: list[int] = []
    asked: list[int] = []
    targets: list[int] = []
    where: list[tuple[int, int]] = []
    last: list[int] = []
    number = 0
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
                    where.append((number, t))
            last.append(at + len(completion) - 1)
            number += 1
    longest = max(len(completion) for group in groups for completion in group.completions)
    place = torch.tensor([r * longest + t for r, t in where], dtype=torch.long, device=device)
    mask_BT = torch.zeros(number * longest, dtype=torch.bool, device=device)
    mask_BT[place] = True
    rows = _rows(groups)
    return FlatBatch(
        tokens_N=torch.tensor(tokens, dtype=torch.long, device=device),
        positions_N=torch.tensor(positions, dtype=torch.long, device=device),
        segments=tuple(_segments(rows)),
        rows=tuple(rows),
        asked_A=torch.tensor(asked, dtype=torch.long, device=device),
        targets_A=torch.tensor(targets, dtype=torch.long, device=device),
        place_A=place,
        mask_BT=mask_BT.view(number, longest),
        last_B=torch.tensor(last, dtype=torch.long, device=device),
        groups=tuple(len(group.completions) for group in groups),
    )


def micro_batches(
    groups: Sequence[TokenGroup], *, max_tokens: int, cuts_groups: bool = False, repeats_prompts: bool = False
) -> list[list[TokenGroup]]:
    """Cut groups, in order, into pieces of at most `max_tokens` tokens; what is larger by itself is a piece alone.

    With `cuts_groups` a larger group is cut by completions, its prompt repeated, which changes no number, and the
    completions stay in order; not for losses that compare a group's completions. `repeats_prompts` counts a prompt once
    for each completion, for models that compute it so.
    """
    if cuts_groups:
        groups = [part for group in groups for part in _parts(group, max_tokens, repeats_prompts)]
    pieces: list[list[TokenGroup]] = []
    room = 0
    for group in groups:
        size = _size(len(group.prompt_ids), group.completions, repeats_prompts)
        if not pieces or size > room:
            pieces.append([])
            room = max_tokens
        pieces[-1].append(group)
        room -= size
    return pieces


def _size(prompt: int, completions: Sequence[tuple[int, ...]], repeats_prompts: bool) -> int:
    return prompt * (len(completions) if repeats_prompts else 1) + sum(map(len, completions))


def _parts(group: TokenGroup, max_tokens: int, repeats_prompts: bool) -> list[TokenGroup]:
    prompt = len(group.prompt_ids)
    if _size(prompt, group.completions, repeats_prompts) <= max_tokens:
        return [group]
    parts: list[list[int]] = []
    room = 0
    for index, completion in enumerate(group.completions):
        size = len(completion) + (prompt if repeats_prompts else 0)
        if not parts or size > room:
            parts.append([])
            room = max_tokens - (0 if repeats_prompts else prompt)
        parts[-1].append(index)
        room -= size
    return [
        TokenGroup(
            prompt_ids=group.prompt_ids,
            completions=tuple(group.completions[index] for index in part),
            loss_masks=tuple(group.loss_masks[index] for index in part),
        )
        for part in parts
    ]
