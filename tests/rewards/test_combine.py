import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from whet.core.recipe import RewardSettings
from whet.core.records import Prompt, Rollout
from whet.rewards.combine import RewardSum

MINE = """
import math
def per_row(completion, *, answer=None, **row):
    return float(len(completion))
def batch(prompts, completions, completion_ids, **columns):
    return [1.0 if a == "5" else None for a in columns["answer"]]
def level(completion, level):
    return level
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
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return str(tmp_path / "mine.py")


@pytest.fixture
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
        ("raises", "KeyError: 'gold' (mine.py:12)"),
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


def test_a_part_that_applies_to_some_of_a_group_counts_as_its_mean_for_the_others(
    mine: str, rollouts: Sequence[Rollout], make_prompt: Callable[..., Prompt]
) -> None:
    # format 1 0 0 at weight 0.2; `level` 2 and 5 and None at weight 0.5: the third gets 0.5 (2 + 5) / 2 = 1.75
    names = (RewardSettings(name="format", weight=0.2), RewardSettings(name=f"{mine}:level", weight=0.5))
    group = [
        replace(rollout, prompt=make_prompt("q", columns={"level": level}))
        for rollout, level in zip(rollouts, (2, 5, None), strict=True)
    ]
    scores = RewardSum(names)(group)
    assert [score.value for score in scores] == pytest.approx([0.2 + 1.0, 2.5, 1.75])
    assert scores[2].parts == {"format": 0.0, f"{mine}:level": None}
    assert all(score.unscorable is None for score in scores)
    # in a group of its own, to which the part does not apply at all, it is left out
    other = replace(group[2], prompt=make_prompt("another", columns={"level": None}))
    assert [score.value for score in RewardSum(names)([*group[:2], other])] == pytest.approx([1.2, 2.5, 0.0])


def test_when_nothing_applies_there_is_no_value(rollouts: Sequence[Rollout]) -> None:
    score = RewardSum((RewardSettings(name="answer"), RewardSettings(name="closeness")))(rollouts)[2]
    assert (score.value, score.unscorable) == (None, "no reward applies to this row")


def test_every_failed_part_is_named(mine: str, rollouts: Sequence[Rollout]) -> None:
    total = RewardSum((RewardSettings(name=f"{mine}:nan"), RewardSettings(name=f"{mine}:text")))
    assert total(rollouts)[0].unscorable == (
        f"{mine}:nan: gave nan, not a finite number; {mine}:text: gave str, not a number"
    )


def test_a_sum_beyond_all_numbers_is_no_score(rollouts: Sequence[Rollout]) -> None:
    total = RewardSum((RewardSettings(name="answer", weight=1.7e308), RewardSettings(name="format", weight=1.7e308)))
    scores = total(rollouts)
    assert (scores[0].value, scores[0].unscorable) == (None, "the weighted sum of the rewards is not finite")
    assert scores[1].value == 0.0


def test_columns_and_the_limit_reach_the_functions(
    tmp_path: Path, make_prompt: Callable[..., Prompt], rollouts: Sequence[Rollout]
) -> None:
    (tmp_path / "see.py").write_text(
        "def see(prompts, completions, completion_ids, *, level, max_completion_length, **columns):\n"
        "    assert prompts == ['q2'] and completions == ['<answer>4</answer>'], prompts\n"
        "    assert [list(ids) for ids in completion_ids] == [[2]]\n"
        "    assert set(columns) == {'answer'}, columns\n"
        "    return [level[0] * max_completion_length[0]]\n"
    )
    # a ranked row's own completions and ranks are not about these completions
    prompt = make_prompt("q2", columns={"level": 3, "completions": ["a", "b"], "ranks": [0, 1]})
    rollout = replace(rollouts[1], prompt=prompt)
    settings = (RewardSettings(name=f"{tmp_path}/see.py:see"),)
    (score,) = RewardSum(settings, max_completion_length=64)([rollout])
    assert (score.value, score.unscorable) == (192.0, None)


def test_a_column_that_only_some_rows_have_is_none_elsewhere(
    tmp_path: Path, make_prompt: Callable[..., Prompt], rollouts: Sequence[Rollout]
) -> None:
    (tmp_path / "level.py").write_text("def level(completion, level):\n    return level\n")
    with_level = replace(rollouts[0], prompt=make_prompt("q", columns={"level": 3}))
    scores = RewardSum((RewardSettings(name=f"{tmp_path}/level.py:level"),))([with_level, rollouts[1]])
    assert [score.value for score in scores] == [3.0, None]


class ByLength:
    """A stand-in for a reward model's folder: the length of the text; NaN for none."""

    def scores_of(self, rollouts: Sequence[Rollout]) -> list[float | str]:
        return [float(len(rollout.text)) or math.nan for rollout in rollouts]


def test_a_reward_model_scores_each_rollout_of_its_group(
    make_prompt: Callable[..., Prompt], rollouts: Sequence[Rollout]
) -> None:
    # two prompts, their rollouts interleaved
    a, b = make_prompt("a"), make_prompt("b")
    mixed = [
        replace(rollouts[0], prompt=prompt, text=text) for prompt, text in ((a, "1"), (b, "22"), (a, "333"), (b, ""))
    ]
    scores = RewardSum((RewardSettings(name="reward_model", weight=0.5),), learned=ByLength())(mixed)
    assert [score.value for score in scores] == [0.5, 1.0, 1.5, None]
    assert scores[3].unscorable == "reward_model: gave nan, not a finite number"


def test_a_reward_that_hangs_costs_its_rows_and_not_the_run(tmp_path: Path, rollouts: Sequence[Rollout]) -> None:
    (tmp_path / "hang.py").write_text(
        "def hang(completion):\n    while completion == 'x':\n        pass\n    return 1\n"
    )
    scores = RewardSum((RewardSettings(name=f"{tmp_path}/hang.py:hang", timeout_s=0.05),))(rollouts)
    assert [score.value for score in scores] == [1.0, 1.0, None]
    assert "took more than 0.05 s" in str(scores[2].unscorable)


def test_seconds_are_measured(rollouts: Sequence[Rollout]) -> None:
    assert all(score.seconds > 0 for score in RewardSum((RewardSettings(name="format"),))(rollouts))
