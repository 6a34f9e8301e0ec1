from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from whet.core.records import Prompt, Rollout
from whet.evaluation.verdicts import judgements_of
from whet.rewards import REWARDS

MakePrompt = Callable[..., Prompt]


def verdicts_of(verifier: Callable[..., Any], rollouts: Sequence[Rollout]) -> list[str]:
    return [judgement.verdict for judgement in judgements_of(verifier, rollouts)]


def rollout(prompt: Prompt, text: str, *, finish: str = "stop") -> Rollout:
    return Rollout(
        prompt=prompt,
        sample=0,
        prompt_ids=(1,),
        completion_ids=(2, 3),
        logprobs=(0.0, 0.0),
        text=text,
        finish=finish,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("text", "known", "finish", "verdict"),
    [
        ("<answer>5</answer>", "5", "stop", "correct"),
        ("<answer>5</answer>", "5", "length", "correct"),
        ("<answer>6</answer>", "5", "stop", "wrong"),
        ("<answer>Paris</answer>", "5", "stop", "wrong"),
        ("<answer>6</answer>", "Paris", "stop", "wrong"),
        ("<answer>6</answer>", "5", "length", "truncated"),
        ("It is 5.", "5", "stop", "unparsed"),
        ("It is 5.", "5", "length", "truncated"),
        ("", "Paris", "stop", "unparsed"),
        # an answer that cannot be read beside a number, or that is in another unit
        ("<answer>5 or 6</answer>", "5", "stop", "unparsed"),
        (r"\boxed{\sqrt{25}}", "5", "stop", "unparsed"),
        ("<answer>5 km</answer>", "5 cm", "stop", "unparsed"),
        ("<answer>0.28</answer>", "28%", "stop", "unparsed"),
        ("<answer>0.29</answer>", "28%", "stop", "wrong"),
        # a known answer that is beyond the rule: neither right nor wrong, whatever is answered
        (r"<answer>\sqrt{3}</answer>", r"\sqrt{3}", "stop", "unscorable"),
        ("<answer>5</answer>", r"\sqrt{3}", "stop", "unscorable"),
        ("no idea", r"\sqrt{3}", "length", "unscorable"),
        ("<answer>5</answer>", "", "stop", "unscorable"),
        ("<answer>5</answer>", None, "stop", "unscorable"),
    ],
)
def test_verdicts_by_the_rule(make_prompt: MakePrompt, text: str, known: str | None, finish: str, verdict: str) -> None:
    assert verdicts_of(REWARDS["answer"], [rollout(make_prompt(answer=known), text, finish=finish)]) == [verdict]


def test_nearly_right_is_not_right_and_one_percent_off_is(make_prompt: MakePrompt) -> None:
    # relative errors 0.5 % and 5 %: a full score and 0.8
    rollouts = [rollout(make_prompt(answer="200"), f"<answer>{given}</answer>") for given in ("201", "210")]
    assert verdicts_of(REWARDS["closeness"], rollouts) == ["correct", "wrong"]


def test_of_a_verifier_of_ones_own_nothing_else_is_known(make_prompt: MakePrompt) -> None:
    values: Mapping[str, Any] = {"a": 1.5, "b": 1, "c": 0.99, "d": None, "e": "text", "f": float("nan")}

    def mine(completion: str, level: int, answer: str | None) -> Any:
        assert (level, answer) == (3, None)
        return values[completion]

    prompt = make_prompt(columns={"level": 3, "completions": ["x"], "ranks": [0]})
    expected = ["correct", "correct", "wrong", "unscorable", "unscorable", "unscorable"]
    assert verdicts_of(mine, [rollout(prompt, text) for text in values]) == expected
    assert verdicts_of(mine, [rollout(prompt, "c", finish="length")]) == ["truncated"]
    # and it is the verifier that says what an answer is
    assert verdicts_of(REWARDS["format"], [rollout(prompt, "no tags")]) == ["wrong"]


def test_one_failure_is_not_anothers(make_prompt: MakePrompt) -> None:
    def mine(completion: str) -> float:
        return 1 / len(completion)

    rollouts = [rollout(make_prompt(), text) for text in ("", "x", "xx")]
    failed, *others = judgements_of(mine, rollouts)
    assert (failed.verdict, [judgement.verdict for judgement in others]) == ("unscorable", ["correct", "wrong"])
    assert str(failed.reason).startswith("ZeroDivisionError: division by zero (test_verdicts.py:")
    assert [judgement.reason for judgement in others] == [None, None]


def test_what_is_unscorable_says_why(make_prompt: MakePrompt) -> None:
    prompt = make_prompt(answer=r"\sqrt{3}")
    (judgement,) = judgements_of(REWARDS["answer"], [rollout(prompt, "5")])
    assert judgement.reason == r"the known answer '\\sqrt{3}' is neither a number nor a few words"
    (judgement,) = judgements_of(lambda completion: None, [rollout(prompt, "5")])
    assert judgement.reason == "the verifier says nothing of this row"
