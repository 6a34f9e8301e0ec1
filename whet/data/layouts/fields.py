"""What a layout is read with: fields of a row as texts, turns and answers, and the reason when they are not."""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from whet.core.records import Message, Origin, Prompt, Role

__all__ = [
    "BadRow",
    "Row",
    "Skipped",
    "answer_in",
    "as_text",
    "asked_in",
    "finite",
    "last_answer",
    "optional_text",
    "prompt_of",
    "role_of",
    "system_turn",
    "text_in",
    "turns_of",
    "user_turn",
]

Row = Mapping[str, Any]
# Categories of characters that show nothing: controls, formats (zero width, the byte order mark), spaces, separators.
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}


class BadRow(ValueError):  # noqa: N818 - it is a verdict on a row, caught where rows are read
    """Why a row cannot be taken, and which field is at fault."""

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Skipped:
    """A part of a row that is left out while the rest of it is taken, or a sound row that is not wanted."""

    field: str | None
    reason: str


def text_in(row: Row, field: str, *, may_be_empty: bool = False) -> str:
    """The text in a field of the row."""
    return as_text(row.get(field), field, may_be_empty=may_be_empty)


def as_text(value: object, field: str, *, may_be_empty: bool = False) -> str:
    """The value, when it is text that has a visible character and can be written as UTF-8."""
    if value is None:
        raise BadRow(field, "missing or null")
    if not isinstance(value, str):
        raise BadRow(field, f"not text but {type(value).__name__}")
    if not may_be_empty and not any(unicodedata.category(character) not in _INVISIBLE for character in value):
        raise BadRow(field, "empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRow(field, "holds a lone surrogate, which is no character") from None
    return value


def optional_text(row: Row, field: str) -> str:
    """The text in a field of the row, empty when it is absent."""
    return "" if row.get(field) is None else text_in(row, field, may_be_empty=True)


def finite(value: object, field: str) -> int | float | Decimal:
    """The value, when it is a number that is finite as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadRow(field, f"not a number but {type(value).__name__}")
    try:
        is_finite = math.isfinite(value)
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise BadRow(field, "not a finite number")
    return value


def answer_in(row: Row) -> str | None:
    """The known answer: text or a finite number, whole numbers without a point."""
    field = "answer" if row.get("answer") is not None else "target"
    value = row.get(field)
    if value is None:
        return None
    if isinstance(value, str):
        return as_text(value, field, may_be_empty=True).strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadRow(field, f"not text or a number but {type(value).__name__}")
    number = finite(value, field)
    if number == int(number):
        return str(int(number))
    return f"{number.normalize():f}" if isinstance(number, Decimal) else repr(number)


def prompt_of(
    row: Row, messages: tuple[Message, ...], origin: Origin, used: tuple[str, ...], answer: str | None
) -> Prompt:
    """The prompt with its slice; the fields that are not `used` become its columns."""
    columns = {key: value for key, value in row.items() if key not in used and key not in ("slice", "answer")}
    slice_ = "all" if row.get("slice") is None else text_in(row, "slice")
    return Prompt(messages=messages, origin=origin, answer=answer, slice=slice_, columns=columns)


def user_turn(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def system_turn(row: Row) -> tuple[Message, ...]:
    """The `system` field as a turn; none when it is absent or empty."""
    text = optional_text(row, "system")
    return (Message(role="system", content=text),) if text.strip() else ()


def role_of(name: object, field: str) -> Role:
    """Our name of a speaker: `human`, `prompter` and `user` are one."""
    known = _ROLES.get(str(name))
    if known is None:
        raise BadRow(field, f"unknown role {str(name)[:40]!r}")
    return known


def turns_of(value: Any, field: str) -> tuple[Message, ...]:
    """Turns of `role` and `content` (OpenAI) or `from` and `value` (ShareGPT); a system turn may be empty, and goes."""
    if not isinstance(value, list) or not value:
        raise BadRow(field, "not a list of turns" if not isinstance(value, list) else "no turns")
    turns = []
    for number, turn in enumerate(value):
        place = f"{field}[{number}]"
        role_name, content_name = _names_in(turn, place)
        role = role_of(turn[role_name], f"{place}.{role_name}")
        content = turn[content_name]
        for calls in ("tool_calls", "function_call"):
            if turn.get(calls):
                raise BadRow(f"{place}.{calls}", "a call of a tool; only texts are taken")
        if role == "system" and content == "":
            continue
        turns.append(Message(role=role, content=_content(content, f"{place}.{content_name}")))
    if not turns:
        raise BadRow(field, "no turns")
    return tuple(turns)


def _names_in(turn: Any, place: str) -> tuple[str, str]:
    if isinstance(turn, Mapping):
        for names in (("role", "content"), ("from", "value")):
            if all(name in turn for name in names):
                return names
    raise BadRow(place, "a turn needs 'role' and 'content', or 'from' and 'value'")


def _content(value: Any, field: str) -> str:
    """Text, or OpenAI's parts of it: `[{"type": "text", "text": "..."}]`."""
    if not isinstance(value, list):
        return as_text(value, field)
    texts = []
    for number, part in enumerate(value):
        if not isinstance(part, Mapping) or part.get("type") != "text":
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise BadRow(f"{field}[{number}]", f"a part of type {str(kind)[:40]!r}; only texts are taken")
        texts.append(as_text(part.get("text"), f"{field}[{number}].text", may_be_empty=True))
    return as_text("".join(texts), field)


def asked_in(row: Row) -> tuple[Message, ...]:
    """The `prompt` field as turns: one of the user's, or those that it lists."""
    return turns_of(row["prompt"], "prompt") if isinstance(row["prompt"], list) else user_turn(text_in(row, "prompt"))


def last_answer(turns: tuple[Message, ...], field: str) -> tuple[tuple[Message, ...], str]:
    """The turns before the last one, and its text, which must be the assistant's."""
    if turns[-1].role != "assistant":
        raise BadRow(field, f"ends with a turn of the {turns[-1].role}, not of the assistant")
    return turns[:-1], turns[-1].content
