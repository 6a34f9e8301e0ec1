"""Turns of a conversation: who speaks, what is said, what was thought before it, and whether it is to be learned.

The keys that are honoured here stand in `meanings.TURN_KEYS`, beside those that are refused and those that are told.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whet.core.records import Message, Role
from whet.data.layouts.fields import BadRow, Row, as_text, optional_text, text_in

__all__ = [
    "LEARNED_KEYS",
    "PART_KEYS",
    "REASONING_KEYS",
    "Turn",
    "asked_in",
    "last_answer",
    "messages_of",
    "role_of",
    "turns_in",
    "turns_of",
    "user_turn",
    "with_system",
]

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
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
    "tool_response": "tool",
}
_CALLS = ("function_call", "tool_call")
# What was thought before an answer, by the names that models and servers give it.
REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
# Whether an answer is learned: 0 and false say no.
LEARNED_KEYS = ("weight", "train", "training", "loss", "loss_scale")
_TEXT_PARTS = ("text", "input_text", "output_text")
_THOUGHT_PARTS = ("thinking", "reasoning")
_PART_TEXTS = ("text", "content", "value")
# What is read of a part of a turn's content.
PART_KEYS = frozenset({"type", *_PART_TEXTS, *_THOUGHT_PARTS, *LEARNED_KEYS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn: `Turn(role="assistant", content="5", reasoning="3+2=5", is_learned=True)`."""

    role: Role
    content: str
    reasoning: str = ""
    is_learned: bool = True

    @property
    def answer(self) -> str:
        """What is to be said in this turn: the thoughts, as reasoning models write them, then the words."""
        return f"<think>\n{self.reasoning}\n</think>\n\n{self.content}" if self.reasoning else self.content


