"""Conversations as lists of turns: OpenAI's messages and ShareGPT's, with a known answer or a rejected one beside."""

from collections.abc import Sequence

from whet.core.records import Conversation, Origin, Record
from whet.data.layouts.fields import BadRow, Row, Skipped, answer_in, answer_of, prompt_of
from whet.data.layouts.layout import Part
from whet.data.layouts.turns import Turn, messages_of, turns_of, with_system

__all__ = ["messages", "messages_with_truth", "sharegpt"]


def messages(row: Row, origin: Origin, think: bool) -> Sequence[Part]:
    return _conversation(row, "messages", origin, answer_in(row))


def sharegpt(row: Row, origin: Origin, think: bool) -> Sequence[Part]:
    return _conversation(row, "conversations", origin, answer_in(row))


def messages_with_truth(row: Row, origin: Origin, think: bool) -> Record | Sequence[Part]:
    """open-instruct's rows for verifiable rewards: messages that end with the user's, and what is right."""
    truth = row["ground_truth"]
    if isinstance(truth, list) and len(truth) == 1:
        truth = truth[0]
    answer = answer_of(truth, "ground_truth")
    turns = turns_of(row["messages"], "messages")
    if turns[-1].role == "user":
        return prompt_of(with_system(row, messages_of(turns)), origin, answer)
    return _conversation(row, "messages", origin, answer)


def _conversation(row: Row, field: str, origin: Origin, answer: str | None) -> Sequence[Part]:
    """The last answer that is to be learned is the completion, everything before it the prompt; the rest is skipped."""
    turns = turns_of(row[field], field)
    last = _last_learned(turns, field)
    if not any(turn.role == "user" for turn in turns[: max(last, 0)]):
        raise BadRow(field, "no assistant turn after a user's")
    if turns[last - 1].role == "assistant":  # a prompt that ends with one is continued, as a turn that is not closed
        raise BadRow(f"{field}[{last}]", "an answer right behind another one; join them to one turn")
    prompt = prompt_of(with_system(row, messages_of(turns[:last])), origin, answer)
    record = Conversation(prompt=prompt, completion=turns[last].answer)
    behind = len(turns) - last - 1
    return (record, Skipped(field, f"turns behind the last answer: {behind}")) if behind else (record,)


def _last_learned(turns: Sequence[Turn], field: str) -> int:
    """The place of the last answer that is not marked as mere context; -1 when nobody answers."""
    answers = [place for place, turn in enumerate(turns) if turn.role == "assistant"]
    learned = [place for place in answers if turns[place].is_learned]
    if answers and not learned:
        raise BadRow(field, "every answer has weight 0 or is marked otherwise as not to be learned")
    return learned[-1] if learned else -1
