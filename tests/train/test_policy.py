"""The RL loop over its life: resumed, stopped, refused; on a model of two tokens with scripted rollouts."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from bigram import parameters_of
from scripted_policy import GROUPS, Group, ScriptedStage, settings_with

from whet.core.errors import RunFolderError, TrainingStoppedError
from whet.core.records import Prompt, Rollout, Score
from whet.train.examples import Dropped
from whet.train.policy import prompts_for_step

# Every completion was cut off; the rewards differ.
CUT_OFF: Mapping[str, Group] = {
    "a": ((0, 1), [(0, 0), (0, 0, 0)], [1.0, 0.0]),
    "b": ((1, 0), [(0,), (0, 0)], [0.0, 2.0]),
}


@pytest.fixture
def make_stage(
    tmp_path: Path, make_prompt: Callable[..., Prompt], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ScriptedStage]:
    def make(groups: Mapping[str, Group] = GROUPS, *, out: str = "rl") -> ScriptedStage:
        (tmp_path / out).mkdir(exist_ok=True)
        return ScriptedStage(tmp_path / out, make_prompt, monkeypatch, groups)

    return make


def killed_in(stage: ScriptedStage, step: int) -> Callable[[Sequence[Rollout]], list[Score]]:
    """The stage's reward, which is interrupted in step `step` (from 1) of this start."""
    scored: list[int] = []

    def reward(rollouts: Sequence[Rollout]) -> list[Score]:
        scored.append(1)
        if len(scored) == step:
            raise KeyboardInterrupt
        return stage.scores(rollouts)

    return reward


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_killed_in_any_step_it_ends_as_the_undisturbed_run(make_stage: Callable[..., ScriptedStage], step: int) -> None:
    settings = settings_with(steps=4, save_steps=2, beta=0.5)
    straight = make_stage(out="straight")
    straight.train(settings)
    killed = make_stage(out="killed")
    with pytest.raises(KeyboardInterrupt):
        killed.train(settings, reward=killed_in(killed, step))
    resumed = make_stage(out="killed")
    resumed.train(settings)
    assert ("rl: going on after step 2 of 4" in resumed.said) == (step > 2)
    assert resumed.metrics == straight.metrics
    for name, value in parameters_of(resumed.model).items():
        assert torch.equal(value, parameters_of(straight.model)[name]), name
    for file in sorted((straight.out / "rollouts").iterdir()):
        assert file.read_bytes() == (resumed.out / "rollouts" / file.name).read_bytes()


def test_another_model_under_a_run_is_refused(make_stage: Callable[..., ScriptedStage]) -> None:
    stage = make_stage()
    with pytest.raises(KeyboardInterrupt):
        stage.train(settings_with(), reward=killed_in(stage, 3))
    exchanged = make_stage()
    exchanged.weights = "another"
    with pytest.raises(RunFolderError, match="weights of SHA-256 digest, but those of two tokens are another"):
        exchanged.train(settings_with())


def test_where_every_completion_is_cut_off_and_masked_the_run_says_so(make_stage: Callable[..., ScriptedStage]) -> None:
    stage = make_stage(CUT_OFF)
    settings = settings_with(prompts_per_step=2, num_generations=2, steps=9, max_dead_steps=2)
    with pytest.raises(TrainingStoppedError, match=r"rl stopped at step 2: .* no token was trained: .* cut off"):
        stage.train(settings)
    assert [(line["rl/kl"], line["rl/entropy"], line["rl/clip_share"]) for line in stage.metrics] == [(None,) * 3] * 2
    trained = make_stage(CUT_OFF, out="trained")
    trained.train(settings.model_copy(update={"mask_truncated_completions": False}))
    assert len(trained.metrics) == 9


