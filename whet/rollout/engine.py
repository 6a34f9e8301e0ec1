"""Batched decoding: a prompt prefilled once for its group, finished rows leave and waiting ones enter at once.

Legend: R row being decoded, V vocabulary, T completion token, C channel.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from whet.core.records import Prompt, Rollout
from whet.models.attention import attending
from whet.models.decoder import Decoder
from whet.models.load import context_of
from whet.models.segments import plan_attention
from whet.rollout.cache import KeyCache, Prefill
from whet.rollout.own_steps import OwnSteps
from whet.rollout.sampling import SamplingSettings, choose_tokens, uniforms
from whet.tokens.batches import Segment
from whet.tokens.template import Template

__all__ = ["Sampler"]

# Rows leave and enter together, when this share of the places would be free: each change of the batch moves its cache.
_CHANGE_SHARE = 1 / 8


@dataclass(slots=True, kw_only=True)
class _Row:
    """One completion being written."""

    index: int
    limit: int  # tokens it may have: the setting's, or what the model's context leaves
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    has_stopped: bool = False

    @property
    def is_done(self) -> bool:
        return self.has_stopped or len(self.ids) >= self.limit


@dataclass(slots=True, kw_only=True)
class _Group:
    """A prompt's rows, which enter together."""

    prompt_ids: tuple[int, ...]
    rows: list[_Row]


