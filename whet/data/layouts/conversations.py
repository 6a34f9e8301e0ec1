"""Conversations as lists of turns: OpenAI"s messages and ShareGPT"s."""

from collections.abc import Sequence
from typing import Any

from whet.core.records import Conversation, Message, Origin, Record
from whet.data.layouts.fields import (
    BadRow,
    Row,
    Skipped,
    answer_in,
    prompt_of,
    system_turn,
    turns_of,
)

__all__ = ["messages", "sharegpt"]


def messages(row: Row, origin: Origin, think: bool) -> Sequence[Record | Skipped]:
    return _conversation(row, turns_of(_learned(row["messages"]), "messages"), origin, ("messages",))


def _learned(turns: Any) -> Any:
    """OpenAI's weight 0 marks an answer that is not to be learned: the turns up to the last one that is."""
    if not isinstance(turns, list) or not any(isinstance(turn, dict) and turn.get("weight") == 0 for turn in turns):
        return turns
    learned = [
        place
        for place, turn in enumerate(turns)
        if isinstance(turn, dict) and turn.get("role") == "assistant" and turn.get("weight") != 0
    ]
    if not learned:
        raise BadRow("messages", "every answer has weight 0, so none is to be learned")
    return turns[: learned[-1] + 1]


def sharegpt(row: Row, origin: Origin, think: bool) -> Sequence[Record | Skipped]:
    turns = turns_of(row["conversations"], "conversations")
    return _conversation(row, (*system_turn(row), *turns), origin, ("conversations", "system"))


def _conversation(
    row: Row, turns: tuple[Message, ...], origin: Origin, used: tuple[str, ...]
) -> Sequence[Record | Skipped]:
    """The last assistant turn is the completion, everything before it the prompt; what follows it is skipped."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
    if not any(turn.role == "user" for turn in turns[: max(last, 0)]):
        raise BadRow(used[0], "no assistant turn after a user's")
    record = Conversation(
        prompt=prompt_of(row, turns[:last], origin, used, answer_in(row)), completion=turns[last].content
    )
    behind = len(turns) - last - 1
    return (record, Skipped(used[0], f"turns behind the last answer: {behind}")) if behind else (record,)
