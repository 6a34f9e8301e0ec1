"""Two completions of which one is better: chosen and rejected, hh-rlhf"s transcripts, OpenAI"s preferences."""

import re

from whet.core.records import Comparison, Message, Origin, Record
from whet.data.layouts.alpaca import instruction_turns
from whet.data.layouts.fields import (
    BadRow,
    Row,
    answer_in,
    asked_in,
    finite,
    last_answer,
    prompt_of,
    text_in,
    turns_of,
    user_turn,
)

__all__ = ["openai_preference", "preference"]


def preference(row: Row, origin: Origin, think: bool) -> Record:
    used = ("prompt", "question", "instruction", "input", "output", "system", "history", "chosen", "rejected", "margin")
    margin = None if row.get("margin") is None else float(finite(row["margin"], "margin"))
    if margin is not None and margin < 0:
        raise BadRow("margin", "below 0, which says that rejected is the better one")
    if isinstance(row["chosen"], list):
        shared, chosen, rejected = _chosen_turns(row)
    else:
        chosen, rejected = text_in(row, "chosen"), text_in(row, "rejected")
        if row.get("prompt") is not None:
            shared = asked_in(row)
        elif row.get("instruction") is not None:
            shared = instruction_turns(row)
        elif row.get("question") is not None:
            shared = user_turn(text_in(row, "question"))
        else:
            shared, chosen, rejected = _transcripts(chosen, rejected)
    if chosen == rejected:
        raise BadRow("rejected", "the same text as chosen")
    prompt = prompt_of(row, shared, origin, used, answer_in(row))
    return Comparison(prompt=prompt, chosen=chosen, rejected=rejected, margin=margin)


def _chosen_turns(row: Row) -> tuple[tuple[Message, ...], str, str]:
    """Two lists of turns: whole conversations, or the answers alone when there is a prompt beside them."""
    shared, chosen = last_answer(turns_of(row["chosen"], "chosen"), "chosen")
    other, rejected = last_answer(turns_of(row["rejected"], "rejected"), "rejected")
    if shared != other:
        raise BadRow("rejected", "its turns differ from chosen before the last answer")
    if not any(turn.role == "user" for turn in shared):
        if row.get("prompt") is None:
            raise BadRow("prompt", "missing, and chosen holds no turn of the user")
        shared = (*asked_in(row), *shared)
    return shared, chosen, rejected


def _transcripts(chosen: str, rejected: str) -> tuple[tuple[Message, ...], str, str]:
    """hh-rlhf's rows: two transcripts of Human and Assistant turns that share all but the last answer."""
    mark = "\n\nAssistant:"
    before, found, better = chosen.rpartition(mark)
    other_before, other_found, worse = rejected.rpartition(mark)
    if not found or not other_found:
        raise BadRow("prompt", "missing, and chosen is no transcript of Human and Assistant turns")
    if before != other_before:
        raise BadRow("rejected", "its transcript differs from chosen before the last answer")
    if not better.strip() or not worse.strip():
        raise BadRow("chosen" if not better.strip() else "rejected", "its last answer is empty")
    turns = []
    for piece in re.split(r"\n\n(?=Human:|Assistant:)", before.strip()):
        speaker, _, words = piece.partition(":")
        if speaker not in ("Human", "Assistant"):
            raise BadRow("chosen", "its transcript does not begin with a turn of Human")
        turns.append(Message(role="user" if speaker == "Human" else "assistant", content=words.strip()))
    if not turns or not any(turn.content for turn in turns):
        raise BadRow("chosen", "its transcript asks nothing")
    return tuple(turns), better.strip(), worse.strip()


def openai_preference(row: Row, origin: Origin, think: bool) -> Record:
    if not isinstance(row["input"], dict):
        raise BadRow("input", "not an object with messages")
    shared = turns_of(row["input"].get("messages"), "input.messages")
    earlier, chosen = last_answer(turns_of(row["preferred_output"], "preferred_output"), "preferred_output")
    other, rejected = last_answer(turns_of(row["non_preferred_output"], "non_preferred_output"), "non_preferred_output")
    if earlier != other:
        raise BadRow("non_preferred_output", "its turns differ from preferred_output before the last answer")
    if chosen == rejected:
        raise BadRow("non_preferred_output", "the same text as preferred_output")
    used = ("input", "preferred_output", "non_preferred_output")
    prompt = prompt_of(row, (*shared, *earlier), origin, used, answer_in(row))
    return Comparison(prompt=prompt, chosen=chosen, rejected=rejected)
