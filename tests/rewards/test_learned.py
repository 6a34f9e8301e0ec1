"""A reward model's folder as a reward, against the same folder read by transformers alone."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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
from whet.tokens.recorded import record_template
from whet.verbs.score_file import ScoreSummary, score_file

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


def own_scores(folder: Path, rows: Sequence[Sequence[int]]) -> list[float]:
    """What transformers alone makes of the same ids."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return [float(model(torch.tensor([list(ids)])).logits) for ids in rows]


def sampled(prompt: Prompt, ids: Sequence[int], text: str, *, finish: str = "stop", sample: int = 0) -> Rollout:
    return Rollout(
        prompt=prompt,
        sample=sample,
        prompt_ids=(1,),
        completion_ids=tuple(ids),
        logprobs=(0.0,) * len(ids),
        text=text,
        finish=finish,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def policy_judge(folder: Path) -> LearnedReward:
    """For rollouts of the model whose tokens the reward model has."""
    return LearnedReward(folder, PLAIN, device=torch.device("cpu"), sampled_by="whet:tiny")


def test_a_rollout_is_scored_on_its_own_tokens(
    folder: Path, judge: LearnedReward, policy_judge: LearnedReward, make_prompt: Callable[..., Prompt]
) -> None:
    a, b = make_prompt(QUESTIONS[0]), make_prompt(QUESTIONS[1])
    whole = judge.template.completion_ids("<answer>5</answer>")
    # the letters of the same text, each a token of its own: never what the tokenizer makes of it, but what was sampled
    letters = tuple(judge.template.tokenizer.convert_tokens_to_ids(list("<answer>5</answer>")))
    assert len(letters) > len(whole)
    assert len(set(letters)) > 8
    rollouts = [
        sampled(a, whole, "<answer>5</answer>"),
        sampled(b, whole[:-1], "<answer>5</answer>", finish="length"),
        sampled(a, letters, "<answer>5</answer>", finish="length", sample=1),
        sampled(b, whole[:2], "<an", finish="length", sample=1),
    ]
    rows = [(*judge.template.prompt_ids(one.prompt), *one.completion_ids) for one in rollouts]
    found = policy_judge.scores_of(rollouts)
    assert found == pytest.approx(own_scores(folder, rows), abs=1e-4)
    # the same text, ended, is another number: a cut-off completion has not said that it is done
    (ended,) = judge.scores([b], [["<answer>5</answer>"]])[0]
    assert found[1] != pytest.approx(ended, abs=1e-3)


def test_tokens_of_another_model_are_read_as_text_with_an_end_where_there_was_one(
    folder: Path, judge: LearnedReward, make_prompt: Callable[..., Prompt]
) -> None:
    prompt = make_prompt(QUESTIONS[0])
    prompt_ids, ids = judge.template.prompt_ids(prompt), judge.template.completion_ids("<answer>5</answer>")
    rollouts = [
        sampled(prompt, (3, 3, 3), "<answer>5</answer>"),
        sampled(prompt, (3, 3), "<answer>5</answer>", finish="length", sample=1),
    ]
    assert not judge.has_their_tokens
    expected = own_scores(folder, [(*prompt_ids, *ids), (*prompt_ids, *ids[:-1])])
    assert judge.scores_of(rollouts) == pytest.approx(expected, abs=1e-4)


def test_what_cannot_be_scored_says_why(
    policy_judge: LearnedReward, judge: LearnedReward, make_prompt: Callable[..., Prompt]
) -> None:
    prompt, ids = make_prompt(QUESTIONS[0]), judge.template.completion_ids("<answer>5</answer>")
    room = 512 - len(judge.template.prompt_ids(prompt))
    rollouts = [
        sampled(prompt, (), "", finish="no_room"),
        sampled(prompt, ids, "<answer>5</answer>", sample=1),
        sampled(prompt, (5,) * (room + 1), "x", finish="length", sample=2),
        sampled(prompt, (5,) * room, "x", finish="length", sample=3),
    ]
    nothing, good, too_long, just_fits = policy_judge.scores_of(rollouts)
    assert nothing == "there is no token to score"
    assert too_long == "513 tokens, but the reward model reads at most 512"
    assert isinstance(good, float)
    assert isinstance(just_fits, float)
    scores = RewardSum((RewardSettings(name="reward_model"),), learned=policy_judge)(rollouts)
    assert [score.value is None for score in scores] == [True, False, True, False]
    assert scores[0].unscorable == "reward_model: there is no token to score"


def test_it_is_one_part_of_a_sum(
    judge: LearnedReward, policy_judge: LearnedReward, make_prompt: Callable[..., Prompt]
) -> None:
    prompt = make_prompt(QUESTIONS[0], answer="5")
    rollouts = [
        sampled(prompt, judge.template.completion_ids(text), text, sample=sample)
        for sample, text in enumerate(ANSWERS[0])
    ]
    rewards = (RewardSettings(name="answer"), RewardSettings(name="reward_model", weight=0.5))
    scores = RewardSum(rewards, learned=policy_judge)(rollouts)
    for score, learned, right in zip(scores, judge.scores([prompt], ANSWERS[:1])[0], (1.0, 0.0, 0.0), strict=True):
        assert isinstance(learned, float)
        assert score.value == pytest.approx(right + 0.5 * learned, abs=1e-4)


def test_a_folder_scores_a_file_by_the_template_it_was_trained_with(
    folder: Path, make_prompt: Callable[..., Prompt], tmp_path: Path
) -> None:
    asked = TemplateSettings(format="plain", system="Answer in one word.")
    own = Path(shutil.copytree(folder, tmp_path / "model"))
    # two prompts in turn, so that the rows of each do not stand together, and one without a prompt
    rows = [{"prompt": QUESTIONS[place % 2], "completion": text} for place, text in enumerate((*ANSWERS[0], "8"))]
    rows.insert(2, {"completion": "no prompt"})
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def scored() -> tuple[ScoreSummary, list[dict[str, Any]]]:
        summary = score_file(tmp_path / "rows.jsonl", [str(own)], tmp_path / "out.jsonl")
        return summary, [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    firsts: list[float] = []
    for settings in (None, asked):
        if settings is not None:
            record_template(own, settings)
        summary, lines = scored()
        expected = LearnedReward(folder, settings or TemplateSettings(), device=torch.device("cpu"))
        for row, line in zip(rows, lines, strict=True):
            if "prompt" in row:
                (wanted,) = expected.scores([make_prompt(row["prompt"])], [[row["completion"]]])[0]
                assert line["score"] == pytest.approx(wanted, abs=1e-4)
        assert lines[2]["unscorable"] == f"{own}: a reward model needs the field prompt"
        assert (summary.scored, summary.rows) == (4, 5)
        assert summary.first_reason == lines[2]["unscorable"]
        is_known = settings is not None
        assert ("does not say which template it was trained with" in "".join(summary.notes)) is not is_known
        firsts.append(lines[0]["score"])
    # the system turn that the model was trained behind makes another score
    assert firsts[0] != pytest.approx(firsts[1], abs=3e-4)
