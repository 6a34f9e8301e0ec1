"""Two completions of which one is better: chosen and rejected, hh-rlhf's transcripts, OpenAI's and ms-swift's pairs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from whet.core.records import Comparison, Message, Origin, Prompt, Record
from whet.data.layouts.alpaca import instruction_turns
from whet.data.layouts.fields import (
    BadRow,
    Row,
    Skipped,
    Told,
    answer_in,
    as_text,
    differ_visibly,
    finite,
    prompt_of,
    text_in,
)
from whet.data.layouts.layout import Part
from whet.data.layouts.turns import asked_in, last_answer, messages_of, turns_of, with_system

__all__ = [
    "PROMPT_COLUMNS",
    "SCORE_COLUMNS",
    "compared",
    "messages_with_rejected",
    "openai_preference",
    "preference",
    "preference_pairs",
]

# Where the prompt of a comparison may stand beside it, the first that is there.
PROMPT_COLUMNS = ("prompt", "conversations", "messages", "instruction", "question", "input")
# Scores of both sides, which must not say the contrary.
SCORE_COLUMNS = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen_rating", "rejected_rating"),
)


def compared(prompt: Prompt, chosen: str, rejected: str, names: tuple[str, str], margin: Any = None) -> Comparison:
    """The comparison of two texts that can be told apart; `names` are the fields of the better and the worse one."""
    if not differ_visibly(chosen, rejected):
        blanks = "" if chosen == rejected else " but for blanks"
        raise BadRow(names[1], f"the same text as {names[0]}{blanks}")
    by = None if margin is None else float(finite(margin, "margin"))
    if by is not None and by < 0:
        raise BadRow("margin", f"below 0, which says that {names[1]} is the better one")
    return Comparison(prompt=prompt, chosen=chosen, rejected=rejected, margin=by)


def preference(row: Row, origin: Origin, think: bool) -> Sequence[Part]:
    told = _scores(row)
    if isinstance(row["chosen"], str) and isinstance(row["rejected"], str) and not _asks(row):
        texts = text_in(row, "chosen"), text_in(row, "rejected")
        turns, chosen, rejected = _transcripts(*texts)
    else:
        turns, chosen, rejected = _sides(row)
    prompt = prompt_of(with_system(row, turns), origin, answer_in(row))
    return (compared(prompt, chosen, rejected, ("chosen", "rejected"), row.get("margin")), *told)


def _asks(row: Row) -> str | None:
    """The column that holds the prompt, None when there is none beside the sides."""
    return next((name for name in PROMPT_COLUMNS if row.get(name) is not None), None)


def _sides(row: Row) -> tuple[tuple[Message, ...], str, str]:
    """The prompt and both answers; each side is a text, a turn, turns, or a whole conversation."""
    earlier, chosen = _side(row["chosen"], "chosen")
    other, rejected = _side(row["rejected"], "rejected")
    if earlier != other:
        raise BadRow("rejected", "its turns differ from chosen before the last answer")
    if any(turn.role == "user" for turn in earlier):
        return earlier, chosen, rejected
    name = _asks(row)
    if name is None:
        raise BadRow("prompt", "missing, and chosen holds no turn of the user")
    return (*_asked(row, name), *earlier), chosen, rejected


def _side(value: Any, field: str) -> tuple[tuple[Message, ...], str]:
    if isinstance(value, Mapping):
        value = [value]
    return last_answer(turns_of(value, field), field) if isinstance(value, list) else ((), as_text(value, field))


def _asked(row: Row, name: str) -> tuple[Message, ...]:
    if name == "instruction":
        return instruction_turns(row)
    if name not in ("conversations", "messages"):
        return asked_in(row, name)
    turns = messages_of(turns_of(row[name], name))
    if turns[-1].role == "assistant":
        raise BadRow(name, "ends with an answer; chosen and rejected are to be the answers")
    return turns


def _scores(row: Row) -> tuple[Told, ...]:
    """What is to be told of both sides' scores; `BadRow` when they say that rejected is the better one."""
    for names in SCORE_COLUMNS:
        if any(row.get(name) is None for name in names):
            continue
        chosen, rejected = (finite(row[name], name) for name in names)
        if chosen < rejected:
            raise BadRow(names[0], f"below {names[1]}, which says that rejected is the better one")
        if chosen == rejected:
            return (Told(f"{names[0]} and {names[1]} are equal; chosen was believed"),)
    return ()


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
    if row["input"].get("tools"):
        raise BadRow("input.tools", "descriptions of tools; only texts are taken")
    shared = messages_of(turns_of(row["input"].get("messages"), "input.messages"))
    earlier, chosen = last_answer(turns_of(row["preferred_output"], "preferred_output"), "preferred_output")
    other, rejected = last_answer(turns_of(row["non_preferred_output"], "non_preferred_output"), "non_preferred_output")
    if earlier != other:
        raise BadRow("non_preferred_output", "its turns differ from preferred_output before the last answer")
    prompt = prompt_of(with_system(row, (*shared, *earlier)), origin, answer_in(row))
    return compared(prompt, chosen, rejected, ("preferred_output", "non_preferred_output"))


def messages_with_rejected(row: Row, origin: Origin, think: bool) -> Record:
    """ms-swift's pairs: the messages end with the better answer; the worse one, or its messages, stand beside them."""
    earlier, chosen = last_answer(turns_of(row["messages"], "messages"), "messages")
    name = "rejected_response" if row.get("rejected_response") is not None else "rejected_messages"
    other, rejected = _side(row[name], name)
    if name == "rejected_messages" and other != earlier:
        raise BadRow(name, "its turns differ from messages before the last answer")
    if name == "rejected_response" and other:
        raise BadRow(name, "more than one turn, whose place in the conversation is not certain")
    prompt = prompt_of(with_system(row, earlier), origin, answer_in(row))
    return compared(prompt, chosen, rejected, ("messages", name), row.get("margin"))


def preference_pairs(row: Row, origin: Origin, think: bool) -> Sequence[Part]:
    """Several comparisons of one prompt: `pairs` of objects with `chosen` and `rejected`; a bad one goes alone."""
    pairs = row["pairs"]
    if not isinstance(pairs, list) or not pairs:
        raise BadRow("pairs", "not a list of pairs" if not isinstance(pairs, list) else "no pairs")
    prompt = prompt_of(asked_in(row), origin, answer_in(row))
    parts: list[Part] = []
    faults = []
    for number, pair in enumerate(pairs):
        try:
            parts.append(_pair(prompt, pair, f"pairs[{number}]"))
        except BadRow as fault:
            faults.append(fault)
    if not parts:
        raise faults[0]
    return [*parts, *(Skipped(fault.field, fault.reason) for fault in faults)]


def _pair(prompt: Prompt, pair: Any, place: str) -> Comparison:
    if not isinstance(pair, Mapping) or not {"chosen", "rejected"} <= set(pair):
        raise BadRow(place, "not an object with chosen and rejected, so which one is better is not certain")
    names = f"{place}.chosen", f"{place}.rejected"
    (earlier, chosen), (other, rejected) = (_side(pair[name.rpartition(".")[2]], name) for name in names)
    if earlier or other:
        raise BadRow(place, "sides of several turns; one answer each was expected")
    return compared(prompt, chosen, rejected, names, pair.get("margin"))
