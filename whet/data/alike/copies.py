"""Near copies: rows that say what a row already says, and add nothing to train on or to be asked.

Rows of a cluster are merely alike: the same words with other numbers, other answers, another way to the answer. A near
copy is more: its prompt is near (runs of 3 words, Jaccard at least 0.7) with the same numbers, and so is what it
teaches. It is compared with the rows that are kept, not along a chain: no row goes for resembling a row that went.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from whet.core.records import Record, completions_in, prompt_in
from whet.data.alike.clusters import Clusters
from whet.data.alike.views.found import RUN, SIMILAR
from whet.data.texts.canonical import numbers_in, shingles
from whet.data.texts.row_texts import RowTexts

__all__ = ["near_copies"]

Runs = frozenset[tuple[str, ...]]
# Kept rows of one cluster with the same numbers and answer that a row is compared with.
_COMPARED = 50


def near_copies(records: Sequence[Record], texts: RowTexts, clusters: Clusters) -> dict[int, int]:
    """Row -> the kept row that it is a near copy of, the first in the order of the rows. Exact copies are not named.

    Two rows are near copies when they are of one kind and have one known answer, when their prompts and all their
    completions have the same numbers, and when both sides have a similarity of at least 0.7. Only rows that the near
    view joined are looked at.
    """
    near = {row for edge in clusters.joins if edge.kind == "near" for row in (edge.first, edge.second)}
    found: dict[int, int] = {}
    for members in clusters.members.values():
        if len(members) > 1 and not near.isdisjoint(members):
            found |= _in_cluster(members, records, texts)
    return found


def _in_cluster(members: Sequence[int], records: Sequence[Record], texts: RowTexts) -> Iterator[tuple[int, int]]:
    kept: dict[tuple[object, ...], list[tuple[int, Runs, Runs]]] = defaultdict(list)
    for row in members:
        prompt, said = texts.asked[row], "\n".join(completions_in(records[row]))
        key = (type(records[row]), prompt_in(records[row]).answer, numbers_in(prompt), numbers_in(said))
        asked_runs, said_runs = frozenset(shingles(prompt, RUN)), frozenset(shingles(said, RUN))
        for other, other_asked, other_said in kept[key]:
            is_same = texts.prompt[row] == texts.prompt[other] and texts.completion[row] == texts.completion[other]
            if not is_same and _alike(asked_runs, other_asked) and _alike(said_runs, other_said):
                yield row, other
                break
        else:
            if len(kept[key]) < _COMPARED:
                kept[key].append((row, asked_runs, said_runs))


def _alike(first: Runs, second: Runs) -> bool:
    return first == second or len(first & second) >= SIMILAR * len(first | second)
