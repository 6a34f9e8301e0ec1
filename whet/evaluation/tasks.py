"""What is asked, and what a completion's verdict is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from whet.core.records import Prompt, Purpose, Rollout, prompt_in
from whet.data.manifest import open_for_evaluation
from whet.rewards.combine import call_reward
from whet.rewards.verifiers.answer import parse_answer

__all__ = ["TASKS", "Verdict", "load_tasks", "verdicts_of"]

Verdict = Literal["correct", "wrong", "unparsed", "truncated", "unscorable"]
# `final` compares the stages; the others are each stage's own test.
TASKS: tuple[Purpose, ...] = ("final", "ft_test", "rl_test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The prompts of one purpose."""

    purpose: Purpose
    prompts: tuple[Prompt, ...]


def load_tasks(data_dir: Path) -> list[Task]:
    """Every task that has prompts with a known answer."""
    tasks = []
    for purpose in TASKS:
        prompts = tuple(prompt_in(record) for record in open_for_evaluation(data_dir, purpose))
        answered = tuple(prompt for prompt in prompts if prompt.answer is not None)
        if answered:
            tasks.append(Task(purpose=purpose, prompts=answered))
    return tasks


def verdicts_of(verifier: Callable[..., Any], rollouts: Sequence[Rollout]) -> list[Verdict]:
    """One verdict per completion; what was cut off, unreadable or unscorable is not called wrong.

    Correct is a full score of the verifier (1 or more). A cut-off completion is `truncated`, one in which no answer was
    found is `unparsed`, and one on which the verifier failed is `unscorable`.
    """
    columns: dict[str, list[Any]] = {"answer": [rollout.prompt.answer for rollout in rollouts]}
    for key in sorted({key for rollout in rollouts for key in rollout.prompt.columns}):
        if key not in ("completion", "completions", "prompts", "completion_ids"):
            columns[key] = [rollout.prompt.columns.get(key) for rollout in rollouts]
    scores = call_reward(
        verifier,
        [rollout.prompt.text for rollout in rollouts],
        [rollout.text for rollout in rollouts],
        [rollout.completion_ids for rollout in rollouts],
        columns,
    )
    return [_verdict(score, rollout) for score, rollout in zip(scores, rollouts, strict=True)]


def _verdict(score: float | str | None, rollout: Rollout) -> Verdict:
    if not isinstance(score, float):
        return "unscorable"
    if score >= 1.0:
        return "correct"
    if rollout.is_truncated:
        return "truncated"
    return "wrong" if parse_answer(rollout.text).is_found else "unparsed"
