"""The layouts that rows come in, and how each becomes a record. Recognised from the columns, one function each.

Add a layout: write a function `(row, origin, think) -> record`, raise `BadRow` for what it cannot take, and put it into
LAYOUTS with the columns that mark it.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from whet.core.records import Comparison, Conversation, Message, Origin, Ranking, Record
from whet.data.layouts.fields import (
    BadRow,
    Row,
    Skipped,
    answer_in,
    as_text,
    asked_in,
    finite,
    last_answer,
    optional_text,
    prompt_of,
    system_turn,
    text_in,
    turns_of,
    user_turn,
)
from whet.data.layouts.trees import TREE_COLUMN, TREE_LAYOUT, tree_records

__all__ = ["FIELDS", "LAYOUTS", "BadRow", "Layout", "Skipped", "read_row", "recognise"]

_BARE_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?")
_CALCULATOR = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A recognised layout: `columns` must all be there; `read(row, origin, think)` makes the record, or several."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Row, Origin, bool], Record | Sequence[Record | Skipped]]


def _prompt_completion(row: Row, origin: Origin, think: bool) -> Record:
    used = ("prompt", "completion")
    if row.get("label") is False:
        raise BadRow("label", "false: a completion to avoid, not to imitate")
    if isinstance(row["completion"], list):
        earlier, completion = last_answer(turns_of(row["completion"], "completion"), "completion")
        turns = (*asked_in(row), *earlier)
    else:
        turns, completion = asked_in(row), text_in(row, "completion")
    return Conversation(prompt=prompt_of(row, turns, origin, used, answer_in(row)), completion=completion)


def _prompt_only(row: Row, origin: Origin, think: bool) -> Record:
    return prompt_of(row, asked_in(row), origin, ("prompt",), answer_in(row))


def _question_answer(row: Row, origin: Origin, think: bool) -> Record:
    """GSM8K's rows: the reasoning, then `#### 72`. Calculator marks are taken out, thousands commas too.

    A solution without the mark is a demonstration without a known answer, unless it is nothing but a number, as tables
    have it; a number that is no text is a prompt with a known answer.
    """
    asked, used = user_turn(text_in(row, "question")), ("question", "answer")
    if isinstance(row["answer"], int | float | Decimal):
        return prompt_of(row, asked, origin, ("question",), answer_in(row))
    solution = text_in(row, "answer")
    reasoning, mark, last = solution.rpartition("####")
    if not mark and not _BARE_NUMBER.fullmatch(solution.strip()):
        return Conversation(prompt=prompt_of(row, asked, origin, used, None), completion=solution)
    answer = last.strip()
    answer = answer.replace(",", "") if _BARE_NUMBER.fullmatch(answer) else answer
    if not answer:
        raise BadRow("answer", "nothing stands after ####")
    reasoning = _CALCULATOR.sub("", reasoning).strip()
    if think:
        completion = (f"<think>{reasoning}</think>" if reasoning else "") + f"<answer>{answer}</answer>"
    else:
        completion = f"{reasoning}\n#### {answer}".lstrip() if mark else solution.strip()
    return Conversation(prompt=prompt_of(row, asked, origin, used, answer), completion=completion)


def _input_target(row: Row, origin: Origin, think: bool) -> Record:
    answer = answer_in(row)
    if answer is None:
        raise BadRow("target", "missing")
    return prompt_of(row, user_turn(text_in(row, "input")), origin, ("input", "target"), answer)


def _instruction(row: Row) -> tuple[Message, ...]:
    """Alpaca's fields: a system text, earlier turns as pairs, the instruction and what it is about."""
    context, text = optional_text(row, "input"), text_in(row, "instruction")
    if context.strip():
        text = f"{text}\n{context}"
    return (*system_turn(row), *_earlier_turns(row.get("history")), *user_turn(text))


def _earlier_turns(history: Any) -> Iterator[Message]:
    if history is not None and not isinstance(history, list):
        raise BadRow("history", f"not a list of pairs but {type(history).__name__}")
    for place, pair in enumerate(history or ()):
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRow(f"history[{place}]", "not a pair of texts")
        asked, said = (as_text(part, f"history[{place}]") for part in pair)
        yield Message(role="user", content=asked)
        yield Message(role="assistant", content=said)


def _alpaca(row: Row, origin: Origin, think: bool) -> Record:
    used = ("instruction", "input", "output", "system", "history")
    return Conversation(prompt=prompt_of(row, _instruction(row), origin, used, None), completion=text_in(row, "output"))


