"""Alpaca's rows: an instruction, what it is about, and the output."""

from collections.abc import Iterator
from typing import Any

from whet.core.records import Conversation, Message, Origin, Record
from whet.data.layouts.fields import BadRow, Row, answer_in, as_text, optional_text, prompt_of, text_in
from whet.data.layouts.turns import user_turn, with_system

__all__ = ["alpaca", "instruction_turns"]


def instruction_turns(row: Row) -> tuple[Message, ...]:
    """Alpaca's fields: a system text, earlier turns as pairs, the instruction and what it is about."""
    context, text = optional_text(row, "input"), text_in(row, "instruction")
    if context.strip():
        text = f"{text}\n{context}"
    return with_system(row, (*_earlier_turns(row.get("history")), *user_turn(text)))


def _earlier_turns(history: Any) -> Iterator[Message]:
    if history is not None and not isinstance(history, list):
        raise BadRow("history", f"not a list of pairs but {type(history).__name__}")
    for place, pair in enumerate(history or ()):
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRow(f"history[{place}]", "not a pair of texts")
        asked, said = (as_text(part, f"history[{place}]") for part in pair)
        yield Message(role="user", content=asked)
        yield Message(role="assistant", content=said)


def alpaca(row: Row, origin: Origin, think: bool) -> Record:
    prompt = prompt_of(instruction_turns(row), origin, answer_in(row))
    return Conversation(prompt=prompt, completion=text_in(row, "output"))
