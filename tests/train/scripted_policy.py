"""The RL stage on a model of two tokens, with a sampler and a reward that follow a script."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from bigram import Bigram, Loaded

from whet.core.recipe import RlSettings, TemplateSettings
from whet.core.records import Prompt, Rollout, Score
from whet.core.runlog import Progress
from whet.rollout.sampling import SamplingSettings
from whet.train import policy
from whet.train.examples import Dropped
from whet.train.policy import train_policy

__all__ = ["GROUPS", "Group", "ScriptedStage", "settings_with"]

# prompt -> its tokens, its completions (token 1 ends one), and their rewards; None is a failed grader. A completion
# without the end token was cut off.
Group = tuple[tuple[int, ...], list[tuple[int, ...]], list[float | None]]
GROUPS: dict[str, Group] = {
    "a": ((0, 1), [(0, 1), (0, 0, 1), (1,)], [1.0, 0.0, 0.5]),
    "b": ((1, 0), [(1,), (0, 0, 0, 0), (0, 1)], [2.0, 3.0, -1.0]),
    "c": ((0, 0), [(0, 0, 1), (1,), (0, 1)], [None, 1.0, 0.2]),
    "d": ((1, 1), [(1,), (0, 1), (0, 0, 0, 1)], [1e8, 1e8 + 1, 1e8 + 3]),
}


def settings_with(**fields: object) -> RlSettings:
    return RlSettings.model_validate(
        {
            "learning_rate": 0.06,
            "lr_scheduler_type": "linear",
            "warmup_ratio": 0.3,
            "weight_decay": 0.2,
            "max_grad_norm": 0.1,
            # the groups have 8, 9, 8 and 9 tokens: never two at once
            "max_tokens_per_micro_batch": 9,
            "steps": 4,
            "prompts_per_step": 4,
            "num_generations": 3,
            "max_completion_length": 4,
            "max_prompt_length": 33,
            "max_dropped_share": 0.5,
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 1,
            "num_iterations": 2,
            "minibatches": 2,
            "epsilon": 0.05,
            "epsilon_high": 0.08,
            "beta": 0.3,
            "mask_truncated_completions": True,
            "max_dead_steps": 3,
            "save_steps": 1,
            "save_total_limit": 1,
            **fields,
        }
    )


class ScriptedReward:
    """What the loop asks of a `RewardSum`."""

    def __init__(self, scores: Callable[[Sequence[Rollout]], list[Score]]) -> None:
        self.scores = scores

    def require_columns(self, prompts: Sequence[Prompt], *, where: str) -> list[str]:
        assert (len(prompts) > 0, where) == (True, "rl_train")
        return []

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Score]:
        return self.scores(rollouts)


class ScriptedStage:
    """`train_policy` on the prompts and completions of `groups`, whatever the weights; `calls` are the sampler's."""

    def __init__(
        self,
        out: Path,
        make_prompt: Callable[..., Prompt],
        monkeypatch: pytest.MonkeyPatch,
        groups: Mapping[str, Group] = GROUPS,
    ) -> None:
        self.out, self.groups, self.model = out, groups, Bigram()
        self.calls: list[tuple[list[str], int, SamplingSettings, list[int]]] = []
        self.said: list[str] = []
        self.weights = "digest"
        self.limits: dict[str, int] = {}
        self.dropped: list[Dropped] = []
        prompts = [make_prompt(text) for text in groups]
        loaded = Loaded(self.model)
        monkeypatch.setattr(policy, "load_model", lambda name, *, device: loaded)
        monkeypatch.setattr(policy, "weights_digest", lambda name: self.weights)
        monkeypatch.setattr(policy, "open_for_training", lambda folder, purpose: prompts)
        monkeypatch.setattr(policy, "usable_prompts", self._usable)
        monkeypatch.setattr(policy, "Sampler", lambda model, template: self)
        monkeypatch.setattr(policy, "save_model", lambda *positional, **named: None)

    def train(
        self, settings: RlSettings, *, reward: Callable[[Sequence[Rollout]], list[Score]] | None = None
    ) -> dict[str, Any]:
        """The stage's summary."""
        progress = Progress(quiet=True)
        progress.say = lambda *lines: self.said.extend(lines)  # type: ignore[method-assign]
        return train_policy(
            settings,
            model="two tokens",
            data_dir=self.out,
            template=TemplateSettings(),
            reward=ScriptedReward(reward or self.scores),  # type: ignore[arg-type]
            seed=3,
            out=self.out,
            device=torch.device("cpu"),
            progress=progress,
        )

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The log without its times."""
        lines = [json.loads(line) for line in (self.out / "metrics.jsonl").read_text().splitlines()]
        return [{name: value for name, value in line.items() if not name.startswith("time/")} for line in lines]

    def _usable(self, prompts: list[Prompt], words: object, **limits: int) -> tuple[list[Prompt], list[Dropped]]:
        self.limits = limits
        return prompts, self.dropped

    def sample(
        self, prompts: Sequence[Prompt], *, samples: int, settings: SamplingSettings, seeds: Sequence[int]
    ) -> list[Rollout]:
        self.calls.append(([prompt.text for prompt in prompts], samples, settings, list(seeds)))
        return [
            Rollout(
                prompt=prompt,
                sample=sample,
                prompt_ids=self.groups[prompt.text][0],
                completion_ids=ids,
                logprobs=(-0.5,) * len(ids),
                text=f"{prompt.text}{sample}",
                finish="stop" if ids[-1] == 1 else "length",
            )
            for prompt in prompts
            for sample, ids in enumerate(self.groups[prompt.text][1])
        ]

    def scores(self, rollouts: Sequence[Rollout]) -> list[Score]:
        """The scripted rewards; None is a failed grader."""
        values = [self.groups[rollout.prompt.text][2][rollout.sample] for rollout in rollouts]
        return [
            Score(value=value, parts={"scripted": value}, unscorable="no grade" if value is None else None)
            for value in values
        ]
