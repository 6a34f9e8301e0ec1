"""What a completion's verdict is."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from whet.core.records import Rollout
from whet.rewards import REWARDS
from whet.rewards.answers.compare import Expression, known_answer, read_answer, same_answer
from whet.rewards.answers.extract import parse_answer
from whet.rewards.answers.quantity import Quantity
from whet.rewards.call import call_reward
from whet.rewards.columns import columns_of

__all__ = ["Verdict", "verdicts_of"]

Verdict = Literal["correct", "wrong", "unparsed", "truncated", "unscorable"]
# The verifiers that read a completion's answer by the rule of `whet.rewards.answers`; of others nothing is known.
_BY_RULE = (REWARDS["answer"], REWARDS["closeness"])


def verdicts_of(verifier: Callable[..., Any], rollouts: Sequence[Rollout]) -> list[Verdict]:
    """One verdict per completion; what was cut off, unreadable or unscorable is not called wrong.

    Correct is a full score of the verifier (1 or more). A cut-off completion is `truncated`, one whose answer was not
    found or cannot be read beside the known one is `unparsed`. `unscorable` is what says nothing of the completion: the
    verifier failed, or it cannot read the known answer. Whether it can does not depend on the completion: of a known
    formula only the same text is surely right and nothing surely wrong, so a rate over it would be that of the right.
    """
    scores = call_reward(
        verifier,
        [rollout.prompt.text for rollout in rollouts],
        [rollout.text for rollout in rollouts],
        [rollout.completion_ids for rollout in rollouts],
        columns_of([rollout.prompt for rollout in rollouts]),
    )
    if verifier not in _BY_RULE:
        return [_verdict(score, rollout) for score, rollout in zip(scores, rollouts, strict=True)]
    return [_by_rule(score, rollout) for score, rollout in zip(scores, rollouts, strict=True)]


def _verdict(score: float | str | None, rollout: Rollout) -> Verdict:
    if not isinstance(score, float):
        return "unscorable"
    if score >= 1.0:
        return "correct"
    return "truncated" if rollout.is_truncated else "wrong"


def _by_rule(score: float | str | None, rollout: Rollout) -> Verdict:
    known, given = known_answer(rollout.prompt.answer or ""), parse_answer(rollout.text).text
    kind = read_answer(known)
    if score is None or isinstance(kind, Expression):
        return "unscorable"
    if isinstance(score, str):  # in another unit, or a share where a percentage is known; else the verifier failed
        return "unparsed" if given is not None and same_answer(given, known) is None else "unscorable"
    verdict = _verdict(score, rollout)
    cannot_be_read = given is None or (isinstance(kind, Quantity) and isinstance(read_answer(given), Expression))
    return "unparsed" if verdict == "wrong" and cannot_be_read else verdict
