from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.records import Prompt
from whet.evaluation.asked import left_out_lines, require_judged, tasks_to_ask
from whet.evaluation.tasks import purpose
from whet.rewards import REWARDS

MakePrompt = Callable[..., Prompt]
Fill = Callable[..., None]


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Fill:
    """What each evaluation purpose holds."""
    rows: dict[str, Sequence[Any]] = {}

    def fill(**purposes: Sequence[Any]) -> None:
        rows.clear()
        rows.update(purposes)

    for module in ("tasks.purpose", "asked"):
        monkeypatch.setattr(f"whet.evaluation.{module}.open_for_evaluation", lambda data_dir, name: rows.get(name, ()))
    assert purpose
    return fill


def ask(reward: str = "answer", verifier: Any = None, *, judges_pairs: bool = False) -> list[Any]:
    return tasks_to_ask(Path("data"), reward, verifier or REWARDS[reward], judges_pairs=judges_pairs)


def test_prompts_that_cannot_be_judged_are_left_out_and_told(make_prompt: MakePrompt, fill: Fill) -> None:
    known, unknown = make_prompt("a", answer="5"), make_prompt("b")
    fill(final=[known, unknown], rl_test=[unknown])
    tasks = ask()
    assert [(task.purpose, task.prompts, task.left_out) for task in tasks] == [
        ("final", (known,), (unknown,)),
        ("rl_test", (), (unknown,)),
    ]
    assert left_out_lines(tasks, REWARDS["answer"]) == ["evaluation: 2 of 3 prompts have no 'answer' and are not asked"]
    # a verifier that needs no known answer judges all of them
    assert [task.left_out for task in ask("format")] == [(), ()]
    assert left_out_lines(ask("format"), REWARDS["format"]) == []


def test_nothing_to_judge_is_refused_with_what_is_there(make_prompt: MakePrompt, fill: Fill) -> None:
    fill(final=[make_prompt(columns={"solution": "5"})], ft_test=[make_prompt()])
    with pytest.raises(DataError, match=r"no row of final, ft_test has 'answer'.*data\.columns: \{answer: solution\}"):
        ask()
    fill()
    with pytest.raises(DataError, match=r"no row of final, ft_test and rl_test; raise their share in data\.sizes"):
        ask()

    def two(completion: str, a: int, b: int) -> float:
        return 1.0

    fill(final=[make_prompt(columns={"a": 1}), make_prompt(columns={"b": 1})])
    with pytest.raises(DataError, match=r"no row of final has all that the reward 'mine\.py:two' needs"):
        ask("mine.py:two", two)


def test_pairs_for_the_reward_model_are_enough(make_prompt: MakePrompt, fill: Fill) -> None:
    fill(final=[make_prompt()], rm_test=["a pair"])
    (task,) = ask(judges_pairs=True)
    assert task.prompts == ()
    with pytest.raises(DataError):
        ask(judges_pairs=False)
    fill(final=[make_prompt()])
    with pytest.raises(DataError):
        ask(judges_pairs=True)


def test_known_answers_of_which_none_can_be_read(make_prompt: MakePrompt, fill: Fill) -> None:
    fill(final=[make_prompt(answer=r"\sqrt{3}"), make_prompt(answer="(1, 2)")])
    with pytest.raises(DataError, match=r"'answer' can read none of the 2 known answers of final, the first is"):
        ask()
    assert ask("mine.py:f", lambda completion: 1.0)
    fill(final=[make_prompt(answer=r"\sqrt{3}"), make_prompt(answer="5")])
    assert len(ask()[0].prompts) == 2


def test_a_verifier_that_judged_nothing_is_at_fault() -> None:
    failed = {"verdict": "unscorable", "reason": "ValueError: no"}
    with pytest.raises(DataError) as caught:
        require_judged([failed, {**failed, "reason": "another"}], "mine.py:f")
    assert str(caught.value) == (
        "evaluation: the reward 'mine.py:f' could judge none of the 2 answers so far; the first: ValueError: no"
    )
    require_judged([failed, {"verdict": "wrong", "reason": None}], "mine.py:f")
    require_judged([], "mine.py:f")
