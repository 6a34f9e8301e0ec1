"""Which column is what: the columns as `data.columns` names them, and the layout that they make."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from whet.core.errors import DataError, did_you_mean
from whet.data.layouts import LAYOUTS
from whet.data.layouts.fields import BadRow
from whet.data.layouts.layout import Layout
from whet.data.layouts.recognise import FIELDS, recognise
from whet.data.readers.lines import Broken

__all__ = ["Columns", "understand"]

# More words than a column's name has, fewer than a question.
_WORDS_IN_A_NAME = 5
# What a field is often called elsewhere, for the advice in an error; nothing is read by these names unasked.
_CALLED_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    "prompt": ("question", "instruction", "problem", "query", "input", "user"),
    "completion": ("response", "output", "answer", "solution", "rationale", "assistant", "reply"),
    "question": ("problem", "query", "instruction", "prompt"),
    "answer": ("solution", "rationale", "response", "output", "ground_truth"),
    "output": ("response", "answer", "solution", "completion"),
    "input": ("question", "problem", "query"),
    "target": ("gold", "ground_truth", "correct", "answer"),
    "chosen": ("preferred", "accepted", "better", "win"),
    "rejected": ("dispreferred", "not_preferred", "worse", "lose"),
    "messages": ("conversation", "dialog", "dialogue", "chat"),
    "text": ("content", "document", "body", "response"),
}
_DELIMITERS = {",": "commas (.csv)", "\t": "tabs (.tsv)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the rows of one source are read: their layout, and the columns that go by another name.

    `Columns(layout=<question and answer>, renamed={"question": "Problem", "answer": "Solution"})`
    """

    layout: Layout
    renamed: Mapping[str, str]  # field -> the source's column

    def fields_of(self, row: Any) -> dict[str, Any]:
        """The row under the names of the fields; `BadRow` when it is none."""
        if isinstance(row, Broken):
            raise BadRow(row.place, row.reason)
        if not isinstance(row, dict):
            raise BadRow(None, f"not an object but {type(row).__name__}")
        return _renamed(row, self.renamed)

    def column_of(self, field: str | None) -> str | None:
        """Where the source has a field, or a place in one such as `prompt[0].content`."""
        if field is None:
            return None
        name = next(
            (name for name in self.renamed if field == name or field.startswith((f"{name}[", f"{name}."))), None
        )
        return field if name is None else self.renamed[name] + field[len(name) :]


