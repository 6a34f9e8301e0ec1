"""The keys and values of rows that are being decoded: a prompt's once for its whole group, a row's own beside them.

`KeyCache` stands in the place of the model's attention while a token of every row goes through the model's own forward.
Rows enter by groups and leave by themselves; memory is what is used, in blocks, never the longest that might come.

Legend: R row being decoded, P prompt, W rows of a prompt (padded to the most), J key/value head, G query head of the
same key/value head (H = J x G), L own key, K prompt key, D head size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whet.models.segments import AttentionPlan

__all__ = ["KeyCache", "Prefill"]

# Own keys are allocated in multiples of this many places.
_BLOCK = 64


class Prefill:
    """Attends as `plan` does and remembers every layer's keys and values, (J, N, D)."""

    def __init__(self, plan: AttentionPlan) -> None:
        self.plan = plan
        self.layers: list[tuple[Tensor, Tensor]] = []

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
        self.layers.append((key_JND, value_JND))
        return self.plan.attend(module, query_HND, key_JND, value_JND, scale=scale, window=window, softcap=softcap)


@dataclass(slots=True, kw_only=True)
class _Layer:
    """One layer's keys and values: the prompts' (P, J, K, D) and the rows' own (R and more, J, L and more, D)."""

    prompt_k: Tensor
    prompt_v: Tensor
    own_k: Tensor
    own_v: Tensor


