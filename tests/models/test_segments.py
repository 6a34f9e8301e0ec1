"""Attention by segments against one dense softmax over everything, in float64, values and gradients."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from whet.models import segments as module
from whet.models.segments import AttentionPlan, plan_attention
from whet.tokens.batches import Segment

# A prompt of 5 with completions of 4, 7 and 7; a row of 9 alone; a prompt of 3 with completions of 1 and 2.
SEGMENTS = (
    Segment(at=0, length=5),
    Segment(at=5, length=4, prompt_at=0, prompt_length=5),
    Segment(at=9, length=7, prompt_at=0, prompt_length=5),
    Segment(at=16, length=7, prompt_at=0, prompt_length=5),
    Segment(at=23, length=9),
    Segment(at=32, length=3),
    Segment(at=35, length=1, prompt_at=32, prompt_length=3),
    Segment(at=36, length=2, prompt_at=32, prompt_length=3),
)
TOKENS = 38


def dense(
    q_HND: Tensor, k_JND: Tensor, v_JND: Tensor, *, scale: float, window: int | None, softcap: float | None
) -> Tensor:
    """(N, H, D), token by token: the keys that it sees, their softmax, their values."""
    heads = q_HND.shape[0]
    each = heads // k_JND.shape[0]
    rows = []
    for segment in SEGMENTS:
        prompt = list(range(segment.prompt_at, segment.prompt_at + segment.prompt_length))
        for place in range(segment.length):
            seen = [*prompt, *range(segment.at, segment.at + place + 1)]
            seen = seen[-window:] if window else seen
            outs = []
            for head in range(heads):
                scores = k_JND[head // each, seen] @ q_HND[head, segment.at + place] * scale
                scores = softcap * torch.tanh(scores / softcap) if softcap else scores
                outs.append(torch.softmax(scores, -1) @ v_JND[head // each, seen])
            rows.append(torch.stack(outs))
    return torch.stack(rows)


def inputs(heads: int, kv_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    made = [torch.randn(h, TOKENS, size, generator=generator, dtype=torch.float64) for h, size in
            ((heads, 6), (kv_heads, 6), (kv_heads, 4))]  # fmt: skip
    return made[0].requires_grad_(), made[1].requires_grad_(), made[2].requires_grad_()


def plan() -> AttentionPlan:
    return plan_attention(SEGMENTS, layers=1, device=torch.device("cpu"))


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (3, 1)])
@pytest.mark.parametrize(("window", "softcap"), [(None, None), (4, None), (None, 1.5), (6, 0.7), (1, None)])
@pytest.mark.parametrize("cut", ["gathered", "alone", "blocks", "computed again"])
def test_as_one_softmax_over_everything_that_is_seen(
    heads: tuple[int, int], window: int | None, softcap: float | None, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ALONE", 1 if cut in ("alone", "blocks") else 100)
    if cut == "blocks":
        monkeypatch.setattr(module, "_rows_at_once", lambda length: 2)
    if cut == "computed again":
        monkeypatch.setattr(module, "_SCORES_KEPT", 0)
    given = inputs(*heads)
    options = {"scale": 0.4, "window": window, "softcap": softcap}
    found = plan().attend(torch.nn.Identity(), *given, **options)  # type: ignore[arg-type]
    expected = dense(*given, **options)  # type: ignore[arg-type]
    assert_close(found, expected, atol=1e-12, rtol=1e-12)
    weight = torch.linspace(-1, 2, found.numel(), dtype=torch.float64).view_as(found)
    ours = torch.autograd.grad((found * weight).sum(), given)
    theirs = torch.autograd.grad((expected * weight).sum(), given)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, atol=1e-11, rtol=1e-11)


def test_segments_share_a_piece_when_they_are_of_like_length(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = (10, 9, 8, 7, 100, 3)
    places = [sum(lengths[:index]) for index in range(len(lengths))]
    rows = [Segment(at=at, length=length) for at, length in zip(places, lengths, strict=True)]
    pieces = plan_attention(rows, layers=1, device=torch.device("cpu")).pieces
    # 100 is long enough to be alone; 10, 9, 8 are within 0.8 of 10; 7 is not
    assert [piece.size for piece in pieces] == [(1, 100), (3, 10), (1, 7), (1, 3)]


def test_memory_follows_the_rows_not_the_longest_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of 2,000 among 32 of 100: the scores that are made are those of each row by itself."""
    rows = [Segment(at=0, length=2000)] + [Segment(at=2000 + 100 * r, length=100) for r in range(32)]
    made: list[int] = []
    softmax = torch.softmax

    def counted(scores: Tensor, *args: object, **options: object) -> Tensor:
        made.append(scores.numel())
        return softmax(scores, *args, **options)  # type: ignore[no-any-return, call-overload]

    monkeypatch.setattr(torch, "softmax", counted)
    q, k, v = (torch.randn(1, 5200, 4) for _ in range(3))
    plan_attention(rows, layers=1, device=torch.device("cpu")).attend(
        torch.nn.Identity(), q, k, v, scale=1.0, window=None, softcap=None
    )
    # blocks of 128 queries over the keys up to their own: 2,000 x 2,000 / 2 and half a block more, and 32 x 100 x 100
    assert sum(made) <= 2000 * (2000 + 128) / 2 + 32 * 100 * 100
    assert max(made) <= 128 * 2000


def test_probabilities_are_kept_only_within_their_room(monkeypatch: pytest.MonkeyPatch) -> None:
    given = inputs(4, 4)
    whole = sum(4 * segment.length * (segment.prompt_length + segment.length) for segment in SEGMENTS)
    kept = []
    for room in (0, whole // 2, 10 * whole):
        monkeypatch.setattr(module, "_SCORES_KEPT", room)
        out = plan().attend(torch.nn.Identity(), *given, scale=1.0, window=None, softcap=None)
        kept.append(sum(x.numel() for x in out.grad_fn.saved_tensors[3:]))  # type: ignore[union-attr]
    assert kept[0] == 0
    assert 0 < kept[1] <= whole // 2
    assert kept[2] >= whole


def test_an_option_that_nobody_knows_is_refused() -> None:
    from whet.models.attention import attending, segment_attention

    class Model:
        class config:  # noqa: N801
            _attn_implementation_internal = "sdpa"

            @classmethod
            def get_text_config(cls) -> type:
                return cls

    q = torch.zeros(1, 1, TOKENS, 2)
    with attending(Model, plan()):
        assert Model.config._attn_implementation_internal == "whet_segments"
        with pytest.raises(NotImplementedError, match="s_aux"):
            segment_attention(torch.nn.Identity(), q, q, q, None, s_aux=torch.zeros(1))
    assert Model.config._attn_implementation_internal == "sdpa"
    assert math.isfinite(float(q.sum()))
