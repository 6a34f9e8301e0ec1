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

__all__ = ["LAYOUTS", "BadRow", "Layout", "read_row", "recognise"]

Row = Mapping[str, Any]
_CALCULATOR = re.compile(r"<<[^<>]*>>")
_ROLES = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A recognised layout: `columns` must all be there; `read(row, origin, think)` makes the record."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Row, Origin, bool], Record]


def _text(row: Row, field: str, *, may_be_empty: bool = False) -> str:
    return _is_text(row.get(field), field, may_be_empty=may_be_empty)


def _is_text(value: object, field: str, *, may_be_empty: bool = False) -> str:
    if value is None:
        raise BadRow(field, "missing or null")
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
    field = "answer" if "answer" in row else "target"
    value = row.get(field)
    if value is None:
        return None
    if isinstance(value, str):
        return _is_text(value, field, may_be_empty=True).strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRow(field, f"not text or a number but {type(value).__name__}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRow(field, "not a finite number")
    return str(int(value)) if value == int(value) else repr(value)


def _prompt(
    row: Row, messages: tuple[Message, ...], origin: Origin, used: tuple[str, ...], answer: str | None
) -> Prompt:
    columns = {key: value for key, value in row.items() if key not in used and key not in ("slice", "answer")}
    slice_ = "all" if row.get("slice") is None else _text(row, "slice")
    return Prompt(messages=messages, origin=origin, answer=answer, slice=slice_, columns=columns)


def _user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def _prompt_completion(row: Row, origin: Origin, think: bool) -> Record:
    used = ("prompt", "completion")
    if isinstance(row["completion"], list):
        earlier, completion = _last_answer(_turns(row["completion"], "completion"), "completion")
        turns = (*_asked(row), *earlier)
    else:
        turns, completion = _asked(row), _text(row, "completion")
    return Conversation(prompt=_prompt(row, turns, origin, used, _answer(row)), completion=completion)


def _prompt_only(row: Row, origin: Origin, think: bool) -> Record:
    return _prompt(row, _asked(row), origin, ("prompt",), _answer(row))


def _question_answer(row: Row, origin: Origin, think: bool) -> Record:
    """GSM8K's rows: the reasoning, then `#### 72`. Calculator marks are taken out, thousands commas too.

    A solution without the mark is a demonstration without a known answer; a bare number is a prompt with one.
    """
    question = _text(row, "question")
    if isinstance(row["answer"], int | float):
        return _prompt(row, _user(question), origin, ("question",), _answer(row))
    solution = _text(row, "answer")
    reasoning, mark, last = solution.rpartition("####")
    if not mark:
        return Conversation(
            prompt=_prompt(row, _user(question), origin, ("question", "answer"), None), completion=solution
        )
    answer = last.strip().replace(",", "")
    if not answer:
        raise BadRow("answer", "nothing stands after ####")
    reasoning = _CALCULATOR.sub("", reasoning).strip()
    if think:
        completion = (f"<think>{reasoning}</think>" if reasoning else "") + f"<answer>{answer}</answer>"
    else:
        completion = f"{reasoning}\n#### {answer}".lstrip()
    return Conversation(
        prompt=_prompt(row, _user(question), origin, ("question", "answer"), answer), completion=completion
    )


def _input_target(row: Row, origin: Origin, think: bool) -> Record:
    answer = _answer(row)
    if answer is None:
        raise BadRow("target", "missing")
    return _prompt(row, _user(_text(row, "input")), origin, ("input", "target"), answer)


def _instruction(row: Row) -> tuple[Message, ...]:
    """Alpaca's fields: a system text, earlier turns as pairs, the instruction and what it is about."""
    context = row.get("input") or ""
    text = _text(row, "instruction")
    if _is_text(context, "input", may_be_empty=True).strip():
        text = f"{text}\n{context}"
    earlier: list[Message] = []
    for place, pair in enumerate(row.get("history") or ()):
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRow(f"history[{place}]", "not a pair of texts")
        asked, said = (_is_text(part, f"history[{place}]") for part in pair)
        earlier += [Message(role="user", content=asked), Message(role="assistant", content=said)]
    return (*_system(row), *earlier, *_user(text))


def _system(row: Row) -> tuple[Message, ...]:
    text = row.get("system") or ""
    return (Message(role="system", content=text),) if _is_text(text, "system", may_be_empty=True).strip() else ()


def _alpaca(row: Row, origin: Origin, think: bool) -> Record:
    used = ("instruction", "input", "output", "system", "history")
    return Conversation(prompt=_prompt(row, _instruction(row), origin, used, None), completion=_text(row, "output"))


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


def _asked(row: Row) -> tuple[Message, ...]:
    return _turns(row["prompt"], "prompt") if isinstance(row["prompt"], list) else _user(_text(row, "prompt"))


def _last_answer(turns: tuple[Message, ...], field: str) -> tuple[tuple[Message, ...], str]:
    if turns[-1].role != "assistant":
        raise BadRow(field, f"ends with a turn of the {turns[-1].role}, not of the assistant")
    return turns[:-1], turns[-1].content


def _conversation(row: Row, turns: tuple[Message, ...], origin: Origin, used: tuple[str, ...]) -> Record:
    """The last assistant turn is the completion, everything before it the prompt; what follows it is left out."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
    if not any(turn.role == "user" for turn in turns[: max(last, 0)]):
        raise BadRow(used[0], "no assistant turn after a user's")
    return Conversation(prompt=_prompt(row, turns[:last], origin, used, _answer(row)), completion=turns[last].content)


def _messages(row: Row, origin: Origin, think: bool) -> Record:
    return _conversation(row, _turns(row["messages"], "messages"), origin, ("messages",))


def _sharegpt(row: Row, origin: Origin, think: bool) -> Record:
    turns = _turns(row["conversations"], "conversations", role="from", content="value")
    return _conversation(row, (*_system(row), *turns), origin, ("conversations", "system"))


def _preference(row: Row, origin: Origin, think: bool) -> Record:
    used = ("prompt", "question", "instruction", "input", "output", "system", "history", "chosen", "rejected", "margin")
    margin = row.get("margin")
    if margin is not None and (
        isinstance(margin, bool) or not isinstance(margin, int | float) or not math.isfinite(margin)
    ):
        raise BadRow("margin", "not a finite number")
    if isinstance(row["chosen"], list):
        shared, chosen, rejected = _chosen_turns(row)
    else:
        chosen, rejected = _text(row, "chosen"), _text(row, "rejected")
        if row.get("prompt") is not None:
            shared = _asked(row)
        elif row.get("instruction") is not None:
            shared = _instruction(row)
        elif row.get("question") is not None:
            shared = _user(_text(row, "question"))
        else:
            shared, chosen, rejected = _transcripts(chosen, rejected)
    if chosen == rejected:
        raise BadRow("rejected", "the same text as chosen")
    prompt = _prompt(row, shared, origin, used, _answer(row))
    return Comparison(prompt=prompt, chosen=chosen, rejected=rejected, margin=None if margin is None else float(margin))


def _chosen_turns(row: Row) -> tuple[tuple[Message, ...], str, str]:
    """Two lists of turns: whole conversations, or the answers alone when there is a prompt beside them."""
    shared, chosen = _last_answer(_turns(row["chosen"], "chosen"), "chosen")
    other, rejected = _last_answer(_turns(row["rejected"], "rejected"), "rejected")
    if shared != other:
        raise BadRow("rejected", "its turns differ from chosen before the last answer")
    if not any(turn.role == "user" for turn in shared):
        if row.get("prompt") is None:
            raise BadRow("prompt", "missing, and chosen holds no turn of the user")
        shared = (*_asked(row), *shared)
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


def _ranking(row: Row, origin: Origin, think: bool) -> Record:
    completions, ranks = row["completions"], row["ranks"]
    if not isinstance(completions, list):
        raise BadRow("completions", f"not a list but {type(completions).__name__}")
    for place, text in enumerate(completions):
        _is_text(text, f"completions[{place}]", may_be_empty=True)
    if not isinstance(ranks, list) or not all(isinstance(rank, int) and not isinstance(rank, bool) for rank in ranks):
        raise BadRow("ranks", "not a list of whole numbers")
    if len(ranks) != len(completions):
        raise BadRow("ranks", f"{len(ranks)} ranks for {len(completions)} completions")
    if any(not 0 <= rank < len(ranks) for rank in ranks):
        raise BadRow("ranks", "outside 0 .. number of completions - 1, 0 being the best")
    if len(set(ranks)) < 2:
        raise BadRow("ranks", "nothing is better than anything else")
    of_text: dict[str, int] = {}
    if any(of_text.setdefault(text, rank) != rank for text, rank in zip(completions, ranks, strict=True)):
        raise BadRow("ranks", "the same completion has two ranks")
    used = ("prompt", "completions", "ranks", "completion")
    prompt = _prompt(row, _asked(row), origin, used, _answer(row))
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


def read_row(layout: Layout, row: Row, origin: Origin, *, think: bool) -> Record:
    """The record in a row of a known layout; `BadRow` names the field that is absent or wrong."""
    for column in layout.columns:
        if row.get(column) is None:
            raise BadRow(column, "missing or null")
    return layout.read(row, origin, think)
