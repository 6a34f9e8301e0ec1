"""RLOO, DAPO, Dr. GRPO, GSPO, CISPO and the page's SAPO through TRL's own losses, with a stand-in trainer.

Needs the extra `[peers]`. Legend: B completion, T completion token.
"""

import re
import warnings
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from whet.algorithms import FAMILY
from whet.algorithms.algorithm import PolicyAlgorithm, TokenBatch
from whet.algorithms.grpo import group_advantages

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("trl", reason="TRL is not installed (pip install 'whet[peers]')")
    from trl.trainer.grpo_trainer import GRPOTrainer, nanstd
    from trl.trainer.rloo_trainer import RLOOTrainer

MASK = torch.arange(5) < torch.tensor((3, 5, 1, 4, 2, 5, 5, 1))[:, None]
LIMIT = 8
OURS = SimpleNamespace(
    epsilon=None,
    epsilon_high=None,
    beta=0.0,
    kl_estimator=None,
    kl_placement="loss",
    use_bias_correction_kl=False,
    entropy_coef=0.0,
    scale_rewards=None,
    loss_type=None,
    max_completion_length=LIMIT,
)


class Trainer(SimpleNamespace):
    """What TRL's losses read of their trainer; the losses are TRL's."""

    def _get_per_token_logps_and_entropies(self, *positional: Any, **named: Any) -> tuple[Tensor, Tensor, None]:
        return self.logprobs_BT, self.entropy_BT, None


def make_batch(*, spread: float, beta: float) -> TokenBatch:
    generator = torch.Generator().manual_seed(5)

    def noise() -> Tensor:
        return torch.randn(8, 5, generator=generator, dtype=torch.float64)

    old_BT = -noise().abs() - 0.5
    return TokenBatch(
        logprobs_BT=(old_BT + spread * noise()).requires_grad_(),
        old_logprobs_BT=old_BT,
        reference_logprobs_BT=old_BT + 0.2 * noise(),
        entropy_BT=noise().abs(),
        advantages_BT=torch.randn(8, 1, generator=generator, dtype=torch.float64).expand(8, 5),
        mask_BT=MASK,
        beta=beta,
    )


def trl_loss(batch: TokenBatch, **options: Any) -> tuple[Tensor, Tensor]:
    """TRL's loss and its gradient."""
    arguments = {"use_bias_correction_kl": False, "delta": None, "steps_per_generation": 1}
    logprobs_BT = batch.logprobs_BT.detach().clone().requires_grad_()
    fields = {
        "loss_type": "dapo",
        "importance_sampling_level": "token",
        "epsilon_low": 0.2,
        "epsilon_high": 0.2,
        "entropy_coef": 0.0,
        **options,
    }
    arguments |= {name: fields.pop(name) for name in list(fields) if name.startswith(("use_bias", "sapo"))}
    trainer = Trainer(
        logprobs_BT=logprobs_BT,
        entropy_BT=batch.entropy_BT,
        beta=batch.beta,
        max_completion_length=LIMIT,
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        use_adaptive_entropy=False,
        current_gradient_accumulation_steps=1,
        model=SimpleNamespace(training=True),
        args=SimpleNamespace(**arguments),
        accelerator=SimpleNamespace(
            num_processes=1,
            sync_gradients=True,
            gather=lambda value: value,
            reduce=lambda value, reduction: value,
        ),
        _entropy_bonus_enabled=bool(fields["entropy_coef"]),
        _metrics={"train": defaultdict(list)},
        **fields,
    )
    size = (8, 1)
    inputs = {
        "prompt_ids": torch.zeros(size, dtype=torch.long),
        "prompt_mask": torch.ones(size, dtype=torch.long),
        "completion_ids": torch.zeros(8, 5, dtype=torch.long),
        "completion_mask": MASK.long(),
        "advantages": batch.advantages_BT[:, 0],
        "old_per_token_logps": batch.old_logprobs_BT,
        "old_logps": torch.where(MASK, batch.old_logprobs_BT, 0.0).sum(-1),
        "ref_per_token_logps": batch.reference_logprobs_BT,
        "num_items_in_batch": MASK.sum(),
    }
    of = RLOOTrainer if fields["loss_type"] == "rloo" else GRPOTrainer
    loss: Tensor = of._compute_loss(trainer, None, inputs)
    loss.backward()
    return loss.detach(), logprobs_BT.grad


def our_loss(algorithm: PolicyAlgorithm, batch: TokenBatch) -> tuple[Tensor, Tensor, bool]:
    losses = algorithm.losses(batch)
    loss = losses.losses_BT.sum() / algorithm.denominator(batch.mask_BT)
    (gradient,) = torch.autograd.grad(loss, batch.logprobs_BT)
    return loss.detach(), gradient, bool(losses.is_clipped_BT.any())


