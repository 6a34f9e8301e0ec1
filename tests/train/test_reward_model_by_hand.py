"""A reward model of two tokens, against a loop over its pairs that shares no code."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from bigram import Bigram, BigramJudge, Loaded, PlainAdamW, clipped, parameters_of
from torch import Tensor
from torch.testing import assert_close

from whet.core.order import rows_of_step
from whet.core.recipe import RewardModelSettings, TemplateSettings
from whet.core.runlog import Progress
from whet.core.seeds import seed_for
from whet.models.decoder import Decoder
from whet.tokens.batches import TokenGroup
from whet.train import reward_model
from whet.train.examples import PreferenceExample
from whet.train.reward_model import RewardModelTask, train_reward_model

# completions, (better, worse) pairs, margin
Row = tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, int], ...], float]
ROWS: list[Row] = [
    (((0, 1), (1, 0)), ((0, 1),), 0.5),
    (((1, 1, 0), (0,), (1,)), ((1, 0), (1, 2), (2, 0)), 0.0),
    (((0, 0), (1,)), ((1, 0),), 0.0),
    (((1,), (0, 0, 0)), ((1, 0),), 1.25),
    (((0,), (1,), (1, 0)), ((0, 1), (2, 1)), 0.0),
]
SETTINGS = RewardModelSettings(
    learning_rate=0.1,
    lr_scheduler_type="constant",
    warmup_ratio=0.5,
    weight_decay=0.3,
    max_grad_norm=0.2,
    num_train_epochs=3,
    max_steps=4,
    batch_size=2,
    max_length=77,
    center_rewards_coefficient=0.05,
)


def examples() -> list[PreferenceExample]:
    return [
        PreferenceExample(
            group=TokenGroup(prompt_ids=(0, 1), completions=ids, loss_masks=tuple((True,) * len(one) for one in ids)),
            pairs=pairs,
            pair_weight=1 / len(pairs),
            margin=margin,
        )
        for ids, pairs, margin in ROWS
    ]


def plain_training() -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """The weights after four steps, and the log."""
    weights = parameters_of(BigramJudge())
    optimizer, log = PlainAdamW(weights, decay=0.3), []
    # 5 prompts by 2 are 3 steps a pass; a warm-up of 2 of 4 steps, then constant
    for step, rate in enumerate((0.05, 0.1, 0.1, 0.1)):
        rows = [ROWS[row] for row in rows_of_step(step, examples=5, batch_size=2, seed=8)]
        loss, right, distance = torch.zeros((), dtype=torch.float64), 0.0, 0.0
        for ids, pairs, margin in rows:
            scores = [(weights["W"] @ (weights["g"] * weights["E"][one[-1]]))[0] for one in ids]
            for better, worse in pairs:
                lead = scores[better] - scores[worse]
                pair_loss = torch.log(1 + torch.exp(-(lead - margin))) + 0.05 * (scores[better] + scores[worse]) ** 2
                # a prompt counts once: its pairs are averaged, then the step's prompts
                loss = loss + pair_loss / len(pairs) / len(rows)
                right += float(lead.detach() > 0) / len(pairs) / len(rows)
                distance += float(lead.detach()) / len(pairs) / len(rows)
        found = torch.autograd.grad(loss, list(weights.values()))
        gradients, norm = clipped(dict(zip(weights, found, strict=True)), 0.2)
        optimizer.step(gradients, rate)
        log.append(
            {
                "train/loss": float(loss.detach()),
                "train/grad_norm": norm,
                "train/accuracy": right,
                "train/margin": distance,
                "train/learning_rate": rate,
            }
        )
    return {name: value.detach() for name, value in weights.items()}, log


# All pairs of a prompt at once, two prompts at once, and every pair alone: a ranking has 6 to 7 tokens, a pair 4 to 6.
@pytest.mark.parametrize("max_tokens", [1, 6, 7, 1000])
def test_every_step_is_the_plain_loops(tmp_path: Path, max_tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = BigramJudge()
    base = Bigram()
    made: list[object] = []
    saved: list[object] = []

    def preference_examples(
        rows: list[Row], words: object, **limits: object
    ) -> tuple[list[PreferenceExample], list[Any]]:
        made.append((rows, limits))
        return examples(), []

    def reward_model_from(found: Loaded, *, seed: int, ends: tuple[int, ...]) -> BigramJudge:
        made.append((found.model, seed, ends))
        return model

    monkeypatch.setattr(reward_model, "load_model", lambda name, *, device: Loaded(base))
    monkeypatch.setattr(reward_model, "weights_digest", lambda name: f"digest of {name}")
    monkeypatch.setattr(reward_model, "open_for_training", lambda folder, purpose: [purpose])
    monkeypatch.setattr(reward_model, "preference_examples", preference_examples)
    monkeypatch.setattr(reward_model, "reward_model_from", reward_model_from)
    monkeypatch.setattr(
        reward_model, "save_model", lambda model, tokenizer, folder, **how: saved.append((model, folder, how))
    )
    summary = train_reward_model(
        SETTINGS.model_copy(update={"max_tokens_per_micro_batch": max_tokens}),
        model="two tokens",
        data_dir=tmp_path,
        template=TemplateSettings(),
        seed=8,
        out=tmp_path,
        device=torch.device("cpu"),
        progress=Progress(quiet=True),
    )
    assert made == [(["rm_train"], {"max_length": 77, "context": 55}), (base, seed_for(8, "reward_head"), (1,))]
    assert saved == [(model, tmp_path / "model", {"dtype": torch.bfloat16, "ends": (1,)})]
    weights, log = plain_training()
    assert summary.pop("decoder")["kind"] in ("flat", "padded", "rows")
    assert summary == {
        "rows": 5,
        "comparisons": 8,
        "dropped": {},
        "steps": 4,
        "best_step": 4,
        "skipped_steps": 0,
        "damaged_checkpoints": [],
        "start_weights": "digest of two tokens",
    }
    lines: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for line, expected in zip(lines, log, strict=True):
        for name, value in expected.items():
            assert line[name] == pytest.approx(value, rel=2e-5, abs=1e-6), name
    assert len({line["train/accuracy"] for line in log}) > 1
    for name, value in parameters_of(model).items():
        assert_close(value.detach(), weights[name], rtol=2e-5, atol=2e-6)


def test_a_ranking_that_is_too_long_goes_through_pair_by_pair() -> None:
    # of the second row 2 + 3 + 1 + 1 = 7 tokens; its pairs have 6, 4 and 6
    task = RewardModelTask(Decoder(BigramJudge()), examples(), max_tokens=6, center_coefficient=0.0)
    pieces = task.micro_batches([1])
    assert [len(piece.flat.tokens_N) for piece in pieces] == [6, 4, 6]
    assert [piece.weight_N.tolist() for piece in pieces] == [[pytest.approx(1 / 3)]] * 3
    assert task.denominator(pieces) == 1.0
    (whole,) = RewardModelTask(Decoder(BigramJudge()), examples(), max_tokens=7, center_coefficient=0.0).micro_batches(
        [1]
    )
    assert len(whole.flat.tokens_N) == 7
    assert (whole.better_N.tolist(), whole.worse_N.tolist()) == ([1, 1, 2], [0, 2, 0])