def test_steps_without_a_signal_are_counted_over_a_resume(make_stage: Callable[..., ScriptedStage]) -> None:
    def nothing(stage: ScriptedStage, value: float | None, kill_at: int = 0) -> Callable[..., list[Score]]:
        reward = killed_in(stage, kill_at)
        return lambda rollouts: [
            Score(value=value, parts={}, unscorable=None if value is not None else "no grade") for _ in reward(rollouts)
        ]

    stage = make_stage()
    with pytest.raises(KeyboardInterrupt):
        stage.train(settings_with(steps=9), reward=nothing(stage, 1.0, kill_at=3))
    again = make_stage()
    with pytest.raises(TrainingStoppedError, match=r"rl stopped at step 3: .* no completion could be scored"):
        again.train(settings_with(steps=9), reward=nothing(again, None))
    assert [line["rl/zero_variance_share"] for line in again.metrics] == [1.0] * 3
    assert [line["reward/mean"] for line in again.metrics] == [1.0, 1.0, None]


def test_an_update_that_is_not_finite_is_seen_whichever_minibatch_it_is_in(
    make_stage: Callable[..., ScriptedStage],
) -> None:
    # undivided advantages of 1e308: the gradient of that group's minibatch overflows, the other's does not
    groups = {**GROUPS, "d": (*GROUPS["d"][:2], [1e308, -1e308, 0.0])}
    settings = settings_with(steps=9, scale_rewards="none", num_iterations=1, save_steps=9)
    stage = make_stage(groups)
    with pytest.raises(TrainingStoppedError, match="rl stopped at step 3: the gradient was not finite in 3 steps"):
        stage.train(settings)
    assert [line["train/skipped_updates"] for line in stage.metrics] == [1, 1, 1]
    assert all(line["train/grad_norm"] is None and "train/grad_norm" in line["nonfinite"] for line in stage.metrics)
    assert all(math.isfinite(line["reward/std"]) for line in stage.metrics)
    assert all(bool(torch.isfinite(value).all()) for value in parameters_of(stage.model).values())


def test_skipped_updates_are_counted_in_the_summary(make_stage: Callable[..., ScriptedStage]) -> None:
    groups = {**GROUPS, "d": (*GROUPS["d"][:2], [1e308, -1e308, 0.0])}
    settings = settings_with(steps=2, scale_rewards="none", num_iterations=1, save_steps=1)
    stage = make_stage(groups)
    with pytest.raises(KeyboardInterrupt):
        stage.train(settings, reward=killed_in(stage, 2))
    assert make_stage(groups).train(settings)["skipped_updates"] == 2


def test_fewer_prompts_than_a_step_takes_are_refused(make_stage: Callable[..., ScriptedStage]) -> None:
    stage = make_stage()
    with pytest.raises(TrainingStoppedError, match=r"has 4 prompts that can be used, but a step takes 5 .* to 4, or"):
        stage.train(settings_with(prompts_per_step=5))


def test_rows_that_cannot_be_used_are_counted_and_too_many_stop_the_stage(
    make_stage: Callable[..., ScriptedStage],
) -> None:
    # 4 of 8 rows are the half that settings_with allows, 5 of 9 are more
    stage = make_stage()
    stage.dropped = [Dropped(id=str(row), source="here", row=row, reason="too long", tokens=99) for row in range(4)]
    assert stage.train(settings_with(steps=1))["dropped"] == {"too long": 4}
    assert stage.limits == {"max_prompt_length": 33, "context": 55}
    assert len((stage.out / "dropped.jsonl").read_text().splitlines()) == 4
    stage.dropped.append(stage.dropped[0])
    with pytest.raises(TrainingStoppedError, match="rl: 5 of 9 rows were dropped"):
        stage.train(settings_with(steps=1))


def test_every_step_has_its_number_of_different_prompts(make_stage: Callable[..., ScriptedStage]) -> None:
    # 4 prompts by 3, with minibatches of 1, 1 and 1 groups: 3 updates a step
    stage = make_stage()
    stage.train(settings_with(prompts_per_step=3, minibatches=3))
    assert [len(set(texts)) for texts, *_ in stage.calls] == [3, 3, 3, 3]
    assert sorted(text for texts, *_ in stage.calls for text in texts) == sorted(list(GROUPS) * 3)


def test_prompts_of_a_step_are_those_of_the_order(make_prompt: Callable[..., Prompt]) -> None:
    prompts = [make_prompt(str(number)) for number in range(5)]
    rounds = [prompts_for_step(prompts, step=step, count=2, seed=1) for step in range(5)]
    assert sorted(prompt.text for prompts in rounds for prompt in prompts) == sorted("0123401234")
