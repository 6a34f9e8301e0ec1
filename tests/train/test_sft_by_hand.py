"""Fine-tuning of a model of two tokens, against a loop over its tokens that shares no code."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from bigram import Bigram, Loaded, PlainAdamW, clipped, parameters_of, plain_logprobs
from torch import Tensor
from torch.testing import assert_close

from whet.core.order import rows_of_step
from whet.core.recipe import SftSettings, TemplateSettings
from whet.core.runlog import Progress
from whet.models.decoder import Decoder
from whet.tokens.batches import TokenGroup
from whet.train import sft
from whet.train.examples import Dropped
from whet.train.sft import SftTask, train_sft

Row = tuple[tuple[int, ...], tuple[int, ...], tuple[bool, ...]]
# prompt, completion, which of its tokens are trained
ROWS: list[Row] = [
    ((0, 1), (0, 1), (True, True)),
    ((1,), (0, 0, 0, 1), (True, False, True, True)),
    ((0,), (1,), (True,)),
    ((1, 0), (1, 1), (False, True)),
    ((0, 0), (0, 0, 1), (True, True, True)),
]
VALIDATION: list[Row] = [((1,), (1, 0, 1), (True, True, True)), ((0,), (0,), (True,)), ((0,), (1, 1), (True, False))]
SETTINGS = SftSettings(
    learning_rate=0.1,
    lr_scheduler_type="cosine",
    warmup_ratio=0.5,
    weight_decay=0.3,
    max_grad_norm=0.2,
    num_train_epochs=2,
    batch_size=2,
    max_length=77,
    completion_only_loss=False,
    assistant_turns="all",
    eval_steps=1,
    max_dropped_share=0.3,
    save_steps=2,
    save_total_limit=3,
)
# 5 rows by 2 are 3 steps a pass; a warm-up of 3 steps, then cosine at progress 0, 1/3, 2/3: 1, (1 + 1/2) / 2 and
# (1 - 1/2) / 2 of the peak
RATES = (0.1 / 3, 0.2 / 3, 0.1, 0.1, 0.075, 0.025)


def groups(rows: list[Row]) -> list[TokenGroup]:
    return [TokenGroup(prompt_ids=prompt, completions=(ids,), loss_masks=(mask,)) for prompt, ids, mask in rows]


def plain_losses(weights: dict[str, Tensor], rows: list[Row]) -> list[Tensor]:
    """-log p of every trained token."""
    return [
        -found[token]
        for prompt, ids, mask in rows
        for found, token, trained in zip(plain_logprobs(weights, prompt, ids, 1.0), ids, mask, strict=True)
        if trained
    ]


def plain_training() -> tuple[list[dict[str, Tensor]], list[dict[str, float]]]:
    """The weights after each step, and its line of the log."""
    weights = parameters_of(Bigram())
    optimizer, after, log = PlainAdamW(weights, decay=0.3), [], []
    for step, rate in enumerate(RATES):
        rows = [ROWS[row] for row in rows_of_step(step, examples=5, batch_size=2, seed=8)]
        losses = plain_losses(weights, rows)
        loss = sum(losses, torch.zeros(())) / len(losses)
        found = torch.autograd.grad(loss, list(weights.values()))
        gradients, norm = clipped(dict(zip(weights, found, strict=True)), 0.2)
        optimizer.step(gradients, rate)
        after.append({name: value.detach().clone() for name, value in weights.items()})
        validation = statistics.fmean(float(one.detach()) for one in plain_losses(weights, VALIDATION))
        log.append(
            {
                "train/loss": float(loss.detach()),
                "train/grad_norm": norm,
                "train/tokens": len(losses),
                "train/learning_rate": rate,
                "validation/loss": validation,
            }
        )
    return after, log


@pytest.mark.parametrize("max_tokens", [1, 6, 1000])
def test_every_step_is_the_plain_loops(tmp_path: Path, max_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, dropped = Bigram(), Dropped(id="x", source="here", row=5, reason="too long", tokens=99)
    made: list[dict[str, object]] = []

    def sft_groups(rows: list[Row], words: object, **limits: object) -> tuple[list[TokenGroup], list[Dropped]]:
        made.append(limits)
        return groups(rows), [dropped] if rows is ROWS else []

    monkeypatch.setattr(sft, "load_model", lambda name, *, device: Loaded(model))
    monkeypatch.setattr(sft, "weights_digest", lambda name: f"digest of {name}")
    monkeypatch.setattr(sft, "open_for_training", lambda _, name: ROWS if name == "ft_train" else VALIDATION)
    monkeypatch.setattr(sft, "sft_groups", sft_groups)
    monkeypatch.setattr(sft, "write_example", lambda *positional: None)
    saved: list[object] = []
    monkeypatch.setattr(sft, "save_model", lambda model, tokenizer, folder, **how: saved.append((folder, how)))
    summary = train_sft(
        SETTINGS.model_copy(update={"max_tokens_per_micro_batch": max_tokens}),
        model="two tokens",
        data_dir=tmp_path,
        template=TemplateSettings(),
        seed=8,
        out=tmp_path,
        device=torch.device("cpu"),
        progress=Progress(quiet=True),
    )
    limits = {"max_length": 77, "completion_only_loss": False, "every_turn": True, "context": 55}
    assert made == [limits] * 2
    assert saved == [(tmp_path / "model", {"dtype": torch.bfloat16, "ends": (1,)})]
    after, log = plain_training()
    lines: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for line, expected in zip(lines, log, strict=True):
        for name, value in expected.items():
            assert line[name] == pytest.approx(value, rel=2e-5), name
    assert max(line["train/grad_norm"] for line in log) > 0.2
    best = min(range(6), key=lambda step: log[step]["validation/loss"])
    assert summary.pop("decoder")["kind"] in ("flat", "padded", "rows")
    assert summary == {
        "rows": 5,
        "validation_rows": 3,
        "dropped": {"too long": 1},
        "steps": 6,
        "best_step": best + 1,
        "best_validation_loss": pytest.approx(log[best]["validation/loss"], rel=2e-5),
        "skipped_steps": 0,
        "damaged_checkpoints": [],
        "start_weights": "digest of two tokens",
    }
    for name, value in parameters_of(model).items():
        assert_close(value.detach(), after[best][name], rtol=2e-5, atol=2e-6)


def test_without_validation_rows_there_is_no_validation_loss() -> None:
    assert SftTask(Decoder(Bigram()), groups(ROWS), [], max_tokens=9).validate() is None


def test_validation_leaves_no_gradient() -> None:
    model = Bigram()
    SftTask(Decoder(model), groups(ROWS), groups(VALIDATION), max_tokens=9).validate()
    assert all(parameter.grad is None for parameter in model.parameters())
