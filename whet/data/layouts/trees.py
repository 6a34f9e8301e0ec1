"""Conversation trees (OpenAssistant's): a row is a prompt, its replies, the replies to those, and gives many records.

Every prompt with replies of at least two different ranks gives a ranking. The best path goes down from the first
prompt by the best-ranked reply (by all of them when they are equal or nobody ranked them) and by every answer of the
user. Each reply on it is a conversation of its own, because only the last answer of a conversation is learned.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from whet.core.records import Conversation, Message, Origin, Prompt, Ranking, Record
from whet.data.layouts.fields import BadRow, Row, Skipped, as_text, prompt_of
from whet.data.layouts.turns import role_of

__all__ = ["TREE_COLUMN", "TREE_LAYOUT", "message_of_a_tree", "tree_records"]

TREE_LAYOUT = "conversation trees (OpenAssistant)"

# All records of a tree carry it in their columns, so that rows can be kept together by it.
TREE_COLUMN = "message_tree_id"


@dataclass(frozen=True, slots=True)
class _Node:
    """A message that can be used; `turns` end with it, `place` is where it stands in the row."""

    place: str
    message: Mapping[str, Any]
    turns: tuple[Message, ...]
    rank: int | None
    on_best_path: bool

    @property
    def text(self) -> str:
        return self.turns[-1].content


@dataclass(slots=True)
class _Tree:
    """What was found so far; `faults` are messages that are malformed, `skipped` those left out on purpose."""

    records: list[Record] = field(default_factory=list)
    faults: list[BadRow] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def tree_records(row: Row, origin: Origin, think: bool) -> Sequence[Record | Skipped]:
    """The rankings and conversations of a tree, top down; what was left out stands among them.

    A message that is deleted, synthetic (written by a model), refused in review or malformed is left out with all that
    answers it. When nothing is left because of a malformed message, that one is raised.
    """
    as_text(row[TREE_COLUMN], TREE_COLUMN)
    if not isinstance(row["prompt"], Mapping):
        raise BadRow("prompt", f"not a message with text, role and replies but {type(row['prompt']).__name__}")
    found = _Tree()
    root = _usable(found, row["prompt"], "prompt", None)
    open_nodes = [root] if root else []
    while open_nodes:
        node = open_nodes.pop()
        replies = _replies(found, node)
        if node.turns[-1].role == "user":
            replies = _with_best(replies, node)
            prompt = prompt_of(node.turns, origin, None)
            found.records += _records(found, node, replies, prompt)
        open_nodes += reversed(replies)
    if not found.records and found.faults:
        raise found.faults[0]
    if not found.records and not found.skipped:
        raise BadRow("prompt.replies", "no reply of the assistant")
    return [*found.records, *(Skipped(fault.field, fault.reason) for fault in found.faults), *found.skipped]


def _usable(found: _Tree, message: Any, place: str, parent: _Node | None) -> _Node | None:
    """The message as a node, or None when it was written down why it cannot be one."""
    try:
        if not isinstance(message, Mapping):
            raise BadRow(place, f"not a message but {type(message).__name__}")
        reason = _left_out(message)
        if reason is not None:
            found.skipped.append(Skipped(place, reason))
            return None
        role = role_of(message.get("role"), f"{place}.role")
        expected = "assistant" if parent and parent.turns[-1].role == "user" else "user"
        if role != expected:
            raise BadRow(f"{place}.role", f"a turn of the {role} where the {expected}'s was expected")
        turn = Message(role=role, content=as_text(message.get("text"), f"{place}.text"))
        return _Node(
            place=place,
            message=message,
            turns=(*(parent.turns if parent else ()), turn),
            rank=_rank(message.get("rank"), f"{place}.rank"),
            on_best_path=parent is None or parent.on_best_path,
        )
    except BadRow as fault:
        found.faults.append(fault)
        return None


def _left_out(message: Mapping[str, Any]) -> str | None:
    if message.get("deleted") is True:
        return "deleted, with all that answers it"
    if message.get("synthetic") is True:
        return "synthetic (written by a model), with all that answers it"
    if message.get("review_result") is False:
        return "refused in its review, with all that answers it"
    return None


def _rank(value: object, place: str) -> int | None:
    """A rank, 0 the best; tables write whole numbers that may be null as 1.0."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or value < 0:
        raise BadRow(place, "not a whole number from 0 on")
    return int(value)


def _replies(found: _Tree, node: _Node) -> list[_Node]:
    replies = node.message.get("replies")
    if replies is None:
        return []
    if not isinstance(replies, list):
        found.faults.append(BadRow(f"{node.place}.replies", f"not a list but {type(replies).__name__}"))
        return []
    places = ((f"{node.place}.replies[{number}]", reply) for number, reply in enumerate(replies))
    nodes = (_usable(found, reply, place, node) for place, reply in places)
    return [usable for usable in nodes if usable is not None]


def _with_best(replies: Sequence[_Node], node: _Node) -> list[_Node]:
    """The replies, those off the best path marked so."""
    best = min((reply.rank for reply in replies if reply.rank is not None), default=None)
    return [replace(reply, on_best_path=node.on_best_path and reply.rank == best) for reply in replies]


def _records(found: _Tree, node: _Node, replies: Sequence[_Node], prompt: Prompt) -> Iterator[Record]:
    ranking = _ranking(found, node, replies, prompt)
    if ranking is not None:
        yield ranking
    for text in dict.fromkeys(reply.text for reply in replies if reply.on_best_path):
        yield Conversation(prompt=prompt, completion=text)


def _ranking(found: _Tree, node: _Node, replies: Sequence[_Node], prompt: Prompt) -> Ranking | None:
    """The ranked replies, ranks without gaps; None when there is nothing to learn from them, with the reason."""
    ranked = [(reply.rank, reply.text) for reply in replies if reply.rank is not None]
    if len(ranked) < 2:
        return None
    place = f"{node.place}.replies"
    rank_of: dict[str, int] = {}
    if any(rank_of.setdefault(text, rank) != rank for rank, text in ranked):
        found.skipped.append(Skipped(place, "no ranking: the same reply has two ranks"))
        return None
    levels = sorted(set(rank_of.values()))
    if len(levels) < 2:
        found.skipped.append(Skipped(place, "no ranking: all replies are tied"))
        return None
    found.skipped += [
        Skipped(f"{reply.place}.rank", "not in the ranking: null beside replies that have a rank")
        for reply in replies
        if reply.rank is None
    ]
    texts = sorted(rank_of, key=lambda text: rank_of[text])
    ranks = tuple(levels.index(rank_of[text]) for text in texts)
    return Ranking(prompt=prompt, completions=tuple(texts), ranks=ranks)


def message_of_a_tree(row: Row, origin: Origin, think: bool) -> Record:
    raise BadRow(None, "one message of a tree; give the file that holds whole trees, with prompt and replies in a row")
