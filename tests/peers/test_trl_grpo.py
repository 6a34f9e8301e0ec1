"""The same numbers through TRL's own loss, deviation and reward, with a stand-in trainer. Needs the extra `[peers]`."""

import warnings
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from whet.algorithms.grpo import Grpo, group_advantages
from whet.core.recipe import RlSettings
from whet.rewards.verifiers.overlong import soft_punishment

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("trl", reason="TRL is not installed (pip install 'whet[peers]')")
    from trl.rewards import get_soft_overlong_punishment
    from trl.trainer.grpo_trainer import GRPOTrainer, nanstd

LENGTHS = (3, 5, 1, 4, 2, 5, 5, 1)
LIMIT = 8


class Trainer(SimpleNamespace):
    """What `GRPOTrainer._compute_loss` reads of its trainer; the loss itself is TRL's."""

    loss_type: str

    def _get_per_token_logps_and_entropies(self, *positional: Any, **named: Any) -> tuple[Tensor, Tensor, None]:
        return self.logprobs_BT, torch.zeros_like(self.logprobs_BT), None


def trl_loss(logprobs_BT: Tensor, rest: dict[str, Tensor], settings: RlSettings) -> Tensor:
    mask_BT = rest["mask"]
    trainer = Trainer(
        logprobs_BT=logprobs_BT,
        loss_type=settings.loss_type,
        beta=settings.beta,
        epsilon_low=settings.epsilon,
        epsilon_high=settings.epsilon if settings.epsilon_high is None else settings.epsilon_high,
        max_completion_length=settings.max_completion_length,
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="token",
        use_vllm=False,
        current_gradient_accumulation_steps=1,
        model=SimpleNamespace(training=True),
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        accelerator=SimpleNamespace(num_processes=1, gather=lambda value: value, reduce=lambda value, reduction: value),
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {
        "prompt_ids": torch.zeros(8, 1, dtype=torch.long),
        "prompt_mask": torch.ones(8, 1, dtype=torch.long),
        "completion_ids": torch.zeros(8, 5, dtype=torch.long),
        "completion_mask": mask_BT.long(),
        "advantages": rest["advantages"],
        "old_per_token_logps": rest["old"],
        "ref_per_token_logps": rest["reference"],
        "num_items_in_batch": mask_BT.sum(),
    }
    loss: Tensor = GRPOTrainer._compute_loss(trainer, None, inputs)
    return loss


@pytest.mark.parametrize("loss_type", ["dapo", "grpo", "dr_grpo"])
@pytest.mark.parametrize(("beta", "epsilon_high"), [(0.0, None), (0.04, 0.28)])
def test_loss_and_gradient_are_trls(loss_type: str, beta: float, epsilon_high: float | None) -> None:
    settings = RlSettings.model_validate(
        {"loss_type": loss_type, "beta": beta, "epsilon_high": epsilon_high, "max_completion_length": LIMIT}
    )
    generator = torch.Generator().manual_seed(5)
    old_BT = -torch.rand(8, 5, generator=generator) - 0.5
    rest = {
        "old": old_BT,
        "reference": old_BT + 0.2 * torch.randn(8, 5, generator=generator),
        "advantages": torch.randn(8, generator=generator),
        "mask": torch.arange(5) < torch.tensor(LENGTHS)[:, None],
    }
    ours = (old_BT + 0.4 * torch.randn(8, 5, generator=generator)).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    algorithm = Grpo(settings)
    losses = algorithm.token_losses(ours, rest["old"], rest["reference"], rest["advantages"], rest["mask"])
    loss = losses.losses_BT.sum() / algorithm.denominator(rest["mask"])
    expected = trl_loss(theirs, rest, settings)
    assert losses.is_clipped_BT.any()
    assert_close(loss, expected)
    loss.backward()
    expected.backward()
    assert_close(ours.grad, theirs.grad)


def test_advantages_are_trls_with_its_nan_for_what_was_not_scored() -> None:
    # TRL's two lines, with its own nanstd; a group without any score is NaN there and then set to 0
    rewards_PG = torch.tensor([[8.5, 6.8, 4.2, 2.5], [1.0, torch.nan, 0.0, 0.0], [torch.nan] * 4])
    expected = (rewards_PG - rewards_PG.nanmean(1, keepdim=True)) / (nanstd(rewards_PG, dim=1)[:, None] + 1e-4)
    assert_close(group_advantages(rewards_PG, scale="group"), expected.nan_to_num(nan=0.0))


def test_overlong_punishment_is_trls() -> None:
    theirs = get_soft_overlong_punishment(max_completion_len=100, soft_punish_cache=20)
    lengths = range(130)
    expected = theirs(completion_ids=[[1] * length for length in lengths])
    assert [soft_punishment(length, limit=100, cache=20) for length in lengths] == pytest.approx(expected)


def test_the_comparison_can_fail() -> None:
    """Another clip bound is another loss: the stand-in trainer is really asked."""
    generator = torch.Generator().manual_seed(5)
    old_BT = -torch.rand(8, 5, generator=generator)
    rest = {
        "old": old_BT,
        "reference": old_BT,
        "advantages": torch.ones(8),
        "mask": torch.ones(8, 5, dtype=torch.bool),
    }
    losses = [float(trl_loss(old_BT + 1.0, rest, RlSettings(epsilon=epsilon))) for epsilon in (0.1, 0.3)]
    assert losses == pytest.approx([-1.1, -1.3])