class KeyCache:
    """Of rows in the order in which they entered; `length_R` counts a row's own tokens, a copied prompt included.

    With `shares` a prompt's keys are kept once for all its rows; without, each row holds them among its own, which is
    less work where every prompt has one row.
    """

    def __init__(self, *, shares: bool, device: torch.device) -> None:
        self.shares = shares
        self.device = device
        self.layers: list[_Layer] = []
        self.length_R = torch.zeros(0, dtype=torch.long, device=device)
        self.prompt_length_P = torch.zeros(0, dtype=torch.long, device=device)
        self.prompt_of_R: list[int] = []
        self._next_layer = 0

    @property
    def rows(self) -> int:
        return len(self.prompt_of_R)

    @property
    def positions(self) -> Tensor:
        """The position of each row's next token, (R,)."""
        if not self.shares:
            return self.length_R
        return self.length_R + self.prompt_length_P[torch.tensor(self.prompt_of_R, device=self.device)]

    def enter(self, prefill: Prefill, places: Sequence[tuple[int, int]], rows_each: int) -> None:
        """Add `rows_each` rows for each prompt; `places` are its first flat token and its length in the prefill."""
        first_prompt = len(self.prompt_length_P)
        new = [first_prompt + p for p in range(len(places)) for _ in range(rows_each)]
        lengths = torch.tensor([length for _, length in places], device=self.device)
        own = lengths.repeat_interleave(rows_each) if not self.shares else lengths.new_zeros(len(new))
        if not self.layers:
            self.layers = [_empty_layer(k, v) for k, v in prefill.layers]
        room = int(own.max()) + 1
        for layer, (k_JND, v_JND) in zip(self.layers, prefill.layers, strict=True):
            k_PJKD, v_PJKD = _by_prompt(k_JND, places), _by_prompt(v_JND, places)
            _grow(layer, rows=self.rows + len(new), places=room)
            if self.shares:
                layer.prompt_k, layer.prompt_v = _joined(layer.prompt_k, k_PJKD), _joined(layer.prompt_v, v_PJKD)
                continue
            longest = k_PJKD.shape[2]
            layer.own_k[self.rows : self.rows + len(new), :, :longest] = k_PJKD
            layer.own_v[self.rows : self.rows + len(new), :, :longest] = v_PJKD
        self.prompt_of_R += new
        self.length_R = torch.cat([self.length_R, own])
        self.prompt_length_P = torch.cat([self.prompt_length_P, lengths])
        self._arrange()

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the chosen rows, in their order; a prompt without rows leaves too."""
        kept_R = torch.tensor(rows, dtype=torch.long, device=self.device)
        longest = self._longest
        prompts = sorted({self.prompt_of_R[row] for row in rows})
        kept_P = torch.tensor(prompts, dtype=torch.long, device=self.device)
        widest = int(self.prompt_length_P[kept_P].max())
        for layer in self.layers:
            for own in (layer.own_k, layer.own_v):
                own[: len(rows), :, :longest] = own[kept_R, :, :longest]
            if self.shares and len(prompts) < len(self.prompt_length_P):
                layer.prompt_k = layer.prompt_k[kept_P, :, :widest]
                layer.prompt_v = layer.prompt_v[kept_P, :, :widest]
        place_of = {prompt: place for place, prompt in enumerate(prompts)}
        self.prompt_of_R = [place_of[self.prompt_of_R[row]] for row in rows]
        self.length_R, self.prompt_length_P = self.length_R[kept_R], self.prompt_length_P[kept_P]
        self._arrange()

    def begin(self) -> None:
        """One token of every row is about to go through the layers."""
        self._next_layer = 0
        self.length_R = self.length_R + 1
        self._longest += 1
        self._shortest += 1

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
        """(R, H, D): each row's one query over its prompt's keys and its own, the new one included."""
        layer, self._next_layer = self.layers[self._next_layer], self._next_layer + 1
        rows, longest, heads = self.rows, self._longest, key_JND.shape[0]
        _grow(layer, rows=rows, places=longest)
        self._put(layer.own_k, key_JND)
        self._put(layer.own_v, value_JND)
        q_RJGD = query_HND.transpose(0, 1).reshape(rows, heads, -1, query_HND.shape[-1])
        own_k, own_v = layer.own_k[:rows, :, :longest], layer.own_v[:rows, :, :longest]
        scores = torch.matmul(q_RJGD, own_k.transpose(2, 3)).mul_(scale)
        if self.shares:
            scores = torch.cat([self._prompt_scores(q_RJGD, layer.prompt_k).mul_(scale), scores], dim=-1)
        if softcap is not None:
            scores = scores.div_(softcap).tanh_().mul_(softcap)
        if (mask := self._mask(window, scores.dtype)) is not None:
            scores += mask
        p = torch.softmax(scores, dim=-1, dtype=torch.float32).to(q_RJGD.dtype)
        out = torch.matmul(p[..., -longest:], own_v)
        if self.shares:
            out = out + self._prompt_values(p[..., :-longest], layer.prompt_v)
        return out.reshape(rows, -1, own_v.shape[-1])

    def _put(self, own: Tensor, new_JND: Tensor) -> None:
        if self._shortest == self._longest:
            own[: self.rows, :, self._longest - 1] = new_JND.transpose(0, 1)
        else:
            own[self._row_R, :, self.length_R - 1] = new_JND.transpose(0, 1)

    def _arrange(self) -> None:
        """What follows from which rows there are: where each stands in the grid of prompts and their rows."""
        self._row_R = torch.arange(self.rows, device=self.device)
        self._longest = int(self.length_R.max()) if self.rows else 0
        self._shortest = int(self.length_R.min()) if self.rows else 0
        if not self.shares:
            return
        prompts = len(self.prompt_length_P)
        count = [0] * prompts
        place = []
        for prompt in self.prompt_of_R:
            place.append((prompt, count[prompt]))
            count[prompt] += 1
        widest = max(count, default=0)
        self._is_grid = all(each == widest for each in count)
        grid = [0] * (prompts * widest)
        for row, (prompt, at) in enumerate(place):
            grid[prompt * widest + at] = row
        self._grid_PW = torch.tensor(grid, device=self.device).view(prompts, widest)
        self._place_R = torch.tensor([prompt * widest + at for prompt, at in place], device=self.device)
        self._prompt_R = torch.tensor(self.prompt_of_R, dtype=torch.long, device=self.device)

    def _prompt_scores(self, q_RJGD: Tensor, prompt_k_PJKD: Tensor) -> Tensor:
        """(R, J, G, K): one product for all rows of a prompt."""
        q_PWJGD = q_RJGD.view(*self._grid_PW.shape, *q_RJGD.shape[1:]) if self._is_grid else q_RJGD[self._grid_PW]
        P, W, J, G, D = q_PWJGD.shape
        q = q_PWJGD.transpose(1, 2).reshape(P, J, W * G, D)
        scores = torch.matmul(q, prompt_k_PJKD.transpose(2, 3)).view(P, J, W, G, -1).transpose(1, 2)
        return self._as_rows(scores.reshape(P * W, J, G, -1))

    def _prompt_values(self, p_RJGK: Tensor, prompt_v_PJKD: Tensor) -> Tensor:
        """(R, J, G, D)."""
        p_PWJGK = p_RJGK.unflatten(0, self._grid_PW.shape) if self._is_grid else p_RJGK[self._grid_PW]
        P, W, J, G, K = p_PWJGK.shape
        p = p_PWJGK.transpose(1, 2).reshape(P, J, W * G, K)
        out = torch.matmul(p, prompt_v_PJKD).view(P, J, W, G, -1).transpose(1, 2)
        return self._as_rows(out.reshape(P * W, J, G, -1))

    def _as_rows(self, x: Tensor) -> Tensor:
        return x if self._is_grid else x[self._place_R]

    def _mask(self, window: int | None, dtype: torch.dtype) -> Tensor | None:
        """0 or -inf over [prompt keys] + [own keys], (R, 1, 1, K + L); None where every row sees everything."""
        is_even = self._shortest == self._longest
        own_L = torch.arange(self._longest, device=self.device)
        seen = own_L < self.length_R[:, None]
        if self.shares:
            length_R = self.prompt_length_P[self._prompt_R]
            prompt_K = torch.arange(int(self.prompt_length_P.max()), device=self.device)
            is_even = is_even and bool((self.prompt_length_P == self.prompt_length_P[0]).all())
            seen_prompt = prompt_K < length_R[:, None]
            if window is not None:
                seen_prompt &= prompt_K > (length_R + self.length_R - 1)[:, None] - window
                seen &= own_L > (self.length_R - 1)[:, None] - window
            seen = torch.cat([seen_prompt, seen], dim=1)
        elif window is not None:
            seen &= own_L > (self.length_R - 1)[:, None] - window
        if is_even and window is None:
            return None
        mask = torch.zeros(seen.shape, dtype=dtype, device=self.device).masked_fill_(~seen, -math.inf)
        return mask[:, None, None]


def _empty_layer(k_JND: Tensor, v_JND: Tensor) -> _Layer:
    k, v = (x.new_zeros(0, x.shape[0], 0, x.shape[2]) for x in (k_JND, v_JND))
    return _Layer(prompt_k=k, prompt_v=v, own_k=k, own_v=v)


def _by_prompt(x_JND: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
    """(P, J, K, D), zero behind a prompt's end: a mask does not stop what is not finite."""
    longest = max(length for _, length in places)
    out = x_JND.new_zeros(len(places), x_JND.shape[0], longest, x_JND.shape[2])
    for p, (at, length) in enumerate(places):
        out[p, :, :length] = x_JND[:, at : at + length]
    return out


def _joined(a_PJKD: Tensor, b_PJKD: Tensor) -> Tensor:
    longest = max(a_PJKD.shape[2], b_PJKD.shape[2])
    grown = [nn.functional.pad(x, (0, 0, 0, longest - x.shape[2])) for x in (a_PJKD, b_PJKD)]
    return torch.cat(grown)


def _grow(layer: _Layer, *, rows: int, places: int) -> None:
    """Room for so many rows and own places, in blocks; nothing is moved while there is room."""
    have_rows, have_places = layer.own_k.shape[0], layer.own_k.shape[2]
    if rows <= have_rows and places <= have_places:
        return
    rows = max(rows, have_rows)
    places = max(math.ceil(places / _BLOCK) * _BLOCK, have_places)
    for name in ("own_k", "own_v"):
        old = getattr(layer, name)
        new = old.new_zeros(rows, old.shape[1], places, old.shape[3])
        new[:have_rows, :, :have_places] = old
        setattr(layer, name, new)
