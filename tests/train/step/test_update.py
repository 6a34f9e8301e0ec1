import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from whet.core.errors import TrainingStoppedError
from whet.train.step.guards import DeadSignal, DeadSignalGuard, NonFiniteGuard, require_finite_weights
from whet.train.step.optimizers import adamw
from whet.train.step.schedule import learning_rate_at
from whet.train.step.update import StepStats, UpdateStats, step_stats, update


def trained(pieces: list[Tensor], *, denominator: float, steps: int = 3) -> tuple[nn.Linear, UpdateStats]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = adamw(model, weight_decay=0.1)
    for _ in range(steps):
        stats = update(
            model,
            optimizer,
            pieces,
            lambda x: model(x).square(),
            denominator=denominator,
            learning_rate=0.1,
            max_grad_norm=0.5,
        )
    return model, stats


def test_four_micro_batches_equal_one() -> None:
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    # pieces of unequal size: a mean of their means would differ
    whole, whole_stats = trained([x], denominator=16)
    pieces, pieces_stats = trained([x[:1], x[1:2], x[2:7], x[7:]], denominator=16)
    assert_close(pieces.weight, whole.weight, atol=1e-5, rtol=1e-5)
    assert pieces_stats.loss == pytest.approx(whole_stats.loss)
    assert pieces_stats.grad_norm == pytest.approx(whole_stats.grad_norm)


def test_a_step_by_hand() -> None:
    # loss = w * 2 / 4, gradient 0.5, norm 0.5; AdamW's first step moves by the learning rate: 1 - 0.1
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    stats = update(
        model,
        adamw(model, weight_decay=0.0),
        [torch.tensor([[2.0]])],
        model,
        denominator=4.0,
        learning_rate=0.1,
        max_grad_norm=1.0,
    )
    assert (stats.loss, stats.grad_norm, stats.is_applied) == (0.5, 0.5, True)
    assert float(model.weight.detach()) == pytest.approx(0.9, rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_changes_nothing(bad: float) -> None:
    model = nn.Linear(3, 2)
    optimizer, before = adamw(model, weight_decay=0.1), model.weight.detach().clone()
    stats = update(
        model, optimizer, [torch.full((1, 3), bad)], model, denominator=1.0, learning_rate=0.1, max_grad_norm=1.0
    )
    assert not stats.is_applied
    assert torch.equal(model.weight, before)
    assert not optimizer.state


def test_three_bad_steps_in_a_row_stop_the_run() -> None:
    guard = NonFiniteGuard("sft")
    bad = StepStats(loss=math.nan, grad_norm=1.0, skipped=1)
    good = StepStats(loss=1.0, grad_norm=1.0, skipped=0)
    for step, stats in enumerate([bad, bad, good, bad, bad], 1):
        guard.watch(step, stats)
    with pytest.raises(TrainingStoppedError, match="sft stopped at step 6: the loss was not finite in 3 steps"):
        guard.watch(6, bad)


def test_a_bad_gradient_is_called_that() -> None:
    guard = NonFiniteGuard("rl", limit=1)
    with pytest.raises(TrainingStoppedError, match="rl stopped at step 4: the gradient was not finite in 1 steps"):
        guard.watch(4, StepStats(loss=2.0, grad_norm=math.inf, skipped=1))


def test_a_step_of_several_updates_is_their_mean_and_none_hides_behind_the_last() -> None:
    # losses 1 and 4, norms 3 and 5: means 2.5 and 4
    one = UpdateStats(loss=1.0, grad_norm=3.0, is_applied=True)
    other = UpdateStats(loss=4.0, grad_norm=5.0, is_applied=True)
    assert step_stats([one, other]) == StepStats(loss=2.5, grad_norm=4.0, skipped=0)
    bad = UpdateStats(loss=math.inf, grad_norm=1.0, is_applied=False)
    worse = UpdateStats(loss=-math.inf, grad_norm=math.nan, is_applied=False)
    found = step_stats([worse, bad, one])
    assert (math.isfinite(found.loss), math.isfinite(found.grad_norm), found.skipped) == (False, False, 2)


@pytest.mark.parametrize(
    ("dead", "words"),
    [
        ("unscorable", "no completion could be scored"),
        ("equal", "all completions of every prompt got the same reward"),
        ("cut_off", "no token was trained: .* cut off at rl.max_completion_length"),
    ],
)
def test_no_signal_stops_the_run_and_says_which_kind(dead: DeadSignal, words: str) -> None:
    guard = DeadSignalGuard(limit=2)
    guard.watch(1, dead)
    guard.watch(2, None)
    guard.watch(3, "equal")
    with pytest.raises(TrainingStoppedError, match=f"rl stopped at step 4: .* 2 steps in a row; .* {words}"):
        guard.watch(4, dead)


def test_weights_that_are_not_finite_are_never_saved() -> None:
    model = nn.Linear(2, 2)
    require_finite_weights(model, "rl", 1)
    nn.init.constant_(model.bias, math.nan)
    with pytest.raises(TrainingStoppedError, match="the weights of bias are not finite"):
        require_finite_weights(model, "rl", 2)


def test_schedules_by_hand() -> None:
    def rates(kind: str) -> list[float]:
        return [
            round(learning_rate_at(s, steps=6, peak=1.0, warmup_ratio=0.3, kind=kind), 4)  # type: ignore[arg-type]
            for s in range(6)
        ]

    # warm-up of ceil(1.8) = 2 steps, then progress 0, 1/4, 2/4, 3/4
    assert rates("linear") == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    assert rates("constant") == [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert rates("cosine") == [0.5, 1.0, 1.0, round(0.5 + math.sqrt(2) / 4, 4), 0.5, round(0.5 - math.sqrt(2) / 4, 4)]
