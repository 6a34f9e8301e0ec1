"""Prompts, with a completion, with a target, or alone; and plain text."""

from whet.core.records import Conversation, Origin, Record
from whet.data.layouts.fields import (
    BadRow,
    Row,
    answer_in,
    asked_in,
    last_answer,
    prompt_of,
    text_in,
    turns_of,
    user_turn,
)

__all__ = ["input_target", "plain_text", "prompt_completion", "prompt_only"]


def prompt_completion(row: Row, origin: Origin, think: bool) -> Record:
    used = ("prompt", "completion")
    if row.get("label") is False:
        raise BadRow("label", "false: a completion to avoid, not to imitate")
    if isinstance(row["completion"], list):
        earlier, completion = last_answer(turns_of(row["completion"], "completion"), "completion")
        turns = (*asked_in(row), *earlier)
    else:
        turns, completion = asked_in(row), text_in(row, "completion")
    return Conversation(prompt=prompt_of(row, turns, origin, used, answer_in(row)), completion=completion)


def prompt_only(row: Row, origin: Origin, think: bool) -> Record:
    return prompt_of(row, asked_in(row), origin, ("prompt",), answer_in(row))


def input_target(row: Row, origin: Origin, think: bool) -> Record:
    answer = answer_in(row)
    if answer is None:
        raise BadRow("target", "missing")
    return prompt_of(row, user_turn(text_in(row, "input")), origin, ("input", "target"), answer)


def plain_text(row: Row, origin: Origin, think: bool) -> Record:
    return Conversation(prompt=prompt_of(row, (), origin, ("text",), None), completion=text_in(row, "text"))
