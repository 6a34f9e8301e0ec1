"""A row looked over by the table of `meanings`: what changes its meaning is refused, the rest is told."""

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from whet.data.layouts.fields import BadRow, Row, Told
from whet.data.layouts.layout import Layout
from whet.data.layouts.meanings import COLUMNS, TURN_KEYS, Meaning, is_there
from whet.data.layouts.turns import LEARNED_KEYS, PART_KEYS, REASONING_KEYS, role_of, turns_in

__all__ = ["examine", "may_answer"]

_ALL_THE_SAME = "to take such rows all the same, data.ignore"
_USERS = "it says that another turn than the assistant's is to be learned; only answers are"
_COMPARED = "false, beside completions that are compared, of which it says nothing"
_BEFORE = "thoughts of an answer before the last one; left out, as chat templates leave them out"
# Words in a column's name that say it may hold what answers the prompt, and words that say it does not.
_ANSWERING = frozenset(
    "answer answers ans response responses resp completion completions solution solutions sol output outputs reply "
    "replies target targets gold golden gt truth rationale reference references label labels correct expected pred "
    "prediction predictions generation generations generated sample samples candidates assistant continuation summary "
    "translation highlights code sql pairs winner loser preferred accepted better worse antwort réponse respuesta "
    "risposta resposta ответ 答案 回答 答え 정답".split()
)
_NOT_ANSWERING = frozenset(
    "id ids idx index type kind length len count num number source model models date time timestamp format language "
    "lang url tokens token category confidence rate score scores name names path file license version by at on start "
    "end zip postal country area error status".split()
)
# Beside a prompt these may be what answers it, or a conversation that does.
_WHOLE_NAMES = ("text", "content", "conversation", "dialog", "dialogue", "chat")
_CAMEL, _WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])"), re.compile(r"[^\W\d_]+")
_QUESTIONS = ("prompt", "question", "instruction", "input")
# Layouts that one column marks, so that they fit nearly anything.
_TAKE_ANYTHING = ("prompts", "text")


def may_answer(column: str) -> bool:
    """Whether a column, by its name, may hold the answer or the completion of the prompt beside it.

    >>> [may_answer(name) for name in ("canonical_solution", "bestAnswer", "answer_type", "level")]
    [True, True, False, False]
    """
    words = {word.casefold() for word in _WORDS.findall(_CAMEL.sub(" ", column))}
    is_said = bool(words & _ANSWERING) or column.strip().casefold() in _WHOLE_NAMES
    return is_said and not words & _NOT_ANSWERING


def examine(row: Row, layout: Layout, named: Set[str] = frozenset()) -> Iterator[Told]:
    """What is to be told of the row's columns and its turns' keys; `BadRow` for those under which it is not taken.

    Columns that are `named` by a person have their meaning.
    """
    for column, value in row.items():
        if column in layout.understands:
            if layout.has_turns and isinstance(value, list | dict):
                yield from _turns(column, value)
        elif column not in named and is_there(value):
            yield from _column(row, column, layout)


def _asks_a_text(row: Row, layout: Layout) -> bool:
    """Whether a question stands in a column as a text, and not within a conversation."""
    return any(isinstance(row.get(name), str) for name in _QUESTIONS if name in layout.understands)


def _column(row: Row, column: str, layout: Layout) -> Iterator[Told]:
    if layout.name in _TAKE_ANYTHING and may_answer(column):
        yield from _answering(row, column, layout)
        return
    for meaning in _BY_COLUMN.get(column.casefold(), ()):
        if not meaning.applies(row[column]) or (meaning.of_question and not _asks_a_text(row, layout)):
            continue
        if meaning.of_imitated and not layout.imitates:
            yield Told(f"{column}: {_COMPARED}")
        elif meaning.effect == "refused":
            raise BadRow(column, f"{meaning.what}; {_ALL_THE_SAME}: [{column}]")
        else:
            yield Told(f"{column}: {meaning.what}")


def _answering(row: Row, column: str, layout: Layout) -> Iterator[Told]:
    """A column that may hold the answer: told where one is known, else nobody can say what the row is for."""
    if layout.name == "prompts" and (row.get("answer") is not None or row.get("target") is not None):
        yield Told(f"{column}: it may hold an answer too, and is not read")
        return
    named = f"{{prompt: text, completion: {column}}}" if layout.name == "text" else f"{{completion: {column}}}"
    answer = "" if layout.name == "text" else f" or {{answer: {column}}}"
    raise BadRow(
        column,
        f"may hold the answer or the completion and is not read; say what it is, data.columns: {named}{answer}, or "
        f"that it is for your rewards alone, data.ignore: [{column}]",
    )


def _turns(column: str, value: Any) -> Iterator[Told]:
    turns = list(turns_in(value, column))
    answers = [number for number, (_, turn) in enumerate(turns) if _is_learned_answer(turn)]
    last = answers[-1] if answers and column != "prompt" else len(turns)
    for number, (place, turn) in enumerate(turns):
        yield from _turn(turn, place, is_earlier=number < last)


def _is_learned_answer(turn: Mapping[str, Any]) -> bool:
    is_left_out = any(turn.get(key) is not None and not turn[key] for key in LEARNED_KEYS)
    return _is_assistants(turn) and not is_left_out


def _is_assistants(turn: Mapping[str, Any]) -> bool:
    try:
        return role_of(turn.get("role", turn.get("from")), "") == "assistant"
    except BadRow:
        return False


def _turn(turn: Mapping[str, Any], place: str, *, is_earlier: bool) -> Iterator[Told]:
    for key, value in turn.items():
        if key in ("content", "value") and isinstance(value, list):
            yield from _parts(value)
        if key in ("role", "content", "from", "value") or not is_there(value):
            continue
        if key in REASONING_KEYS and is_earlier:
            yield Told(f"{key} of a turn: {_BEFORE}")
        if key in LEARNED_KEYS and value and not _is_assistants(turn):
            yield Told(f"{key} of a turn: {_USERS}")
        yield from _key(key, value, place)


def _key(key: Any, value: Any, place: str) -> Iterator[Told]:
    known = _BY_KEY.get(str(key).casefold())
    if known is None:
        yield Told(f"{str(key)[:40]} of a turn: a key that nothing reads")
    for meaning in known or ():
        if meaning.effect == "refused" and meaning.applies(value):
            raise BadRow(f"{place}.{key}", f"{meaning.what}; {_ALL_THE_SAME}: [{key}]")
        if meaning.effect == "told" and meaning.applies(value):
            yield Told(f"{key} of a turn: {meaning.what}")


def _parts(parts: list[Any]) -> Iterator[Told]:
    for part in parts:
        keys = part.keys() - PART_KEYS if isinstance(part, Mapping) else ()
        yield from (Told(f"{str(key)[:40]} of a part: a key that nothing reads") for key in sorted(map(str, keys)))


def _by_name(meanings: tuple[Meaning, ...]) -> Mapping[str, tuple[Meaning, ...]]:
    names = {name for meaning in meanings for name in meaning.names}
    return {name: tuple(meaning for meaning in meanings if name in meaning.names) for name in names}


_BY_COLUMN = _by_name(tuple(meaning for meaning in COLUMNS if meaning.effect != "honoured"))
_BY_KEY = _by_name(TURN_KEYS)
