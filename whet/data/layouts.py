"""The layouts that rows come in, and how each becomes a record. Recognised from the columns, one function each.

Add a layout: write a function `(row, origin, think) -> record`, raise `BadRow` for what it cannot take, and put it into
LAYOUTS with the columns that mark it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from whet.core.records import Comparison, Conversation, Message, Origin, Prompt, Ranking, Record

__all__ = ["LAYOUTS", "BadRow", "Layout", "recognise"]

Row = Mapping[str, Any]
_CALCULATOR = re.compile(r"<<[^<>]*>>")
_ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "tool": "tool",
}


class BadRow(ValueError):  # noqa: N818 - it is a verdict on a row, caught where rows are read
    """Why a row cannot be taken, and which field is at fault."""

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A recognised layout: `columns` must all be there; `read(row, origin, think)` makes the record."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Row, Origin, bool], Record]


def _text(row: Row, field: str, *, may_be_empty: bool = False) -> str:
    value = row.get(field)
    if value is None:
        raise BadRow(field, "missing")
    if not isinstance(value, str):
        raise BadRow(field, f"not text but {type(value).__name__}")
    if not may_be_empty and not value.strip():
        raise BadRow(field, "empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRow(field, "holds a lone surrogate, which is no character") from None
    return value


def _answer(row: Row) -> str | None:
    """The known answer: text or a finite number, whole numbers without a point."""
    value = row.get("answer", row.get("target"))
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        if isinstance(value, float) and not math.isfinite(value):
            raise BadRow("answer", "not a finite number")
        return str(int(value)) if value == int(value) else repr(value)
    return str(value).strip() or None


def _prompt(
    row: Row, messages: tuple[Message, ...], origin: Origin, used: tuple[str, ...], answer: str | None
) -> Prompt:
    columns = {key: value for key, value in row.items() if key not in used and key not in ("slice", "answer")}
    slice_ = row.get("slice")
    return Prompt(
        messages=messages,
        origin=origin,
        answer=answer,
        slice=slice_ if isinstance(slice_, str) and slice_ else "all",
        columns=columns,
    )


def _user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def _prompt_completion(row: Row, origin: Origin, think: bool) -> Record:
    used = ("prompt", "completion")
    if isinstance(row["prompt"], list):
        turns = _turns(row["prompt"], "prompt")
        completion = _turns(row["completion"], "completion")[-1].content
    else:
        turns, completion = _user(_text(row, "prompt")), _text(row, "completion")
    return Conversation(prompt=_prompt(row, turns, origin, used, _answer(row)), completion=completion)


def _prompt_only(row: Row, origin: Origin, think: bool) -> Record:
    turns = _turns(row["prompt"], "prompt") if isinstance(row["prompt"], list) else _user(_text(row, "prompt"))
    return _prompt(row, turns, origin, ("prompt",), _answer(row))


def _question_answer(row: Row, origin: Origin, think: bool) -> Record:
    """GSM8K's rows: the reasoning, then `#### 72`. Calculator marks are taken out, thousands commas too."""
    question, solution = _text(row, "question"), _text(row, "answer")
    reasoning, mark, last = solution.rpartition("####")
    if not mark:
        return Conversation(
            prompt=_prompt(row, _user(question), origin, ("question", "answer"), None), completion=solution
        )
    answer = last.strip().replace(",", "")
    if not answer:
        raise BadRow("answer", "nothing stands after ####")
    reasoning = _CALCULATOR.sub("", reasoning).strip()
    completion = f"<think>{reasoning}</think><answer>{answer}</answer>" if think else f"{reasoning}\n#### {answer}"
    return Conversation(
        prompt=_prompt(row, _user(question), origin, ("question", "answer"), answer), completion=completion
    )


def _input_target(row: Row, origin: Origin, think: bool) -> Record:
    answer = _answer(row)
    if answer is None:
        raise BadRow("target", "missing")
    return _prompt(row, _user(_text(row, "input")), origin, ("input", "target"), answer)


def _alpaca(row: Row, origin: Origin, think: bool) -> Record:
    instruction, context = _text(row, "instruction"), row.get("input") or ""
    if not isinstance(context, str):
        raise BadRow("input", f"not text but {type(context).__name__}")
    text = f"{instruction}\n{context}" if context.strip() else instruction
    prompt = _prompt(row, _user(text), origin, ("instruction", "input", "output"), None)
    return Conversation(prompt=prompt, completion=_text(row, "output"))


def _turns(value: Any, field: str, *, role: str = "role", content: str = "content") -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise BadRow(field, "not a list of turns" if not isinstance(value, list) else "no turns")
    turns = []
    for place, turn in enumerate(value):
        if not isinstance(turn, Mapping) or role not in turn or content not in turn:
            raise BadRow(f"{field}[{place}]", f"a turn needs {role!r} and {content!r}")
        known = _ROLES.get(str(turn[role]))
        if known is None:
            raise BadRow(f"{field}[{place}].{role}", f"unknown role {turn[role]!r}")
        turns.append(Message(role=known, content=_text(turn, content)))  # type: ignore[arg-type]
    return tuple(turns)


