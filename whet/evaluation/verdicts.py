"""What a completion's verdict is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from whet.core.records import Rollout
from whet.rewards.answers.compare import Expression, known_answer, read_answer, same_answer
from whet.rewards.answers.extract import parse_answer
from whet.rewards.answers.quantity import Quantity
from whet.rewards.call import call_reward
from whet.rewards.columns import columns_of
from whet.rewards.needs import BY_RULE, is_beyond_the_rule

__all__ = ["Judgement", "Verdict", "judgements_of"]

Verdict = Literal["correct", "wrong", "unparsed", "truncated", "unscorable", "unasked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`Judgement(verdict="unscorable", reason="took more than 60 s (timeout_s)")`; a reason where nothing is judged."""

    verdict: Verdict
    reason: str | None = None


def judgements_of(verifier: Callable[..., Any], rollouts: Sequence[Rollout]) -> list[Judgement]:
    """One per completion; what was cut off, unreadable or unscorable is not called wrong.

    Correct is a full score of the verifier (1 or more). A cut-off completion is `truncated`, one whose answer was not
    found or cannot be read beside the known one is `unparsed`. `unscorable` is what says nothing of the completion: the
    verifier failed, or it cannot read the known answer. Whether it can does not depend on the completion: of a known
    formula only the same text is surely right and nothing surely wrong, so a rate over it would be that of the right.
    `unasked` is a prompt that leaves no room in the model's context.
    """
    judged = iter(_judgements(verifier, [rollout for rollout in rollouts if rollout.finish != "no_room"]))
    return [_unasked(rollout) if rollout.finish == "no_room" else next(judged) for rollout in rollouts]


def _unasked(rollout: Rollout) -> Judgement:
    reason = f"the prompt has {len(rollout.prompt_ids)} tokens, which leave no room in the model's context"
    return Judgement(verdict="unasked", reason=reason)


def _judgements(verifier: Callable[..., Any], rollouts: Sequence[Rollout]) -> list[Judgement]:
    if not rollouts:
        return []
    scores = call_reward(
        verifier,
        [rollout.prompt.text for rollout in rollouts],
        [rollout.text for rollout in rollouts],
        [rollout.completion_ids for rollout in rollouts],
        columns_of([rollout.prompt for rollout in rollouts]),
    )
    judge = _by_rule if verifier in BY_RULE else _judged
    return [judge(score, rollout) for score, rollout in zip(scores, rollouts, strict=True)]


def _judged(score: float | str | None, rollout: Rollout) -> Judgement:
    if not isinstance(score, float):
        return Judgement(verdict="unscorable", reason=score or "the verifier says nothing of this row")
    if score >= 1.0:
        return Judgement(verdict="correct")
    return Judgement(verdict="truncated" if rollout.is_truncated else "wrong")


def _by_rule(score: float | str | None, rollout: Rollout) -> Judgement:
    answer = rollout.prompt.answer
    if is_beyond_the_rule(answer):
        reason = f"the known answer {str(answer)[:80]!r} is neither a number nor a few words"
        return Judgement(verdict="unscorable", reason=reason)
    known, given = known_answer(answer or ""), parse_answer(rollout.text).text
    if isinstance(score, str) and given is not None and same_answer(given, known) is None:
        return Judgement(verdict="unparsed")  # in another unit, or a share where a percentage is known
    judged = _judged(score, rollout)
    is_number = isinstance(read_answer(known), Quantity)
    cannot_be_read = given is None or (is_number and isinstance(read_answer(given), Expression))
    return Judgement(verdict="unparsed") if judged.verdict == "wrong" and cannot_be_read else judged
