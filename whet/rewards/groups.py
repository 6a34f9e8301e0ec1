"""Completions of one prompt side by side, and parts of the reward that apply to some of them only.

A group's rewards are compared with one another. Where a part says None of some of its completions, their sums are over
different parts. What stands in is the group's mean of that part over those to which it applies: it neither lifts nor
lowers them. Leaving the part out would count it as 0, which is a bonus where it is usually negative and a fine where it
is usually positive.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from whet.core.records import Rollout, Score
from whet.rewards.call import Verdict

__all__ = ["RewardNews", "groups_of", "mixed_groups", "stand_ins"]


def groups_of(rollouts: Sequence[Rollout]) -> list[list[int]]:
    """The places of the completions of each prompt, in order; the same text in two rows is two prompts."""
    groups: dict[tuple[str, str, int], list[int]] = {}
    for place, rollout in enumerate(rollouts):
        origin = rollout.prompt.origin
        groups.setdefault((rollout.prompt.id, origin.source, origin.row), []).append(place)
    return list(groups.values())


def stand_ins(
    parts: Mapping[str, Sequence[Verdict]], groups: Sequence[Sequence[int]], *, completions: int
) -> list[dict[str, float]]:
    """For each completion the group's mean of every part that does not apply to it and does to others of its group."""
    found: list[dict[str, float]] = [{} for _ in range(completions)]
    for name, verdicts in parts.items():
        for group in groups:
            values = [value for place in group if isinstance(value := verdicts[place], float)]
            if values:
                mean = math.fsum(value / len(values) for value in values)
                for place in group:
                    if verdicts[place] is None:
                        found[place][name] = mean
    return found


def mixed_groups(rollouts: Sequence[Rollout], scores: Sequence[Score]) -> dict[str, int]:
    """Part -> in how many groups it applies to some of the completions with a reward, but not to all of them."""
    mixed: Counter[str] = Counter()
    for group in groups_of(rollouts):
        scored = [scores[place].parts for place in group if scores[place].value is not None]
        for name in scored[0] if scored else ():
            mixed[name] += 0 < sum(parts[name] is None for parts in scored) < len(scored)
    return {name: count for name, count in mixed.items() if count}


class RewardNews:
    """What a run says of its rewards, each kind of trouble once: counts stand in every line of the log."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def lines(self, step: int, rollouts: Sequence[Rollout], scores: Sequence[Score]) -> list[str]:
        """What is new in this step."""
        lines = []
        failed = [score.unscorable for score in scores if score.unscorable is not None]
        for reason, count in Counter(failed).most_common():
            if self._is_new(reason.partition(": ")[0]):
                lines.append(f"step {step}: {count} of {len(scores)} completions have no reward: {reason}")
        groups = len(groups_of(rollouts))
        for name, count in mixed_groups(rollouts, scores).items():
            if self._is_new(f"mixed {name}"):
                lines.append(
                    f"step {step}: {name} applies to some completions only in {count} of {groups} groups; for the "
                    "others it counts as its mean in the group (reward/mixed_groups in the log)"
                )
        return lines

    def _is_new(self, what: str) -> bool:
        is_new = what not in self._told
        self._told.add(what)
        return is_new