def _conversation(row: Row, turns: tuple[Message, ...], origin: Origin, field: str) -> Record:
    """The last assistant turn is the completion, everything before it the prompt."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
    if last < 1:
        raise BadRow(field, "no assistant turn after a prompt")
    return Conversation(
        prompt=_prompt(row, turns[:last], origin, (field,), _answer(row)), completion=turns[last].content
    )


def _messages(row: Row, origin: Origin, think: bool) -> Record:
    return _conversation(row, _turns(row["messages"], "messages"), origin, "messages")


def _sharegpt(row: Row, origin: Origin, think: bool) -> Record:
    turns = _turns(row["conversations"], "conversations", role="from", content="value")
    return _conversation(row, turns, origin, "conversations")


def _preference(row: Row, origin: Origin, think: bool) -> Record:
    used = ("prompt", "chosen", "rejected", "margin")
    margin = row.get("margin")
    if margin is not None and (
        isinstance(margin, bool) or not isinstance(margin, int | float) or not math.isfinite(margin)
    ):
        raise BadRow("margin", "not a finite number")
    if isinstance(row["chosen"], list):
        better, worse = _turns(row["chosen"], "chosen"), _turns(row["rejected"], "rejected")
        shared = _turns(row["prompt"], "prompt") if isinstance(row.get("prompt"), list) else better[:-1]
        if not shared and isinstance(row.get("prompt"), str):
            shared = _user(_text(row, "prompt"))
        chosen, rejected = better[-1].content, worse[-1].content
    elif row.get("prompt") is not None:
        shared, chosen, rejected = _user(_text(row, "prompt")), _text(row, "chosen"), _text(row, "rejected")
    else:
        shared, chosen, rejected = _transcripts(_text(row, "chosen"), _text(row, "rejected"))
    if chosen == rejected:
        raise BadRow("rejected", "the same text as chosen")
    prompt = _prompt(row, shared, origin, used, _answer(row))
    return Comparison(prompt=prompt, chosen=chosen, rejected=rejected, margin=None if margin is None else float(margin))


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
        turns.append(Message(role="user" if speaker == "Human" else "assistant", content=words.strip() or " "))
    return tuple(turns), better.strip(), worse.strip()


def _ranking(row: Row, origin: Origin, think: bool) -> Record:
    completions, ranks = row["completions"], row["ranks"]
    if not isinstance(completions, list) or not all(isinstance(text, str) for text in completions):
        raise BadRow("completions", "not a list of texts")
    if not isinstance(ranks, list) or not all(isinstance(rank, int) and not isinstance(rank, bool) for rank in ranks):
        raise BadRow("ranks", "not a list of whole numbers")
    if len(ranks) != len(completions):
        raise BadRow("ranks", f"{len(ranks)} ranks for {len(completions)} completions")
    if len(completions) < 2 or len(set(ranks)) < 2:
        raise BadRow("ranks", "nothing is better than anything else")
    used = ("prompt", "completions", "ranks", "completion")
    prompt = _prompt(row, _user(_text(row, "prompt")), origin, used, _answer(row))
    return Ranking(prompt=prompt, completions=tuple(completions), ranks=tuple(ranks))


def _demonstration_with_ranking(row: Row, origin: Origin, think: bool) -> Record:
    """A demonstration whose row brings ranked completions along; they stay in the columns for the reward model."""
    _ranking(row, origin, think)
    return _prompt_completion(row, origin, think)


def _plain_text(row: Row, origin: Origin, think: bool) -> Record:
    return Conversation(prompt=_prompt(row, (), origin, ("text",), None), completion=_text(row, "text"))


# The first layout whose columns are all there is taken, so the more specific ones stand first.
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        name="demonstrations with rankings",
        columns=("prompt", "completion", "completions", "ranks"),
        read=_demonstration_with_ranking,
    ),
    Layout(name="rankings", columns=("prompt", "completions", "ranks"), read=_ranking),
    Layout(name="preferences", columns=("chosen", "rejected"), read=_preference),
    Layout(name="prompt and completion", columns=("prompt", "completion"), read=_prompt_completion),
    Layout(name="messages", columns=("messages",), read=_messages),
    Layout(name="ShareGPT", columns=("conversations",), read=_sharegpt),
    Layout(name="Alpaca", columns=("instruction", "output"), read=_alpaca),
    Layout(name="question and answer", columns=("question", "answer"), read=_question_answer),
    Layout(name="input and target", columns=("input", "target"), read=_input_target),
    Layout(name="prompts", columns=("prompt",), read=_prompt_only),
    Layout(name="text", columns=("text",), read=_plain_text),
)


def recognise(columns: frozenset[str]) -> Layout | None:
    """The layout whose columns are all present, None when there is none."""
    return next((layout for layout in LAYOUTS if columns >= set(layout.columns)), None)
