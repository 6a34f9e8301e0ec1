"""Four steps of reinforcement learning on a model of two tokens, against a loop over its tokens that shares no code.

Temperature 0.7, two minibatches, two iterations, pieces of one group each, a completion that was cut off, one that
could not be scored, rewards around 1e8, a clipped gradient, decay, warm-up: every setting stands away from its default.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from bigram import Bigram, PlainAdamW, clipped, parameters_of, plain_logprobs
from scripted_policy import GROUPS, ScriptedStage, settings_with
from torch import Tensor
from torch.testing import assert_close

from whet.core.recipe import RlSettings
from whet.core.records import Prompt
from whet.core.seeds import seed_for
from whet.rollout.sampling import SamplingSettings


@pytest.fixture
def stage(tmp_path: Path, make_prompt: Callable[..., Prompt], monkeypatch: pytest.MonkeyPatch) -> ScriptedStage:
    return ScriptedStage(tmp_path, make_prompt, monkeypatch)


def plain_advantages(settings: RlSettings, rewards: Sequence[float | None]) -> list[float]:
    scored = [reward for reward in rewards if reward is not None]
    mean = statistics.fmean([reward - min(scored) for reward in scored]) + min(scored)
    spread = statistics.stdev(scored) + 1e-4 if settings.scale_rewards == "group" else 1.0
    return [0.0 if reward is None else (reward - mean) / spread for reward in rewards]


# A warm-up of ceil(0.3 x 4) = 2 steps, then linear from the peak of 0.06: progress 0 and 1/2.
RATES = (0.03, 0.06, 0.06, 0.03)


class PlainLoop:
    """The steps again, token by token in float64."""

    def __init__(self, settings: RlSettings, start: Bigram) -> None:
        self.settings = settings
        self.weights = parameters_of(start)
        self.reference = {name: value.detach().clone() for name, value in self.weights.items()}
        self.optimizer = PlainAdamW(self.weights, decay=settings.weight_decay)
        self.log: list[dict[str, float]] = []

    def step(self, number: int, order: Sequence[str]) -> None:
        settings = self.settings
        old = {text: self.logprobs(self.weights, text) for text in order}
        losses: list[float] = []
        norms: list[float] = []
        self.tokens: list[dict[str, float]] = []
        for iteration in range(settings.num_iterations):
            halves = [order[:2], order[2:]] if settings.minibatches == 2 else [order]
            shuffled = np.random.default_rng(seed_for(3, "minibatch", number, iteration)).permutation(len(halves))
            for half in (halves[place] for place in shuffled):
                loss = self.loss(half, old)
                names = list(self.weights)
                found = torch.autograd.grad(loss, [self.weights[name] for name in names])
                gradients, norm = clipped(dict(zip(names, found, strict=True)), settings.max_grad_norm)
                self.optimizer.step(gradients, RATES[number])
                losses.append(float(loss.detach()))
                norms.append(norm)
        self.log.append(
            {
                "train/loss": statistics.fmean(losses),
                "train/grad_norm": statistics.fmean(norms),
                **{name: statistics.fmean([token[name] for token in self.tokens]) for name in self.tokens[0]},
            }
        )

    def logprobs(self, weights: dict[str, Tensor], text: str) -> list[Tensor]:
        prompt, completions, _ = GROUPS[text]
        return [plain_logprobs(weights, prompt, ids, self.settings.temperature).detach() for ids in completions]

    def loss(self, half: Sequence[str], old: dict[str, list[Tensor]]) -> Tensor:
        settings, total = self.settings, torch.zeros((), dtype=torch.float64)
        trained_tokens = completions = 0
        for text in half:
            prompt, group, rewards = GROUPS[text]
            reference = self.logprobs(self.reference, text)
            for row, (ids, advantage) in enumerate(zip(group, plain_advantages(settings, rewards), strict=True)):
                completions += 1
                if ids[-1] != 1 and settings.mask_truncated_completions:
                    continue
                trained_tokens += len(ids)
                now = plain_logprobs(self.weights, prompt, ids, settings.temperature)
                for t, token in enumerate(ids):
                    loss = self.token_loss(now[t], old[text][row][t], reference[row][t], token, advantage)
                    weight = {"dapo": 1.0, "grpo": 1 / len(ids), "dr_grpo": 1 / settings.max_completion_length}
                    total = total + weight[settings.loss_type or "dapo"] * loss
        return total / (trained_tokens if settings.loss_type in (None, "dapo") else completions)

    def token_loss(self, now: Tensor, old: Tensor, reference: Tensor, token: int, advantage: float) -> Tensor:
        settings = self.settings
        ratio = torch.exp(now[token] - old[token])
        epsilon = 0.2 if settings.epsilon is None else settings.epsilon
        high = epsilon if settings.epsilon_high is None else settings.epsilon_high
        bounded = min(max(float(ratio.detach()), 1 - epsilon), 1 + high) * advantage
        is_clipped = bounded < float(ratio.detach()) * advantage
        apart = reference[token] - now[token]
        kl = torch.exp(apart) - 1 - apart
        entropy = -float((now.detach().exp() * now.detach()).sum())
        self.tokens.append({"rl/kl": float(kl.detach()), "rl/clip_share": float(is_clipped), "rl/entropy": entropy})
        return (settings.beta * kl) - (bounded if is_clipped else ratio * advantage)


def check(stage: ScriptedStage, plain: PlainLoop) -> None:
    for number, (order, *_) in enumerate(stage.calls):
        plain.step(number, order)
    for name, value in parameters_of(stage.model).items():
        assert_close(value, plain.weights[name], rtol=2e-4, atol=2e-6, msg=lambda text, name=name: f"{name}: {text}")
    for line, expected in zip(stage.metrics, plain.log, strict=True):
        for name, value in expected.items():
            assert line[name] == pytest.approx(value, rel=2e-4, abs=2e-6), name


@pytest.mark.parametrize(
    "fields",
    [
        {"loss_type": "dapo"},
        {"loss_type": "grpo", "scale_rewards": "none", "max_grad_norm": 100.0},
        {"loss_type": "dr_grpo"},
        {"loss_type": "grpo", "mask_truncated_completions": False},
        # one update per rollout: the ratio is 1, and the old log-probabilities are the policy's own
        {"loss_type": "dapo", "num_iterations": 1, "minibatches": 1},
        # three pieces of which one holds two groups; a group is larger than a piece may be
        {"loss_type": "dapo", "max_tokens_per_micro_batch": 17},
        {"loss_type": "grpo", "max_tokens_per_micro_batch": 5},
        {"loss_type": "dapo", "epsilon_high": None},
    ],
)
def test_the_steps_are_the_plain_loops(stage: ScriptedStage, fields: dict[str, object]) -> None:
    settings = settings_with(**fields)
    stage.train(settings)
    check(stage, PlainLoop(settings, Bigram()))
    # the test sees what it is about: clips in force, a gradient that is scaled down, another order in every step
    is_reused = settings.num_iterations * settings.minibatches > 1
    assert (stage.metrics[1]["rl/clip_share"] > 0) == is_reused
    assert stage.metrics[0]["train/grad_norm"] > 0.1
    assert len({tuple(texts) for texts, *_ in stage.calls}) > 1


def test_the_log_and_the_rollouts_of_a_step(stage: ScriptedStage) -> None:
    summary = stage.train(settings_with())
    expected = {"prompts": 4, "dropped": {}, "steps": 4, "skipped_updates": 0, "start_weights": "digest"}
    assert {name: summary[name] for name in expected} == expected
    lines = stage.metrics
    line = lines[0]
    # 11 rewards: 1 0 0.5, 2 3 -1, 1 0.2, and 1e8 three times with 4 above: (300000004 + 6.7) / 11
    assert line["reward/mean"] == pytest.approx((300_000_004 + 6.7) / 11, rel=1e-14)
    scored = [value for _, _, values in GROUPS.values() for value in values if value is not None]
    assert line["reward/std"] == pytest.approx(statistics.stdev(scored), rel=1e-12)
    assert (line["reward/unscorable"], line["reward/scripted"]) == (1, line["reward/mean"])
    # lengths 2 3 1, 1 4 2, 3 1 2, 1 2 4
    assert line["rl/completion_length"] == pytest.approx(26 / 12)
    assert line["rl/truncated_share"] == pytest.approx(1 / 12)
    assert (line["rl/zero_variance_share"], line["train/skipped_updates"]) == (0.0, 0)
    assert [row["train/learning_rate"] for row in lines] == pytest.approx(RATES)
    rows = [json.loads(row) for row in (stage.out / "rollouts" / "step-000002.jsonl").read_text().splitlines()]
    assert [(row["text"], row["step"]) for row in rows] == [
        (f"{text}{n}", 2) for text in stage.calls[1][0] for n in range(3)
    ]
    told = {row["text"]: row for row in rows}
    # b: mean 4/3, deviation sqrt((4/9 + 25/9 + 49/9) / 2) + 1e-4 = 2.081766; c: mean 0.6, deviation 0.565785
    expected = {"b0": 0.320241, "b1": 0.800602, "b2": -1.120843, "c0": 0.0, "c1": 0.706982, "c2": -0.706982}
    for text, advantage in expected.items():
        assert told[text]["advantage"] == pytest.approx(advantage, abs=2e-6), text
    assert (told["c0"]["reward"], told["c0"]["unscorable"], told["b1"]["finish"]) == (None, "no grade", "length")


def test_how_the_sampler_is_asked(stage: ScriptedStage, make_prompt: Callable[..., Prompt]) -> None:
    stage.train(settings_with())
    sampling = SamplingSettings(temperature=0.7, top_p=0.9, top_k=1, max_completion_length=4)
    for step, (texts, samples, settings, seeds) in enumerate(stage.calls):
        assert (samples, settings) == (3, sampling)
        assert seeds == [
            seed_for(3, "rollout", step, make_prompt(text).id, sample) for text in texts for sample in range(3)
        ]