def user_turn(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def messages_of(turns: Iterable[Turn]) -> tuple[Message, ...]:
    """The turns of a prompt; what was thought before its answers is left out, as chat templates leave it out."""
    return tuple(Message(role=turn.role, content=turn.content, is_learned=turn.is_learned) for turn in turns)


def with_system(row: Row, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages behind the row's `system` or `system_prompt`, unless they begin with that turn themselves."""
    if "system" not in row and "system_prompt" not in row:
        return messages
    texts = {name: text for name in ("system", "system_prompt") if (text := optional_text(row, name)).strip()}
    if not texts:
        return messages
    if len(set(texts.values())) > 1:
        raise BadRow("system_prompt", "another text than system")
    name, text = next(iter(texts.items()))
    if messages and messages[0].role == "system":
        if messages[0].content != text:
            raise BadRow(name, "another text than the system turn that the conversation begins with")
        return messages
    return (Message(role="system", content=text), *messages)


def asked_in(row: Row, field: str = "prompt") -> tuple[Message, ...]:
    """A field as the turns of a prompt: one of the user's, or those in it; the row's system text before them."""
    value = row[field]
    asked = messages_of(turns_of(value, field)) if isinstance(value, list) else user_turn(text_in(row, field))
    return with_system(row, asked)


def last_answer(turns: Sequence[Turn], field: str) -> tuple[tuple[Message, ...], str]:
    """The turns before the last one, and what that one says, which must be the assistant's."""
    last = turns[-1]
    if last.role != "assistant":
        raise BadRow(field, f"ends with a turn of the {last.role}, not of the assistant")
    if not last.is_learned:
        raise BadRow(field, "its last answer is marked as not to be learned")
    return messages_of(turns[:-1]), last.answer


def turns_in(value: Any, field: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The turns in a cell, well-formed or not, each with its place: of a list, of an object, or the object itself."""
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        value, field = value["messages"], f"{field}.messages"
    is_list = isinstance(value, list)
    for number, turn in enumerate(value if is_list else [value]):
        if isinstance(turn, Mapping) and ("role" in turn or "from" in turn):
            yield f"{field}[{number}]" if is_list else field, turn


def role_of(name: object, field: str) -> Role:
    """Our name of a speaker: `human`, `prompter` and `user` are one."""
    word = str(name).strip().casefold()
    if word in _CALLS:
        raise BadRow(field, "a call of a tool; only texts are taken")
    known = _ROLES.get(word)
    if known is None:
        raise BadRow(field, f"unknown role {str(name)[:40]!r}")
    return known


def turns_of(value: Any, field: str) -> tuple[Turn, ...]:
    """Turns of `role` and `content` (OpenAI) or `from` and `value` (ShareGPT); a system turn may be empty, and goes."""
    if not isinstance(value, list) or not value:
        raise BadRow(field, "not a list of turns" if not isinstance(value, list) else "no turns")
    turns = [_turn(turn, f"{field}[{number}]") for number, turn in enumerate(value)]
    spoken = tuple(turn for turn in turns if turn is not None)
    if not spoken:
        raise BadRow(field, "no turns")
    return spoken


def _turn(turn: Any, place: str) -> Turn | None:
    role_name, content_name = _names_in(turn, place)
    role = role_of(turn[role_name], f"{place}.{role_name}")
    content, thoughts = turn[content_name], {key: turn[key] for key in REASONING_KEYS if turn.get(key)}
    if role == "system" and content == "":
        return None
    text, reasoning = _content(content, f"{place}.{content_name}", is_answer=role == "assistant")
    for key, thought in thoughts.items():
        if role != "assistant":
            raise BadRow(f"{place}.{key}", f"thoughts in a turn of the {role}")
        if reasoning:
            raise BadRow(f"{place}.{key}", "thoughts stand twice in this turn")
        reasoning = _content(thought, f"{place}.{key}", is_answer=True)[0]
    if reasoning and "<think>" in text:
        raise BadRow(f"{place}.{content_name}", "holds <think> beside thoughts of its own")
    return Turn(role=role, content=text, reasoning=reasoning.strip("\n"), is_learned=_is_learned(turn, place))


def _names_in(turn: Any, place: str) -> tuple[str, str]:
    if isinstance(turn, Mapping):
        for names in (("role", "content"), ("from", "value")):
            if all(name in turn for name in names):
                return names
    raise BadRow(place, "a turn needs 'role' and 'content', or 'from' and 'value'")


def _is_learned(turn: Mapping[str, Any], place: str) -> bool:
    """OpenAI's `weight`, Axolotl's `train`, ms-swift's `loss`: an answer that is not to be learned is context."""
    said = {key: turn[key] for key in LEARNED_KEYS if turn.get(key) is not None}
    for key, value in said.items():
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            raise BadRow(
                f"{place}.{key}", f"{str(value)[:40]}: an answer is learned or not; write 1 or 0, true or false"
            )
    return all(said.values())


def _content(value: Any, field: str, *, is_answer: bool = False) -> tuple[str, str]:
    """Text and thoughts: a text, or parts of it such as `[{"type": "text", "text": "..."}]`."""
    if not isinstance(value, list):
        return as_text(value, field), ""
    texts, thoughts = [], []
    for number, part in enumerate(value):
        place = f"{field}[{number}]"
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        if not isinstance(part, Mapping) or kind not in (*_TEXT_PARTS, *_THOUGHT_PARTS):
            raise BadRow(place, f"a part of type {str(kind)[:40]!r}; only texts are taken")
        if is_answer and any(part.get(key) is not None and not part[key] for key in LEARNED_KEYS):
            raise BadRow(place, "a part that is not to be learned; an answer is learned whole or not at all")
        if kind in _THOUGHT_PARTS:
            thoughts.append(_said(part, place, (str(kind), "text")))
        else:
            texts.append(_said(part, place, _PART_TEXTS))
    return as_text("".join(texts), field), "".join(thoughts)


def _said(part: Mapping[str, Any], place: str, names: tuple[str, ...]) -> str:
    """The text of a part, under the one of these names that it has."""
    there = [name for name in names if part.get(name) is not None]
    if len(there) > 1:
        raise BadRow(place, f"a part with {' and '.join(there)}; one text was expected")
    name = there[0] if there else names[0]
    return (
        _content(part[name], f"{place}.{name}")[0]
        if isinstance(part.get(name), list)
        else as_text(part.get(name), f"{place}.{name}", may_be_empty=True)
    )