def _conversation(
    row: Row, turns: tuple[Message, ...], origin: Origin, used: tuple[str, ...]
) -> Sequence[Record | Skipped]:
    """The last assistant turn is the completion, everything before it the prompt; what follows it is skipped."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
    if not any(turn.role == "user" for turn in turns[: max(last, 0)]):
        raise BadRow(used[0], "no assistant turn after a user's")
    record = Conversation(
        prompt=prompt_of(row, turns[:last], origin, used, answer_in(row)), completion=turns[last].content
    )
    behind = len(turns) - last - 1
    return (record, Skipped(used[0], f"turns behind the last answer: {behind}")) if behind else (record,)


def _messages(row: Row, origin: Origin, think: bool) -> Sequence[Record | Skipped]:
    return _conversation(row, turns_of(_learned(row["messages"]), "messages"), origin, ("messages",))


def _learned(turns: Any) -> Any:
    """OpenAI's weight 0 marks an answer that is not to be learned: the turns up to the last one that is."""
    if not isinstance(turns, list) or not any(isinstance(turn, dict) and turn.get("weight") == 0 for turn in turns):
        return turns
    learned = [
        place
        for place, turn in enumerate(turns)
        if isinstance(turn, dict) and turn.get("role") == "assistant" and turn.get("weight") != 0
    ]
    if not learned:
        raise BadRow("messages", "every answer has weight 0, so none is to be learned")
    return turns[: learned[-1] + 1]


def _sharegpt(row: Row, origin: Origin, think: bool) -> Sequence[Record | Skipped]:
    turns = turns_of(row["conversations"], "conversations")
    return _conversation(row, (*system_turn(row), *turns), origin, ("conversations", "system"))


def _openai_preference(row: Row, origin: Origin, think: bool) -> Record:
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


def _preference(row: Row, origin: Origin, think: bool) -> Record:
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
            shared = _instruction(row)
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


def _ranking(row: Row, origin: Origin, think: bool) -> Record:
    completions, ranks = row["completions"], row["ranks"]
    if not isinstance(completions, list):
        raise BadRow("completions", f"not a list but {type(completions).__name__}")
    for place, text in enumerate(completions):
        as_text(text, f"completions[{place}]", may_be_empty=True)
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
    prompt = prompt_of(row, asked_in(row), origin, used, answer_in(row))
    return Ranking(prompt=prompt, completions=tuple(completions), ranks=tuple(ranks))


def _demonstration_with_ranking(row: Row, origin: Origin, think: bool) -> Record:
    """A demonstration whose row brings ranked completions along; they stay in the columns for the reward model."""
    _ranking(row, origin, think)
    return _prompt_completion(row, origin, think)


def _message_of_a_tree(row: Row, origin: Origin, think: bool) -> Record:
    raise BadRow(None, "one message of a tree; give the file that holds whole trees, with prompt and replies in a row")


def _plain_text(row: Row, origin: Origin, think: bool) -> Record:
    return Conversation(prompt=prompt_of(row, (), origin, ("text",), None), completion=text_in(row, "text"))


# The first layout whose columns are all there is taken, so the more specific ones stand first.
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        name="demonstrations with rankings",
        columns=("prompt", "completion", "completions", "ranks"),
        read=_demonstration_with_ranking,
    ),
    Layout(name="rankings", columns=("prompt", "completions", "ranks"), read=_ranking),
    Layout(
        name="OpenAI preferences",
        columns=("input", "preferred_output", "non_preferred_output"),
        read=_openai_preference,
    ),
    Layout(name="preferences", columns=("chosen", "rejected"), read=_preference),
    Layout(name="prompt and completion", columns=("prompt", "completion"), read=_prompt_completion),
    Layout(name="messages", columns=("messages",), read=_messages),
    Layout(name="ShareGPT", columns=("conversations",), read=_sharegpt),
    Layout(name="Alpaca", columns=("instruction", "output"), read=_alpaca),
    Layout(name="question and answer", columns=("question", "answer"), read=_question_answer),
    Layout(name="input and target", columns=("input", "target"), read=_input_target),
    Layout(name=TREE_LAYOUT, columns=(TREE_COLUMN, "prompt"), read=tree_records),
    Layout(
        name="single messages of trees", columns=(TREE_COLUMN, "message_id", "text", "role"), read=_message_of_a_tree
    ),
    Layout(name="prompts", columns=("prompt",), read=_prompt_only),
    Layout(name="text", columns=("text",), read=_plain_text),
)


# What `data.columns` can name: what marks a layout, and what is read beside it.
FIELDS = frozenset(column for layout in LAYOUTS for column in layout.columns) | {
    "answer",
    "history",
    "input",
    "instruction",
    "label",
    "margin",
    "question",
    "slice",
    "system",
}


def recognise(columns: frozenset[str], stated: frozenset[str] = frozenset()) -> Layout | None:
    """The layout whose columns are all present, None when there is none.

    Of several the one that is marked by most of the `stated` fields, which a person named; then the first.
    """
    present = [layout for layout in LAYOUTS if columns >= set(layout.columns)]
    return max(present, key=lambda layout: len(stated & set(layout.columns)), default=None)


def read_row(layout: Layout, row: Row, origin: Origin, *, think: bool) -> tuple[Record | Skipped, ...]:
    """The records in a row of a known layout, one but for trees; `BadRow` names the field that is absent or wrong."""
    for column in layout.columns:
        if row.get(column) is None:
            raise BadRow(column, "missing or null")
    read = layout.read(row, origin, think)
    return tuple(read) if isinstance(read, Sequence) else (read,)
