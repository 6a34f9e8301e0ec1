"""What a completion"s verdict is."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from whet.core.records import Rollout
from whet.rewards.combine import call_reward
from whet.rewards.verifiers.answer import parse_answer

__all__ = ["Verdict", "verdicts_of"]

Verdict = Literal["correct", "wrong", "unparsed", "truncated", "unscorable"]


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
