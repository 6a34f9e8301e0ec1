"""Prompts, with a completion, with a target, or alone; and plain text."""

from collections.abc import Mapping

from whet.core.records import Conversation, Origin, Record
from whet.data.layouts.fields import BadRow, Row, answer_in, answer_of, prompt_of, text_in
from whet.data.layouts.turns import asked_in, last_answer, turns_of

__all__ = ["input_target", "plain_text", "prompt_completion", "prompt_only", "prompt_with_truth"]


def prompt_completion(row: Row, origin: Origin, think: bool) -> Record:
    if isinstance(row["completion"], list):
        earlier, completion = last_answer(turns_of(row["completion"], "completion"), "completion")
        turns = (*asked_in(row), *earlier)
    else:
        turns, completion = asked_in(row), text_in(row, "completion")
    return Conversation(prompt=prompt_of(turns, origin, answer_in(row)), completion=completion)


def prompt_only(row: Row, origin: Origin, think: bool) -> Record:
    return prompt_of(asked_in(row), origin, answer_in(row))


def prompt_with_truth(row: Row, origin: Origin, think: bool) -> Record:
    """verl's rows: what its rule compares with stands in `reward_model.ground_truth`."""
    judged = row["reward_model"]
    if not isinstance(judged, Mapping):
        raise BadRow("reward_model", f"not an object with ground_truth but {type(judged).__name__}")
    answer = answer_of(judged.get("ground_truth"), "reward_model.ground_truth")
    return prompt_of(asked_in(row), origin, answer if answer is not None else answer_in(row))


def input_target(row: Row, origin: Origin, think: bool) -> Record:
    answer = answer_in(row)
    if answer is None:
        raise BadRow("target", "missing")
    return prompt_of(asked_in(row, "input"), origin, answer)


def plain_text(row: Row, origin: Origin, think: bool) -> Record:
    return Conversation(prompt=prompt_of((), origin, None), completion=text_in(row, "text"))