class Sampler:
    """Completions of prompts under one model. `decode_rows` bounds how many are decoded at once."""

    def __init__(self, model: nn.Module | Decoder, template: Template, *, decode_rows: int = 128) -> None:
        self.decoder = model if isinstance(model, Decoder) else Decoder(model, trains=False)
        self.template = template
        self.decode_rows = decode_rows

    @property
    def told(self) -> str:
        """One line for the terminal: by which forward completions are sampled, and why."""
        return self.decoder.told

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

        A completion ends with a stop token, at `max_completion_length`, or where the model's context ends; a prompt
        that leaves no room there gets empty ones. `tick` is called with how many completions have finished since.
        """
        assert len(seeds) == len(prompts) * samples
        groups = []
        for p, ids in enumerate(self.template.prompt_ids(prompt) for prompt in prompts):
            limit = self._room(ids, settings)
            rows = [_Row(index=p * samples + g, limit=limit) for g in range(samples)]
            groups.append(_Group(prompt_ids=ids, rows=rows))
        draws = _Draws(seeds, settings, self.decoder.device)
        decode = self._decode_flat if self.decoder.kind == "flat" else self._decode_by_length
        decode([group for group in groups if group.rows[0].limit], settings, draws, tick or (lambda done: None))
        return [
            self._rollout(prompt, group.prompt_ids, row, samples)
            for prompt, group in zip(prompts, groups, strict=True)
            for row in group.rows
        ]

    def _room(self, prompt_ids: tuple[int, ...], settings: SamplingSettings) -> int:
        context = context_of(self.decoder.model) or len(prompt_ids) + settings.max_completion_length
        return max(0, min(settings.max_completion_length, context - len(prompt_ids)))

    def _rollout(self, prompt: Prompt, prompt_ids: tuple[int, ...], row: _Row, samples: int) -> Rollout:
        return Rollout(
            prompt=prompt,
            sample=row.index % samples,
            prompt_ids=prompt_ids,
            completion_ids=tuple(row.ids),
            logprobs=tuple(row.logprobs),
            text=self.template.decode(row.ids),
            finish="stop" if row.has_stopped else "length" if row.limit else "no_room",
        )

    def _take(self, rows: Sequence[_Row], token_R: Tensor, logprob_R: Tensor) -> None:
        for row, token, logprob in zip(rows, token_R.tolist(), logprob_R.tolist(), strict=True):
            if not row.is_done:
                row.ids.append(token)
                row.logprobs.append(logprob)
                row.has_stopped = token in self.template.stop_ids

    def _decode_flat(
        self, groups: Sequence[_Group], settings: SamplingSettings, draws: "_Draws", tick: Callable[[int], None]
    ) -> None:
        """All rows through one cache: as many at once as there are places, in the order of the groups."""
        waiting = deque(groups)
        cache = KeyCache(shares=len(groups[0].rows) > 1 if groups else False, device=self.decoder.device)
        rows: list[_Row] = []
        hidden_RC = torch.empty(0, device=self.decoder.device)
        while rows or waiting:
            if waiting and self._may_enter(len(rows), len(waiting[0].rows)):
                entered, hidden = self._enter(waiting, cache, room=self.decode_rows - len(rows))
                hidden_RC = torch.cat([hidden_RC, hidden]) if rows else hidden
                rows += entered
            token_R, logprob_R = choose_tokens(self._logits(hidden_RC), draws.of(rows), settings)
            self._take(rows, token_R, logprob_R)
            kept = [r for r, row in enumerate(rows) if not row.is_done]
            if not kept or len(rows) - len(kept) >= max(1, _CHANGE_SHARE * len(rows)):
                tick(len(rows) - len(kept))
                rows = [rows[r] for r in kept]
                if not rows:
                    cache = KeyCache(shares=cache.shares, device=cache.device)
                    continue
                cache.keep(kept)
                token_R = token_R[torch.tensor(kept, device=token_R.device)]
            hidden_RC = self._step(token_R, cache)

    def _may_enter(self, live: int, group: int) -> bool:
        free = self.decode_rows - live
        return live == 0 or (free >= group and free >= _CHANGE_SHARE * self.decode_rows)

    def _enter(self, waiting: deque[_Group], cache: KeyCache, *, room: int) -> tuple[list[_Row], Tensor]:
        """Prefill as many waiting groups as there is room for, at least one; their rows and hidden states (R, C)."""
        groups = [waiting.popleft()]
        each = len(groups[0].rows)
        while waiting and (len(groups) + 1) * each <= room:
            groups.append(waiting.popleft())
        lengths = [len(group.prompt_ids) for group in groups]
        at = np.cumsum([0, *lengths]).tolist()
        device, decoder = self.decoder.device, self.decoder
        segments = [Segment(at=start, length=length) for start, length in zip(at, lengths, strict=False)]
        prefill = Prefill(plan_attention(segments, layers=decoder.layers, device=device))
        tokens_N = torch.tensor([id_ for group in groups for id_ in group.prompt_ids], device=device)
        positions_N = torch.cat([torch.arange(length, device=device) for length in lengths])
        with attending(decoder.model, prefill):
            hidden_NC = decoder.base(
                input_ids=tokens_N[None], position_ids=positions_N[None], use_cache=False
            ).last_hidden_state[0]
        cache.enter(prefill, list(zip(at, lengths, strict=False)), each)
        last_P = torch.tensor(at[1:], device=device) - 1
        return [row for group in groups for row in group.rows], hidden_NC[last_P.repeat_interleave(each)]

    def _step(self, token_R: Tensor, cache: KeyCache) -> Tensor:
        """Append one token to every row; the hidden state that predicts the next, (R, C)."""
        # A finished row that has not left yet may stand at the context's end, where some models' positions end too.
        positions_R = cache.positions.clamp_max((context_of(self.decoder.model) or 2**31) - 1)
        cache.begin()
        with attending(self.decoder.model, cache):
            output = self.decoder.base(input_ids=token_R[None], position_ids=positions_R[None], use_cache=False)
        hidden_RC: Tensor = output.last_hidden_state[0]
        return hidden_RC

    def _logits(self, hidden_RC: Tensor) -> Tensor:
        logits_RV: Tensor = self.decoder.rule(self.decoder.model.get_output_embeddings()(hidden_RC))
        return logits_RV

    def _decode_by_length(
        self, groups: Sequence[_Group], settings: SamplingSettings, draws: "_Draws", tick: Callable[[int], None]
    ) -> None:
        """Rows of prompts of equal length together, by the model's own forward and cache."""
        steps = OwnSteps(self.decoder.model)
        by_length: dict[int, list[tuple[tuple[int, ...], _Row]]] = {}
        for group in groups:
            alike = by_length.setdefault(len(group.prompt_ids), [])
            alike += [(group.prompt_ids, row) for row in group.rows]
        for alike in by_length.values():
            for start in range(0, len(alike), self.decode_rows):
                chunk = alike[start : start + self.decode_rows]
                rows = [row for _, row in chunk]
                logits_RV = steps.start(torch.tensor([ids for ids, _ in chunk], device=self.decoder.device))
                while True:
                    token_R, logprob_R = choose_tokens(logits_RV, draws.of(rows), settings)
                    self._take(rows, token_R, logprob_R)
                    if all(row.is_done for row in rows):
                        break
                    logits_RV = steps.step(token_R)
                tick(len(rows))


class _Draws:
    """The uniform number of each row's next token; a finished row, which waits for the others, gets its last again."""

    def __init__(self, seeds: Sequence[int], settings: SamplingSettings, device: torch.device) -> None:
        count = settings.max_completion_length
        is_greedy = settings.temperature == 0
        self._noise_RT = np.zeros((0, count)) if is_greedy else np.stack([uniforms(seed, count) for seed in seeds])
        self._is_greedy = is_greedy
        self._device = device

    def of(self, rows: Sequence[_Row]) -> Tensor:
        if self._is_greedy:
            return torch.zeros(len(rows), dtype=torch.float64, device=self._device)
        index = [row.index for row in rows]
        place = [min(len(row.ids), self._noise_RT.shape[1] - 1) for row in rows]
        return torch.from_numpy(self._noise_RT[index, place]).to(self._device)
