import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from whet.core.errors import DataError, RecipeError
from whet.core.recipe import RewardSettings
from whet.core.records import Prompt, Rollout
from whet.rewards.combine import RewardSum, call_reward, load_reward
from whet.rewards.score_file import score_file

MINE = '''
import math
def per_row(completion, *, answer=None, **row):
    return float(len(completion))
def batch(prompts, completions, completion_ids, **columns):
    return [1.0 if a == "5" else None for a in columns["answer"]]
async def later(prompts, completions, **columns):
    return [0.5] * len(completions)
def raises(completion, **row):
    raise KeyError("gold")
def short(prompts, completions, **columns):
    return [1.0]
def nan(completion, **row):
    return math.nan
def text(completion, **row):
    return "good"
'''


@pytest.fixture()
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return str(tmp_path / "mine.py")


@pytest.fixture()
def rollouts(make_prompt: Callable[..., Prompt]) -> list[Rollout]:
    return [
        Rollout(
            prompt=make_prompt("q", answer=known),
            sample=0,
            prompt_ids=(1,),
            completion_ids=(2,),
            logprobs=(0.0,),
            text=text,
            finish="stop",
        )
        for text, known in (("<think>a</think><answer>5</answer>", "5"), ("<answer>4</answer>", "5"), ("x", None))
    ]


def test_the_sum_keeps_its_parts(rollouts: Sequence[Rollout]) -> None:
    total = RewardSum((RewardSettings(name="answer"), RewardSettings(name="format", weight=0.2)))
    scores = total(rollouts)
    assert [score.value for score in scores] == [1.2, 0.0, 0.0]
    assert scores[0].parts == {"answer": 1.0, "format": 1.0}
    # no known answer: that part does not apply, and is not a 0
    assert scores[2].parts == {"answer": None, "format": 0.0}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("raises", "KeyError: 'gold'"),
        ("short", "gave 1 values for 3 completions"),
        ("nan", "gave nan, not a finite number"),
        ("text", "gave str, not a number"),
    ],
)
def test_a_failed_part_is_never_a_zero(mine: str, rollouts: Sequence[Rollout], name: str, expected: str) -> None:
    total = RewardSum((RewardSettings(name="format"), RewardSettings(name=f"{mine}:{name}")))
    for score in total(rollouts):
        assert score.value is None
        assert score.unscorable is not None
        assert expected in score.unscorable
        assert score.parts["format"] is not None


def test_both_signatures_sync_and_async(mine: str) -> None:
    def call(name: str) -> list[float | str | None]:
        return call_reward(load_reward(f"{mine}:{name}"), ["p", "p"], ["ab", "c"], [(1,), (2,)], {"answer": ["5", "6"]})

    assert call("per_row") == [2.0, 1.0]
    assert call("batch") == [1.0, None]
    assert call("later") == [0.5, 0.5]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("anwser", "reward 'anwser' is not known; did you mean 'answer'?"),
        ("nowhere.py:f", "no such file nowhere.py"),
        ("{mine}:per_rwo", "has no function 'per_rwo'; did you mean 'per_row'?"),
    ],
)
def test_names_that_do_not_resolve(mine: str, name: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=r".") as caught:
        load_reward(name.replace("{mine}", mine))
    assert expected in str(caught.value)


def test_scores_of_a_file(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"completion": "<answer>5</answer>", "answer": 5}\n'
        '{"completion": "<answer>6</answer>", "answer": "5"}\n'
        '{"completion": "<answer>5</answer>"}\n{"completion": null}\nnot json\n'
    )
    summary = score_file(rows, ["answer"], tmp_path / "out.jsonl")
    assert (summary.rows, summary.scored, summary.mean) == (5, 2, 0.5)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["score"] for line in lines] == [1.0, 0.0, None, None, None]
    assert [set(line) for line in lines] == [{"score", "parts", "unscorable", "seconds"}] * 5
    assert lines[3]["unscorable"] == "rows.jsonl, line 4, field completion: text was expected"
    assert lines[4]["unscorable"].startswith("rows.jsonl, line 5: not valid JSON")
    with pytest.raises(DataError, match="no such file"):
        score_file(tmp_path / "none.jsonl", ["answer"], tmp_path / "out.jsonl")
