"""A reward model's folder as a reward, against the same folder read by transformers alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from whet.core.recipe import RewardSettings, TemplateSettings
from whet.core.records import Prompt, Rollout
from whet.models.heads import reward_model_from
from whet.models.load import load_model
from whet.models.save import save_model
from whet.rewards.combine import RewardSum
from whet.rewards.learned import LearnedReward
from whet.verbs.score_file import score_file

PLAIN = TemplateSettings(format="plain")
QUESTIONS = ("Alice has 3 apples and buys 2 more. How many now?", "Bob has 7 pears. How many?")
ANSWERS = (("<answer>5</answer>", "<answer>6</answer>", ""), ("<answer>7</answer>",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    loaded = load_model("whet:tiny")
    folder = tmp_path_factory.mktemp("reward") / "model"
    save_model(reward_model_from(loaded, seed=0), loaded.tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def judge(folder: Path) -> LearnedReward:
    return LearnedReward(folder, PLAIN, device=torch.device("cpu"))


def test_each_completion_is_scored_at_its_last_token(
    folder: Path, judge: LearnedReward, make_prompt: Callable[..., Prompt]
) -> None:
    prompts = [make_prompt(question) for question in QUESTIONS]
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    expected = []
    for prompt, texts in zip(prompts, ANSWERS, strict=True):
        rows = [[*judge.template.prompt_ids(prompt), *judge.template.completion_ids(text)] for text in texts]
        with torch.no_grad():
            expected.append([float(model(torch.tensor([ids])).logits) for ids in rows])
    found = judge.scores(prompts, ANSWERS)
    assert [len(row) for row in found] == [3, 1]
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-4)
    assert len({round(value, 5) for row in found for value in row}) == 4


def test_cutting_into_pieces_changes_nothing(
    folder: Path, judge: LearnedReward, make_prompt: Callable[..., Prompt]
) -> None:
    prompts = [make_prompt(question) for question in QUESTIONS]
    small = LearnedReward(folder, PLAIN, device=torch.device("cpu"), max_tokens=1)
    for row, other in zip(small.scores(prompts, ANSWERS), judge.scores(prompts, ANSWERS), strict=True):
        assert row == pytest.approx(other, abs=1e-4)


def test_it_is_one_part_of_a_sum(judge: LearnedReward, make_prompt: Callable[..., Prompt]) -> None:
    prompt = make_prompt(QUESTIONS[0], answer="5")
    rollouts = [
        Rollout(
            prompt=prompt,
            sample=sample,
            prompt_ids=(1,),
            completion_ids=(2,),
            logprobs=(0.0,),
            text=text,
            finish="stop",
        )
        for sample, text in enumerate(ANSWERS[0])
    ]
    rewards = (RewardSettings(name="answer"), RewardSettings(name="reward_model", weight=0.5))
    scores = RewardSum(rewards, learned=judge)(rollouts)
    for score, learned, right in zip(scores, judge.scores([prompt], ANSWERS[:1])[0], (1.0, 0.0, 0.0), strict=True):
        assert score.value == pytest.approx(right + 0.5 * learned, abs=1e-4)


def test_a_folder_scores_a_file(
    folder: Path, judge: LearnedReward, make_prompt: Callable[..., Prompt], tmp_path: Path
) -> None:
    rows = [{"prompt": QUESTIONS[0], "completion": text} for text in ANSWERS[0]] + [{"completion": "no prompt"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    summary = score_file(tmp_path / "rows.jsonl", [str(folder)], tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    expected = judge.scores([make_prompt(QUESTIONS[0])], ANSWERS[:1])[0]
    assert [line["score"] for line in lines[:3]] == pytest.approx(expected, abs=1e-4)
    assert lines[3]["unscorable"] == f"{folder}: a reward model needs the field prompt"
    assert summary.scored == 3
