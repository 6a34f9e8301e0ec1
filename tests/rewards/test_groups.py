from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from whet.core.records import Origin, Prompt, Rollout, Score
from whet.rewards.groups import RewardNews, groups_of, mixed_groups, stand_ins

Make = Callable[[str], Rollout]


@pytest.fixture
def rollout(make_prompt: Callable[..., Prompt]) -> Make:
    def make(text: str) -> Rollout:
        return Rollout(
            prompt=make_prompt(text),
            sample=0,
            prompt_ids=(1,),
            completion_ids=(2,),
            logprobs=(0.0,),
            text="x",
            finish="stop",
        )

    return make


def score(*parts: float | None, unscorable: str | None = None) -> Score:
    named = dict(zip("abc", parts, strict=False))
    return Score(value=None if unscorable else 1.0, parts=named, unscorable=unscorable)


def test_a_group_is_the_completions_of_one_row(rollout: Make) -> None:
    other_row = replace(rollout("p"), prompt=replace(rollout("p").prompt, origin=Origin(source="test", row=7)))
    assert groups_of([rollout("p"), rollout("q"), rollout("p"), other_row]) == [[0, 2], [1], [3]]
    assert groups_of([]) == []


def test_the_mean_of_those_to_which_a_part_applies_stands_in() -> None:
    parts = {"a": [1.0, None, 4.0, None], "b": [None, None, None, "failed"], "c": [1.0, 2.0, 3.0, 4.0]}
    # a: 2.5 in the group of the first three; the last, alone in its group, has nothing to stand in; a failure is none
    assert stand_ins(parts, [[0, 1, 2], [3]], completions=4) == [{}, {"a": 2.5}, {}, {}]
    assert stand_ins({"a": [None, "failed", 3.0]}, [[0, 1, 2]], completions=3) == [{"a": 3.0}, {}, {}]
    # two rewards near the largest float have a mean
    assert stand_ins({"a": [1e308, 1.5e308, None]}, [[0, 1, 2]], completions=3)[2]["a"] == pytest.approx(1.25e308)


def test_groups_are_mixed_where_a_part_applies_to_some_only(rollout: Make) -> None:
    rollouts = [rollout("p"), rollout("p"), rollout("q"), rollout("q"), rollout("r"), rollout("r")]
    scores = [score(1, None), score(None, None), score(1, None), score(1, 2), score(1, None), score(1, None)]
    assert mixed_groups(rollouts, scores) == {"a": 1, "b": 1}
    # a completion without a reward mixes nothing
    scores[1] = score(None, None, unscorable="no reward applies to this row")
    assert mixed_groups(rollouts, scores) == {"b": 1}
    assert mixed_groups(rollouts[:1], [score(None, unscorable="a: failed")]) == {}


def test_each_kind_of_trouble_is_told_once(rollout: Make) -> None:
    rollouts = [rollout("p"), rollout("p"), rollout("q"), rollout("q")]
    good: Sequence[Score] = [score(1, 1)] * 4
    failed = [score(None, unscorable="a: ValueError: no (m.py:3)"), *good[1:]]
    mixed = [score(1, None), *good[1:]]
    news = RewardNews()
    assert news.lines(1, rollouts, good) == []
    assert news.lines(2, rollouts, failed) == ["step 2: 1 of 4 completions have no reward: a: ValueError: no (m.py:3)"]
    assert news.lines(3, rollouts, failed) == []
    (line,) = news.lines(4, rollouts, mixed)
    assert line == (
        "step 4: b applies to some completions only in 1 of 2 groups; for the others it counts as its mean in the "
        "group (reward/mixed_groups in the log)"
    )
    assert news.lines(5, rollouts, mixed) == []
    other = [score(None, unscorable="b: took more than 60 s (timeout_s)"), *good[1:]]
    assert len(news.lines(6, rollouts, other)) == 1
