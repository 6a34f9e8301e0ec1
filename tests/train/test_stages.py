"""The training stages on whet:tiny, as small as they go: what they trained on, dropped, logged and refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from whet.core.errors import TrainingStoppedError
from whet.core.recipe import (
    DataSettings,
    RewardModelSettings,
    RewardSettings,
    RlSettings,
    SftSettings,
    TemplateSettings,
)
from whet.core.records import Comparison, Conversation, Prompt, Ranking
from whet.core.runlog import Progress
from whet.data.prepare import prepare
from whet.models.tokenizer import load_tokenizer
from whet.rewards.combine import RewardSum
from whet.tokens.template import Template
from whet.train.examples import preference_examples, sft_groups, usable_prompts
from whet.train.policy import train_policy
from whet.train.reward_model import train_reward_model
from whet.train.sft import train_sft
from whet.train.supervised import require_examples

SIZES = {
    "ft_train": 12,
    "ft_validation": 4,
    "ft_test": 2,
    "rm_train": 6,
    "rm_test": 2,
    "rl_train": 6,
    "rl_test": 2,
    "final": 5,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    prepare(DataSettings(sizes=SIZES, arithmetic={"rows": 60}), seed=0, out=out)  # type: ignore[arg-type]
    return out


@pytest.fixture
def stage(data_dir: Path, tmp_path: Path) -> dict[str, object]:
    (tmp_path / "out").mkdir()
    return {
        "model": "whet:tiny",
        "data_dir": data_dir,
        "template": TemplateSettings(),
        "seed": 0,
        "out": tmp_path / "out",
        "device": torch.device("cpu"),
        "progress": Progress(quiet=True),
    }


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_sft(stage: dict[str, object], tmp_path: Path) -> None:
    settings = SftSettings(learning_rate=1e-3, batch_size=5, num_train_epochs=2, eval_steps=2)
    summary = train_sft(settings, **stage)  # type: ignore[arg-type]
    rows = metrics(tmp_path / "out")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "validation/loss" in row] == [2, 4, 6]
    assert rows[-1]["validation/loss"] < rows[1]["validation/loss"]
    assert (summary["rows"], summary["steps"], summary["dropped"]) == (12, 6, {})
    example = json.loads((tmp_path / "out" / "example.json").read_text())["tokens"]
    text = "".join(token["text"] for token in example if token["is_trained"])
    assert text.endswith("</answer><eos>")
    assert text.startswith(("<think>", "<answer>"))


def test_the_reward_model_learns_the_order(stage: dict[str, object], tmp_path: Path) -> None:
    settings = RewardModelSettings(learning_rate=1e-3, batch_size=3, num_train_epochs=8)
    summary = train_reward_model(settings, **stage)  # type: ignore[arg-type]
    rows = metrics(tmp_path / "out")
    assert (summary["rows"], summary["comparisons"], summary["steps"]) == (6, 36, 16)
    assert rows[0]["train/loss"] == pytest.approx(0.693, abs=0.05)
    assert rows[-1]["train/loss"] < 0.5 < 0.8 < rows[-1]["train/accuracy"]


def rl_settings(**fields: object) -> RlSettings:
    small = {
        "steps": 2,
        "prompts_per_step": 2,
        "num_generations": 3,
        "max_completion_length": 12,
        "learning_rate": 1e-4,
    }
    return RlSettings(**{**small, **fields})  # type: ignore[arg-type]


LONG = "def long(completion, **row):\n    return float(len(completion))\n"


def test_rl_logs_every_rollout(stage: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LONG)
    rewards = (RewardSettings(name=f"{tmp_path / 'mine.py'}:long"), RewardSettings(name="format"))
    settings = rl_settings(rewards=rewards, minibatches=2, num_iterations=2, beta=0.1)
    train_policy(settings, reward=RewardSum(settings.rewards), **stage)  # type: ignore[arg-type]
    rows = metrics(tmp_path / "out")
    assert [row["step"] for row in rows] == [1, 2]
    assert rows[1]["rl/kl"] > 0
    lines = [
        json.loads(line) for line in (tmp_path / "out" / "rollouts" / "step-000001.jsonl").read_text().splitlines()
    ]
    assert [line["sample"] for line in lines] == [0, 1, 2, 0, 1, 2]
    for group in (lines[:3], lines[3:]):
        assert sum(line["advantage"] for line in group) == pytest.approx(0, abs=1e-5)
        assert all(line["reward"] == sum(line["parts"].values()) for line in group)


def test_rl_stops_where_nothing_can_be_learned(stage: dict[str, object], tmp_path: Path) -> None:
    settings = rl_settings(steps=9, max_dead_steps=2, rewards=(RewardSettings(name="format"),))
    with pytest.raises(TrainingStoppedError, match=r"rl stopped at step 2: .* got the same reward"):
        train_policy(settings, reward=RewardSum(settings.rewards), **stage)  # type: ignore[arg-type]
    assert [row["rl/zero_variance_share"] for row in metrics(tmp_path / "out")] == [1.0, 1.0]


def test_rows_too_long_are_dropped_with_a_reason(make_prompt: Callable[..., Prompt]) -> None:
    template = Template(load_tokenizer("whet:tiny"), TemplateSettings())
    rows = [
        Conversation(prompt=make_prompt("1 " * size), completion=text) for size, text in ((3, "a"), (90, "a"), (3, " "))
    ]
    groups, dropped = sft_groups(rows, template, max_length=40, completion_only_loss=True)
    assert len(groups) == 1
    assert [row.reason for row in dropped] == ["longer than max_length", "empty completion"]
    _, beyond = sft_groups(rows[1:2], template, max_length=400, completion_only_loss=True, context=90)
    assert [row.reason for row in beyond] == ["longer than the model's context"]
    whole, _ = sft_groups(rows[:1], template, max_length=40, completion_only_loss=False)
    assert whole[0].tokens == groups[0].tokens
    assert len(whole[0].prompt_ids) == 1
    with pytest.raises(TrainingStoppedError, match="2 of 3 rows were dropped"):
        require_examples("sft", 1, {"longer than max_length": 2}, limit=0.1)
    with pytest.raises(TrainingStoppedError, match="no row is left"):
        require_examples("sft", 0, {}, limit=0.1)


def test_prompts_need_room_for_an_answer(make_prompt: Callable[..., Prompt]) -> None:
    template = Template(load_tokenizer("whet:tiny"), TemplateSettings())
    prompt = make_prompt("1 2 3")
    length = len(template.prompt_ids(prompt))

    def reasons(**limits: int | None) -> list[str]:
        kept, dropped = usable_prompts([prompt], template, **{"max_prompt_length": 99, **limits})  # type: ignore[arg-type]
        assert kept == ([] if dropped else [prompt])
        assert all(row.tokens == length for row in dropped)
        return [row.reason for row in dropped]

    assert reasons(max_prompt_length=length) == []
    assert reasons(max_prompt_length=length - 1) == ["longer than max_prompt_length"]
    assert reasons(context=length + 1) == []
    assert reasons(context=length) == ["as long as the model's context"]


def test_a_ranking_is_as_long_as_its_longest_completion(make_prompt: Callable[..., Prompt]) -> None:
    template = Template(load_tokenizer("whet:tiny"), TemplateSettings())
    ranking = Ranking(prompt=make_prompt("1 2"), completions=("1", "1 2 3 4"), ranks=(0, 1))
    length = len(template.prompt_ids(ranking.prompt)) + len(template.completion_ids("1 2 3 4"))
    tied = Ranking(prompt=make_prompt(), completions=("a", "b"), ranks=(0, 0))

    def reasons(row: Ranking, **limits: int | None) -> list[str]:
        return [one.reason for one in preference_examples([row], template, **{"max_length": 99, **limits})[1]]  # type: ignore[arg-type]

    assert reasons(ranking, max_length=length, context=length) == []
    assert reasons(ranking, max_length=length - 1) == ["longer than max_length"]
    assert reasons(ranking, context=length - 1) == ["longer than the model's context"]
    assert reasons(tied) == ["all completions are tied"]


def test_pairs_of_a_ranking(make_prompt: Callable[..., Prompt]) -> None:
    template = Template(load_tokenizer("whet:tiny"), TemplateSettings())
    ranking = Ranking(prompt=make_prompt(), completions=("a", "b", "c"), ranks=(1, 0, 1))
    examples, _ = preference_examples([ranking], template, max_length=50)
    assert (examples[0].pairs, examples[0].pair_weight) == (((1, 0), (1, 2)), 0.5)
    comparison = Comparison(prompt=make_prompt(), chosen="a", rejected="b", margin=1.5)
    examples, _ = preference_examples([comparison], template, max_length=50)
    assert (examples[0].pairs, examples[0].margin) == (((0, 1),), 1.5)


def test_a_step_that_wants_more_prompts_than_there_are_is_refused(stage: dict[str, object]) -> None:
    settings = rl_settings(prompts_per_step=7)
    with pytest.raises(TrainingStoppedError, match=r"has 6 prompts that can be used, but a step takes 7 .* to 6"):
        train_policy(settings, reward=RewardSum(settings.rewards), **stage)  # type: ignore[arg-type]
