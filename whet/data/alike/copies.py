"""Near copies: rows that say what a row already says, and add nothing to train on or to be asked.

Rows of a cluster are merely alike: the same words with other numbers, other answers, another way to the answer. A near
copy is more: its prompt is near (runs of 3 words, Jaccard at least 0.7) with the same numbers, and so is what it
teaches. And what differs must be an edit, not what the row is about. It is what the row is about

- when each of both texts has a stretch of 3 words or more that the other has not;
- when most of what they share stands in more than 5 texts of the cluster, and nothing in which they differ does: a
  slot in a form, "is a dog a mammal" and "is a cat a mammal" below one long instruction. Of an edit one side is what
  the others have.

A row is compared with the rows that are kept, not along a chain: no row goes for resembling a row that went.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set

from whet.core.records import Record, completions_in, prompt_in
from whet.data.alike.clusters import Clusters
from whet.data.alike.views.found import RUN, SIMILAR
from whet.data.texts.canonical import canonical, numbers_in, shingles
from whet.data.texts.row_texts import RowTexts

__all__ = ["near_copies"]

Run = tuple[str, ...]
# Kept rows of one cluster with the same numbers and answer that a row is compared with.
_COMPARED = 50
# Words in a row that one text has and the other has not, so many in both; texts of a cluster that may share a slot.
_STRETCH, _FEW = 3, 5


def near_copies(records: Sequence[Record], texts: RowTexts, clusters: Clusters) -> dict[int, int]:
    """Row -> the kept row that it is a near copy of, the first in the order of the rows. Exact copies are not named.

    Two rows are near copies when they are of one kind and have one known answer and the same system turns, when their
    prompts and all their completions have the same numbers, and when both sides have a similarity of at least 0.7 and
    differ by an edit. Only rows that the near view joined are looked at.
    """
    near = {row for edge in clusters.joins if edge.kind == "near" for row in (edge.first, edge.second)}
    found: dict[int, int] = {}
    for members in clusters.members.values():
        if len(members) > 1 and not near.isdisjoint(members):
            found |= _in_cluster(members, records, texts)
    return found


def _in_cluster(members: Sequence[int], records: Sequence[Record], texts: RowTexts) -> Iterator[tuple[int, int]]:
    asked = {row: texts.own[row] for row in members}
    said = {row: "\n".join(completions_in(records[row])) for row in members}
    prompts, answers = _Edits(asked.values()), _Edits(said.values())
    kept: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for row in members:
        key = (*_carried(records[row], texts, row), numbers_in(asked[row]), numbers_in(said[row]))
        for other in kept[key]:
            is_same = texts.turns[row] == texts.turns[other] and texts.completion[row] == texts.completion[other]
            if not is_same and prompts.are_all(asked[row], asked[other]) and answers.are_all(said[row], said[other]):
                yield row, other
                break
        else:
            if len(kept[key]) < _COMPARED:
                kept[key].append(row)


def _carried(record: Record, texts: RowTexts, row: int) -> tuple[object, ...]:
    """What near copies have in common as it stands. Where the prompt asks by its system turns they are compared."""
    is_asked = texts.prompt[row] == texts.turns[row]
    turns = prompt_in(record).messages
    system = () if is_asked else tuple(canonical(turn.content) for turn in turns if turn.role == "system")
    return type(record), prompt_in(record).answer, system


class _Edits:
    """Which of a cluster's texts differ by an edit alone, or in nothing but appearance."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._runs = {text: shingles(text, RUN) for text in texts}
        self._set = {text: frozenset(runs) for text, runs in self._runs.items()}
        texts_with = Counter(run for runs in {tuple(runs) for runs in self._runs.values()} for run in set(runs))
        self._common = {run for run, texts in texts_with.items() if texts > _FEW}

    def are_all(self, first: str, second: str) -> bool:
        """Whether what differs between these two is an edit."""
        a, b = self._set[first], self._set[second]
        if a == b:
            return True
        shared = a & b
        if len(shared) < SIMILAR * len(a | b) or self._is_slot(shared, a ^ b):
            return False
        return min(_stretch(self._runs[text], shared) for text in (first, second)) < _STRETCH

    def _is_slot(self, shared: Set[Run], other: Set[Run]) -> bool:
        return 2 * len(shared & self._common) > len(shared) and other.isdisjoint(self._common)


def _stretch(runs: Sequence[Run], shared: Set[Run]) -> int:
    """The most words one after the other that stand in no shared run."""
    is_shared = bytearray(sum(map(len, runs[:1])) + max(0, len(runs) - 1))
    for place, run in enumerate(runs):
        if run in shared:
            is_shared[place : place + len(run)] = b"\1" * len(run)
    return max(map(len, is_shared.split(b"\1")))
