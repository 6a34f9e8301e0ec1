"""DPO, IPO and KTO through TRL's own losses, with stand-ins for trainer and model. Needs the extra `[peers]`.

Legend: B completion (chosen ones first), T completion token; N pair or completion.
"""

import warnings
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from whet.algorithms.preferences.dpo import dpo_losses
from whet.algorithms.preferences.ipo import ipo_losses
from whet.algorithms.preferences.kto import kto_losses, kto_reference_point
from whet.algorithms.preferences.log_ratios import completion_log_ratios

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("trl", reason="TRL is not installed (pip install 'whet[peers]')")
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.kto_trainer import KTOTrainer

MASK = torch.arange(5) < torch.tensor((3, 5, 1, 4, 2, 5, 5, 1))[:, None]


def same(value: Any) -> Any:
    return value


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LOGPROBS = -noise(0, 8, 5).abs() - 0.5
REFERENCE = LOGPROBS + 0.5 * noise(1, 8, 5)


def outputs_of(logprobs_BT: Tensor) -> SimpleNamespace:
    """A model's outputs: TRL's are zero where no token is asked for."""
    zeros = torch.zeros_like(logprobs_BT).detach()
    return SimpleNamespace(
        log_probs=torch.where(MASK, logprobs_BT, 0.0), entropy=zeros, mean_logits=zeros, is_top1=zeros.bool()
    )


def trainer_of(**fields: Any) -> SimpleNamespace:
    return SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(device=torch.device("cpu"), gather=same, gather_for_metrics=same),
        aux_loss_enabled=False,
        precompute_ref_logps=True,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        **fields,
    )


def inputs_of(**fields: Any) -> dict[str, Any]:
    """One prompt token before each completion."""
    return {
        "input_ids": torch.zeros(8, 6, dtype=torch.long),
        "attention_mask": torch.ones(8, 6, dtype=torch.long),
        "completion_mask": torch.nn.functional.pad(MASK, (1, 0)).long(),
        **fields,
    }


def summed(values_BT: Tensor) -> Tensor:
    return torch.where(MASK, values_BT, 0.0).sum(-1)


@pytest.mark.parametrize("loss_type", ["sigmoid", "ipo"])
@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_dpo_and_ipo_are_trls(loss_type: str, beta: float) -> None:
    theirs = LOGPROBS.clone().requires_grad_()
    trainer = trainer_of(
        beta=beta,
        ld_alpha=None,
        loss_types=[loss_type],
        loss_weights=[1.0],
        f_divergence_type="reverse_kl",
        use_weighting=False,
    )
    inputs = inputs_of(ref_chosen_logps=summed(REFERENCE)[:4], ref_rejected_logps=summed(REFERENCE)[4:])
    expected = DPOTrainer._compute_loss(trainer, lambda **named: outputs_of(theirs), inputs, False)
    expected.backward()
    ours = LOGPROBS.clone().requires_grad_()
    log_ratios_B = completion_log_ratios(ours, REFERENCE, MASK, average="mean" if loss_type == "ipo" else "sum")
    losses = ipo_losses if loss_type == "ipo" else dpo_losses
    loss = losses(log_ratios_B[:4], log_ratios_B[4:], beta=beta).mean()
    loss.backward()
    assert_close(loss, expected, atol=1e-9, rtol=1e-9)
    assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("shift", [-2.0, 0.5])
def test_kto_is_trls(shift: float) -> None:
    """A negative and a positive mean of the mismatched log-ratios: the clamp of z_0 is TRL's too."""
    is_desirable_N = torch.tensor([True, False, True, True, False, False, True, False])
    mismatched_N = noise(2, 8) * 0.1 + shift
    theirs = LOGPROBS.clone().requires_grad_()
    trainer = trainer_of(
        beta=0.3,
        loss_type="kto",
        calculate_KL=True,
        desirable_weight=1.3,
        undesirable_weight=0.7,
        _compute_kl_logps=lambda model, batch: mismatched_N,
    )
    inputs = inputs_of(label=is_desirable_N, ref_logps=summed(REFERENCE), ref_KL_logps=torch.zeros(8))
    expected = KTOTrainer._compute_loss(trainer, lambda **named: outputs_of(theirs), inputs, False)
    expected.backward()
    ours = LOGPROBS.clone().requires_grad_()
    loss = kto_losses(
        completion_log_ratios(ours, REFERENCE, MASK, average="sum"),
        is_desirable_N,
        kto_reference_point(mismatched_N),
        beta=0.3,
        desirable_weight=1.3,
        undesirable_weight=0.7,
    ).mean()
    loss.backward()
    assert_close(loss, expected, atol=1e-9, rtol=1e-9)
    assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-9)
