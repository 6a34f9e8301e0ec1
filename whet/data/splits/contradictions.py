"""Preferences that contradict each other across rows: A better than B here and worse there, or a longer circle."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product

from whet.core.files import content_id
from whet.core.records import Comparison, Conversation, Ranking, Record, prompt_in

__all__ = ["contradictions"]

# A prompt, and a text, as they are compared: a hash of it in which runs of white space are one space.
_Edges = list[tuple[str, str]]


def contradictions(records: Sequence[Record]) -> dict[int, str]:
    """Index of a record -> why it cannot be believed, for all records that take part in a circle of preferences.

    Row 3 says a > b, row 7 says b > a; or a > b, b > c, c > a over three rows of a prompt: nothing says which of them
    is wrong, so all are named. Comparisons, rankings and the rankings that demonstrations bring along count; ties do
    not. In terms of graphs: the records that prefer one text to another within a strongly connected part of their
    prompt's graph.
    """
    edges_of = {row: edges for row, record in enumerate(records) if (edges := _edges(record))}
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row in edges_of:
        rows_of[_prompt_key(records[row])].append(row)
    found: dict[int, str] = {}
    for rows in rows_of.values():
        if len(rows) > 1 or not isinstance(records[rows[0]], Comparison):
            found |= _of_one_prompt(rows, edges_of, records)
    return dict(sorted(found.items()))


def _of_one_prompt(
    rows: Sequence[int], edges_of: Mapping[int, _Edges], records: Sequence[Record]
) -> Iterator[tuple[int, str]]:
    worse: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        for better, other in edges_of[row]:
            worse[better].add(other)
    part_of = _strong_parts(worse)
    circles: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        for part in {part_of[better] for better, other in edges_of[row] if part_of[better] == part_of[other]}:
            circles[part].append(row)
    for circle in circles.values():
        said_by: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for row in circle:
            for pair in edges_of[row]:
                said_by[pair].append(row)
        for row in circle:
            opposite = [other for a, b in edges_of[row] for other in said_by.get((b, a), ())[:2]]
            direct = min((other for other in opposite if other != row), default=None)
            named = [_name(records[other]) for other in circle[:4] if other != row][:3] or ["itself"]
            if direct is not None:
                yield row, f"prefers the other way round than {_name(records[direct])}"
            else:
                yield row, f"its preferences go in a circle with {' and '.join(named)}"


def _name(record: Record) -> str:
    origin = prompt_in(record).origin
    return f"{origin.source} row {origin.row}"


def _prompt_key(record: Record) -> str:
    return content_id(*(part for turn in prompt_in(record).messages for part in (turn.role, _key(turn.content))))


def _key(text: str) -> str:
    return content_id(" ".join(text.split()))


def _edges(record: Record) -> _Edges:
    """(better, worse) between neighbouring ranks only; they reach whatever all pairs would reach."""
    match record:
        case Comparison():
            ranked = [(0, record.chosen), (1, record.rejected)]
        case Ranking():
            ranked = list(zip(record.ranks, record.completions, strict=True))
        case Conversation(prompt=prompt) if prompt.columns.get("completions") and prompt.columns.get("ranks"):
            ranked = list(zip(prompt.columns["ranks"], prompt.columns["completions"], strict=True))
        case _:
            return []
    levels: defaultdict[int, list[str]] = defaultdict(list)
    for rank, text in ranked:
        levels[rank].append(_key(text))
    neighbours = pairwise(levels[rank] for rank in sorted(levels))
    pairs = (pair for uppers, lowers in neighbours for pair in product(uppers, lowers))
    return [(better, worse) for better, worse in pairs if better != worse]


def _strong_parts(worse: Mapping[str, set[str]]) -> dict[str, int]:
    """Text -> number of its strongly connected part (Tarjan 1972), without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    part_of: dict[str, int] = {}
    waiting: list[str] = []
    for root in worse:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        waiting.append(root)
        path = [(root, iter(sorted(worse[root])))]
        while path:
            text, following = path[-1]
            for other in following:
                if other not in index:
                    index[other] = low[other] = len(index)
                    waiting.append(other)
                    path.append((other, iter(sorted(worse.get(other, ())))))
                    break
                if other not in part_of:
                    low[text] = min(low[text], index[other])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[text])
                if low[text] == index[text]:
                    member = None
                    while member != text:
                        member = waiting.pop()
                        part_of[member] = index[text]
    return part_of