CASES = [
    ("grpo", {}, {"loss_type": "dapo"}),
    ("dr_grpo", {}, {"loss_type": "dr_grpo"}),
    ("dapo", {}, {"loss_type": "dapo", "epsilon_high": 0.28}),
    (
        "gspo",
        {},
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon_low": 3e-4, "epsilon_high": 4e-4},
    ),
    (
        "gspo_token",
        {"epsilon": 0.1, "epsilon_high": 0.1},
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon_low": 0.1, "epsilon_high": 0.1},
    ),
    # TRL's epsilon_high of CISPO is the bound itself, ours is 1 less, as the paper has it
    ("cispo", {"epsilon_high": 0.28}, {"loss_type": "cispo", "epsilon_high": 1.28}),
]


@pytest.mark.parametrize(("name", "ours", "theirs"), CASES, ids=[case[0] for case in CASES])
@pytest.mark.parametrize("beta", [0.0, 0.04])
def test_loss_and_gradient_are_trls(name: str, ours: dict[str, Any], theirs: dict[str, Any], beta: float) -> None:
    batch = make_batch(spread=0.4, beta=beta)
    algorithm = FAMILY[name](SimpleNamespace(**(vars(OURS) | {"beta": beta} | ours)))
    loss, gradient, is_clipped = our_loss(algorithm, batch)
    assert is_clipped
    expected_loss, expected_gradient = trl_loss(batch, **theirs)
    assert_close(loss, expected_loss, atol=1e-9, rtol=1e-9)
    assert_close(gradient, expected_gradient, atol=1e-9, rtol=1e-9)


def test_rloo_is_trls() -> None:
    batch = make_batch(spread=0.2, beta=0.0)
    loss, gradient, is_clipped = our_loss(FAMILY["rloo"](OURS), batch)
    assert is_clipped
    expected_loss, expected_gradient = trl_loss(batch, loss_type="rloo")
    assert_close(loss, expected_loss, atol=1e-9, rtol=1e-9)
    assert_close(gradient, expected_gradient, atol=1e-9, rtol=1e-9)


def test_the_corrected_divergence_is_trls() -> None:
    batch = make_batch(spread=0.4, beta=0.3)
    algorithm = FAMILY["grpo"](SimpleNamespace(**(vars(OURS) | {"beta": 0.3, "use_bias_correction_kl": True})))
    loss, gradient, _ = our_loss(algorithm, batch)
    expected_loss, expected_gradient = trl_loss(batch, use_bias_correction_kl=True)
    assert_close(loss, expected_loss, atol=1e-9, rtol=1e-9)
    assert_close(gradient, expected_gradient, atol=1e-9, rtol=1e-9)


def test_the_bonus_on_entropy_is_trls_where_all_tokens_weigh_alike() -> None:
    batch = make_batch(spread=0.4, beta=0.0)
    loss, _, _ = our_loss(FAMILY["grpo"](SimpleNamespace(**(vars(OURS) | {"entropy_coef": 0.1}))), batch)
    assert_close(loss, trl_loss(batch, entropy_coef=0.1)[0], atol=1e-9, rtol=1e-9)


def test_the_algorithm_that_the_page_adds_is_trls() -> None:
    page = (Path(__file__).parents[2] / "docs" / "algorithms.md").read_text(encoding="utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "class" in block]
    names: dict[str, Any] = {}
    exec(code, names)
    batch = make_batch(spread=0.4, beta=0.0)
    settings = SimpleNamespace(**(vars(OURS) | {"loss_type": "grpo"}))
    loss, gradient, _ = our_loss(names["Sapo"](settings), batch)
    expected_loss, expected_gradient = trl_loss(
        batch, loss_type="sapo", sapo_temperature_pos=1.0, sapo_temperature_neg=1.05
    )
    assert_close(loss, expected_loss, atol=1e-6, rtol=1e-6)
    assert_close(gradient, expected_gradient, atol=1e-6, rtol=1e-6)


def test_advantages_scaled_by_the_step_are_trls() -> None:
    rewards_PG = torch.tensor([[8.5, 6.8, 4.2, 2.5], [1.0, torch.nan, 0.0, 0.0]], dtype=torch.float64)
    expected = (rewards_PG - rewards_PG.nanmean(1, keepdim=True)) / (nanstd(rewards_PG.flatten()) + 1e-4)
    assert_close(group_advantages(rewards_PG, scale="batch"), expected.nan_to_num(nan=0.0))


def test_the_comparison_can_fail() -> None:
    """Another clip bound is another loss: the stand-in trainer is really asked."""
    batch = make_batch(spread=0.4, beta=0.0)
    losses = {float(trl_loss(batch, epsilon_high=high)[0]) for high in (0.1, 0.2, 0.3)}
    assert len(losses) == 3