def _renamed(row: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """A column that stands in the way of a field, and is none itself, is kept as `given_NAME`."""
    if not renamed:
        return dict(row)
    taken = set(renamed.values())
    rest = {(f"given_{name}" if name in renamed else name): cell for name, cell in row.items() if name not in taken}
    return rest | {field: row[column] for field, column in renamed.items() if column in row}


def understand(name: str, rows: Sequence[Any], columns: Mapping[str, str], *, is_only: bool) -> Columns:
    """The layout of most of a source's first rows; a tie goes to the one that stands first in LAYOUTS.

    `columns` is `data.columns`. A source that is the only one must have all of them; of several each must have those
    without which it cannot be understood.
    """
    readable = [row for row in rows if isinstance(row, dict)]
    for field in columns:
        if field not in FIELDS:
            raise DataError(f"data.columns: {field!r} is no field of whet{did_you_mean(field, sorted(FIELDS))}")
    there = {str(key) for row in readable for key in row}
    renamed = {field: column for field, column in columns.items() if column in there}
    if is_only and readable:
        _require(name, columns, there)
    present = [frozenset(key for key, value in _renamed(row, renamed).items() if value is not None) for row in readable]
    stated = frozenset(renamed)
    counts = Counter(layout.name for layout in (recognise(keys, stated) for keys in present) if layout is not None)
    if counts:
        layout = max(LAYOUTS, key=lambda layout: counts[layout.name])
        _refuse_twice({field: renamed[field] for field in layout.columns if field in renamed})
        return Columns(layout=layout, renamed=renamed)
    broken = next((row for row in rows if isinstance(row, Broken)), None)
    if broken is not None and not readable:
        place = f", {broken.place}" if broken.place else ""
        raise DataError(f"{name}{place}: {broken.reason}; none of the first {len(rows)} rows can be read")
    if not readable:
        first = next(row for row in rows if not isinstance(row, Broken))
        raise DataError(
            f"{name}: rows are objects with named columns (got {type(first).__name__}); "
            'write {"prompt": "...", "completion": "..."}'
        )
    _require(name, columns, there)
    raise DataError(_unknown(name, list(readable[0]), frozenset().union(*present)))


def _refuse_twice(columns: Mapping[str, str]) -> None:
    """A prompt that is its own completion, a chosen text that is the rejected one."""
    twice = next((column for column, count in Counter(columns.values()).items() if count > 1), None)
    if twice is not None:
        fields = " and ".join(repr(field) for field, column in columns.items() if column == twice)
        raise DataError(f"data.columns: column {twice!r} is to be {fields}; give each a column of its own")


def _require(name: str, columns: Mapping[str, str], there: Set[str]) -> None:
    for field, column in columns.items():
        if column not in there:
            near = did_you_mean(column, sorted(map(_shown, there)))
            raise DataError(f"data.columns: {name} has no column {column!r}, which is to be {field!r}{near}")


def _unknown(name: str, columns: list[str], with_values: frozenset[str]) -> str:
    if _is_a_row(columns):
        return (
            f"{name}: its first line seems to be a row, not the names of the columns ({_shown(columns[0])[:60]!r}); "
            "name the columns by their places, data.columns: {question: '1', answer: '2'}, or write a line of names "
            "above it"
        )
    given = ", ".join(sorted(map(_shown, with_values))[:12]) or "none with a value"
    if len(columns) == 1 and any(mark in columns[0] for mark in ",;\t|"):
        parted = " or ".join(_DELIMITERS.values())
        return f"{name}: its first line names one column ({given}); columns are parted by {parted}"
    known = "; ".join(" + ".join(layout.columns) for layout in LAYOUTS)
    advice = ", ".join(f"{field}: {_quoted(column)}" for field, column in _likely(with_values).items())
    return (
        f"{name}: no known layout in its columns ({given}); known: {known}. Say which column is what, "
        f"{'for example' if advice else 'such as'} data.columns: {{{advice or 'prompt: COLUMN, completion: COLUMN'}}}"
    )


def _likely(columns: Set[str]) -> dict[str, str]:
    """Field -> column of the layout that these columns probably are, by what they are called; empty if none is."""
    places = ({field: _column_for(field, columns) for field in layout.columns} for layout in LAYOUTS)
    whole = [place for place in places if None not in place.values() and len(set(place.values())) == len(place)]
    best = max(whole, key=lambda place: (len(place) > 1, sum(field == place[field] for field in place)), default={})
    return {field: column for field, column in best.items() if column is not None and column != field}


def _column_for(field: str, columns: Set[str]) -> str | None:
    """The column of that name, in whatever case, or of a name that means the same."""
    called = {column.strip().casefold().replace(" ", "_"): column for column in sorted(columns, reverse=True)}
    return field if field in columns else next((called[name] for name in _names_for(field) if name in called), None)


def _names_for(field: str) -> tuple[str, ...]:
    return (field, *_CALLED_ELSEWHERE.get(field, ()))


def _quoted(column: str) -> str:
    """A column's name as YAML takes it for a text."""
    return column if column.isidentifier() else repr(_shown(column))


def _is_a_row(names: Sequence[str]) -> bool:
    """Whether what should be names of columns are evidently values: numbers, or whole sentences."""
    is_numbered = list(names) == [str(place) for place in range(len(names))]
    return not is_numbered and any(len(name.split()) > _WORDS_IN_A_NAME or _is_number(name) for name in names)


def _is_number(text: str) -> bool:
    return text.strip().lstrip("-+$").replace(",", "").replace(".", "", 1).isdecimal()


def _shown(name: str) -> str:
    """A name that any terminal can print, in one line."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(name))
