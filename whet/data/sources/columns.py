"""Which column is what: the columns as a person names them, and the layout that they make."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from whet.core.errors import DataError, did_you_mean
from whet.core.recipe.column import ColumnText, Place, read_column
from whet.data.layouts import LAYOUTS
from whet.data.layouts.fields import BadRow, as_text
from whet.data.layouts.layout import Layout
from whet.data.layouts.recognise import FIELDS, recognise
from whet.data.readers.lines import Broken
from whet.data.sources.advice import shown, unknown
from whet.data.sources.request import Request

__all__ = ["Columns", "understand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How the rows of one source are read: their layout, and the columns that go by another name.

    `Columns(layout=<question and answer>, renamed={"question": <"{Body} {Question}">, "answer": <"Solution">}, ...)`
    """

    layout: Layout
    renamed: Mapping[str, ColumnText]  # field -> what a person says that it is in this source
    ignore: Set[str] = frozenset()

    @property
    def stated(self) -> dict[str, str]:
        return {field: column.text for field, column in self.renamed.items()}

    @property
    def named(self) -> frozenset[str]:
        """The source's columns that a person named, whole or in a text."""
        return frozenset(str(place.steps[0]) for column in self.renamed.values() for place in column.places) | {
            place.name for column in self.renamed.values() for place in column.places
        }

    def fields_of(self, row: Any) -> dict[str, Any]:
        """The row under the names of the fields, without what is ignored; `BadRow` when it is none."""
        if isinstance(row, Broken):
            raise BadRow(row.place, row.reason)
        if not isinstance(row, dict):
            raise BadRow(None, f"not an object but {type(row).__name__}")
        return _renamed(_without(row, self.ignore), self.renamed)

    def ignored_in(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that stay beside the row unread."""
        return {name: row[name] for name in sorted(self.ignore) if name in row}

    def column_of(self, field: str | None) -> str | None:
        """Where the source has a field, or a place in one such as `prompt[0].content`."""
        if field is None:
            return None
        name = next(
            (name for name in self.renamed if field == name or field.startswith((f"{name}[", f"{name}."))), None
        )
        return field if name is None else self.renamed[name].text + field[len(name) :]


def _without(row: Mapping[str, Any], ignore: Set[str]) -> Mapping[str, Any]:
    """The row without the ignored columns, and without keys of that name in its turns."""
    if not ignore:
        return row
    return {name: _without_keys(cell, ignore) for name, cell in row.items() if name not in ignore}


def _without_keys(cell: Any, ignore: Set[str]) -> Any:
    if isinstance(cell, list):
        return [_without_keys(one, ignore) for one in cell]
    if isinstance(cell, Mapping) and ("role" in cell or "from" in cell or "messages" in cell):
        return {key: _without_keys(inner, ignore) for key, inner in cell.items() if key not in ignore}
    return cell


def _renamed(row: Mapping[str, Any], renamed: Mapping[str, ColumnText]) -> dict[str, Any]:
    """A column that stands in the way of a field, and is none itself, is kept as `given_NAME`."""
    if not renamed:
        return dict(row)
    taken = {column.text for column in renamed.values() if not column.is_template and column.text in row}
    rest = {(f"given_{name}" if name in renamed else name): cell for name, cell in row.items() if name not in taken}
    fields = {field: _value(column, row) for field, column in renamed.items()}
    return rest | {field: value for field, value in fields.items() if value is not None}


def _value(column: ColumnText, row: Mapping[str, Any]) -> Any:
    """What a field is in a row: the value of a place, or the text that pieces make."""
    if not column.is_template:
        return column.places[0].value_in(row)
    pieces = [piece if isinstance(piece, str) else _piece(piece, row) for piece in column.pieces]
    text = "".join(pieces)
    is_partly_empty = any(place.may_be_missing and not _piece(place, row) for place in column.places)
    return text.strip() if is_partly_empty else text


def _piece(place: Place, row: Mapping[str, Any]) -> str:
    """A column's value within a text: text, a number, or a list of them, one a line."""
    value = place.value_in(row)
    if value is None or value == "" or value == []:
        if place.may_be_missing:
            return ""
        raise BadRow(place.name, f"missing or empty, in a text of columns; write {{{place.name}?}} where it may be")
    if isinstance(value, list):
        return "\n".join(_written(one, f"{place.name}[{number}]") for number, one in enumerate(value))
    return _written(value, place.name)


def _written(value: Any, field: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadRow(field, f"not text, a number or a list of them but {type(value).__name__}")
    return as_text(str(value), field, may_be_empty=True)


def understand(name: str, rows: Sequence[Any], request: Request) -> Columns:
    """The layout of most of a source's first rows; a tie goes to the one that stands first in LAYOUTS."""
    readable = [row for row in rows if isinstance(row, dict)]
    for field in request.columns:
        if field not in FIELDS:
            raise DataError(f"data.columns: {field!r} is no field of whet{did_you_mean(field, sorted(FIELDS))}")
    there = {str(key) for row in readable for key in row}
    stated = {field: read_column(column) for field, column in request.columns.items()}
    renamed = {field: column for field, column in stated.items() if not _absent(column, there)}
    if request.has_all_columns and readable:
        _require(name, stated, there)
    columns = Columns(layout=LAYOUTS[0], renamed=renamed, ignore=request.ignore)
    seen = [_seen(columns, row) for row in readable]
    found = (recognise(fields, frozenset(renamed)) for fields in seen)
    counts = Counter(layout.name for layout in found if layout is not None)
    if counts:
        layout = max(LAYOUTS, key=lambda layout: counts[layout.name])
        _refuse_twice({field: renamed[field].text for field in layout.columns if field in renamed})
        return Columns(layout=layout, renamed=renamed, ignore=request.ignore)
    _refuse_unreadable(name, rows, readable)
    _require(name, stated, there)
    raise DataError(unknown(name, list(readable[0]), _with_values(seen)))


def _seen(columns: Columns, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's fields as far as a layout is recognised by them: a text of columns counts as there."""
    plain = {field: column for field, column in columns.renamed.items() if not column.is_template}
    made = {field: "?" for field, column in columns.renamed.items() if column.is_template}
    return _renamed(_without(row, columns.ignore), plain) | made


def _with_values(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Each column that has a value somewhere, with the first one."""
    values: dict[str, Any] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                values.setdefault(name, value)
    return values


def _refuse_unreadable(name: str, rows: Sequence[Any], readable: Sequence[Any]) -> None:
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


def _refuse_twice(columns: Mapping[str, str]) -> None:
    """A prompt that is its own completion, a chosen text that is the rejected one."""
    twice = next((column for column, count in Counter(columns.values()).items() if count > 1), None)
    if twice is not None:
        fields = " and ".join(repr(field) for field, column in columns.items() if column == twice)
        raise DataError(f"data.columns: column {twice!r} is to be {fields}; give each a column of its own")


def _absent(column: ColumnText, there: Set[str]) -> str | None:
    """A column that is needed for the field and stands in none of the rows that were looked at."""
    needed = (place.column_in(there) for place in column.places if not place.may_be_missing)
    return next((name for name in needed if name not in there), None)


def _require(name: str, columns: Mapping[str, ColumnText], there: Set[str]) -> None:
    for field, column in columns.items():
        absent = _absent(column, there)
        if absent is not None:
            within = f" in {column.text!r}" if column.is_template else ""
            near = did_you_mean(absent, sorted(map(shown, there)))
            raise DataError(f"data.columns: {name} has no column {absent!r}{within}, which is to be {field!r}{near}")
