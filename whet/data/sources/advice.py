"""What to say when columns make no layout: every column that was seen, what they probably are, what is left."""

from collections.abc import Mapping, Sequence
from typing import Any

from whet.data.layouts import LAYOUTS
from whet.data.layouts.layout import Layout
from whet.data.layouts.meanings import COLUMNS
from whet.data.layouts.turns import turns_in

__all__ = ["shown", "unknown"]

# More words than a column's name has, fewer than a question.
_WORDS_IN_A_NAME = 5
# What a field is often called elsewhere; nothing is read by these names unasked.
_CALLED_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "prompt": ("question", "instruction", "instructions", "problem", "query", "input", "inputs", "user", "task"),
    "completion": (
        *("response", "output", "outputs", "answer", "solution", "rationale", "assistant", "reply", "targets"),
        *("canonical_solution", "generated_solution", "generation", "code", "summary"),
    ),
    "question": ("problem", "query", "instruction", "prompt", "sentence"),
    "answer": (
        *("solution", "rationale", "response", "output", "ground_truth", "ground_truth_solution", "final_answer"),
        *("expected_answer", "canonical_solution", "generated_solution", "gold", "gt", "answerkey", "answer_key"),
        *("ground_truth_answer", "best_answer"),
    ),
    "output": ("response", "answer", "solution", "completion"),
    "input": ("question", "problem", "query"),
    "target": ("gold", "ground_truth", "correct", "answer"),
    "chosen": ("preferred", "accepted", "better", "win", "chosen_response", "answer_matching_behavior"),
    "rejected": (
        *("dispreferred", "not_preferred", "worse", "lose", "rejected_response", "answer_not_matching_behavior"),
    ),
    "messages": ("conversation", "dialog", "dialogue", "chat", "turns"),
    "text": ("content", "document", "body", "response"),
}
# The layouts that columns can be named for, and the field of each that asks.
_NAMED: Mapping[tuple[str, ...], str | None] = {
    ("prompt", "chosen", "rejected"): "prompt",
    ("prompt", "completion"): "prompt",
    ("question", "answer"): "question",
    ("instruction", "output"): "instruction",
    ("input", "target"): "input",
    ("messages",): None,
    ("prompt",): "prompt",
    ("text",): None,
}
# Columns that are a part of the question, besides those of `meanings`.
_PARTS = frozenset(name for meaning in COLUMNS if meaning.of_question for name in meaning.names) | {
    "body",
    "background",
}
_DELIMITERS = {",": "commas (.csv)", "\t": "tabs (.tsv)"}
_MOST_CHARACTERS = 4000


def unknown(name: str, columns: Sequence[str], values: Mapping[str, Any]) -> str:
    """Why a source with these columns cannot be read, and what to say of them; `values` are those that hold any."""
    if is_a_line_of_cells(columns):
        return (
            f"{name}: its first line seems to be a row, not the names of the columns ({shown(columns[0])[:60]!r}); "
            "name the columns by their places, data.columns: {question: '1', answer: '2'}, or write a line of names "
            "above it"
        )
    given = ", ".join(sorted(map(shown, values))) or "none with a value"
    if len(columns) == 1 and any(mark in columns[0] for mark in ",;\t|"):
        parted = " or ".join(_DELIMITERS.values())
        return f"{name}: its first line names one column ({given}); columns are parted by {parted}"
    known = "; ".join(dict.fromkeys(" + ".join(layout.columns) for layout in LAYOUTS if not _is_published(layout)))
    likely, read = _likely(values)
    advice = ", ".join(f"{field}: {column}" for field, column in likely.items())
    unread = ", ".join(sorted(shown(column) for column in values if column not in read))
    return (
        f"{name}: no known layout in its columns ({_cut(given)}). Say which column is what, "
        f"{'for example' if advice else 'such as'} data.columns: {{{advice or 'prompt: COLUMN, completion: COLUMN'}}}"
        f"{f'; nothing reads {_cut(unread)} then' if advice and unread else ''}. Known: {known}; and published forms "
        "of judged and graded answers (docs/data.md)"
    )


def _is_published(layout: Layout) -> bool:
    return layout.name.startswith(("judged", "graded"))


def _cut(names: str) -> str:
    return names if len(names) <= _MOST_CHARACTERS else f"{names[:_MOST_CHARACTERS]} and more"


def _likely(values: Mapping[str, Any]) -> tuple[dict[str, str], set[str]]:
    """Field -> column, as `data.columns` takes it, of the layout that these columns probably are, and what it reads.

    What seems to be a part of the question is joined to it, in the order of the columns. Empty if nothing is likely.
    """
    places = ({field: _column_for(field, values) for field in fields} for fields in _NAMED)
    whole = [place for place in places if None not in place.values() and len(set(place.values())) == len(place)]
    best = max(whole, key=lambda place: (len(place), _names_met(place)), default={})
    found = {field: column for field, column in best.items() if column is not None}
    named = {field: _quoted(column) for field, column in found.items() if column != field}
    asks = _NAMED.get(tuple(best))
    if asks is None:
        return named, set(found.values())
    taken = set(found.values())
    asked = [name for name in values if name == found[asks] or (name not in taken and _is_part(name))]
    if len(asked) > 1:
        joined = "\\n".join(f"{{{shown(name)}}}" for name in asked)
        named = {asks: f'"{joined}"'} | {field: column for field, column in named.items() if field != asks}
    return named, {*taken, *asked}


def _names_met(place: Mapping[str, str | None]) -> tuple[int, int]:
    """How many columns are called as their fields, in whatever case, and to the letter."""
    exactly = sum(field == column for field, column in place.items())
    return sum(field == str(column).casefold() for field, column in place.items()), exactly


def _is_part(column: str) -> bool:
    return column.strip().casefold() in _PARTS - {"history"}


def _column_for(field: str, values: Mapping[str, Any]) -> str | None:
    """The column of that name, in whatever case, or of a name that means the same."""
    called = {
        column.strip().casefold().replace(" ", "_"): column
        for column in sorted(values, reverse=True)
        if field != "messages" or any(turns_in(values[column], column))
    }
    names = (field, *_CALLED_ELSEWHERE.get(field, ()))
    return field if field in values else next((called[name] for name in names if name in called), None)


def _quoted(column: str) -> str:
    """A column's name as YAML takes it for a text."""
    return column if column.isidentifier() else repr(shown(column))


def is_a_line_of_cells(names: Sequence[str]) -> bool:
    """Whether what should be names of columns are evidently values: numbers, or whole sentences."""
    is_numbered = list(names) == [str(place) for place in range(len(names))]
    return not is_numbered and any(len(name.split()) > _WORDS_IN_A_NAME or _is_number(name) for name in names)


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-+$").replace(",", "").replace(".", "", 1).isdecimal()


def shown(name: str) -> str:
    """A name that any terminal can print, in one line."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(name))
