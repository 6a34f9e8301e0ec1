"""Strata: kinds of rows that every purpose shall have in the same proportions, and how far off they are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError, did_you_mean
from whet.core.records import PURPOSES, Record, prompt_in
from whet.data.splits.groups import MOST_STRATA

__all__ = ["Strata", "deviations", "strata_of"]

# C cluster, P purpose, Z stratum
Integers = npt.NDArray[np.int64]
# A column of numbers with more different values than this is cut into as many parts as _PARTS says.
_MOST_NUMBERS = 12
_PARTS = 5
# A stratum of fewer rows cannot be shared among eight purposes; such strata become one.
_FEWEST = 20
_OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """`number[i]` is the stratum of the i-th record, an index into `names`; `merged` ones became `other`."""

    number: Integers
    names: tuple[str, ...]
    merged: int = 0


def strata_of(records: Sequence[Record], words: Integers, columns: Sequence[str]) -> Strata:
    """The strata by several columns are their combinations, the most common ones; rare ones are merged into `other`.

    `length` is the number of words of the prompt, `words[i]` of the i-th record's, in fifths; so is any column of
    numbers with many values.
    """
    if not columns or not records:
        return Strata(number=np.zeros(len(records), dtype=np.int64), names=("all",))
    parts = [
        _numbers("length", words.tolist()) if column == "length" else _labels(records, column) for column in columns
    ]
    labels = [", ".join(values) for values in zip(*parts, strict=True)]
    counts = sorted(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0]))
    common = [label for label, count in counts if count >= _FEWEST]
    common = common if len(common) == len(counts) <= MOST_STRATA else common[: MOST_STRATA - 1]
    number = {label: index for index, label in enumerate(common)}
    merged = len(counts) - len(common)
    return Strata(
        number=np.array([number.get(label, len(common)) for label in labels], dtype=np.int64),
        names=(*common, _OTHER) if merged else tuple(common),
        merged=merged,
    )


def _labels(records: Sequence[Record], column: str) -> list[str]:
    values = [prompt_in(record).columns.get(column) for record in records]
    known = [value for value in values if value is not None]
    if not known:
        names = sorted({name for record in records for name in prompt_in(record).columns})
        if column in names:
            raise DataError(f"data.stratify: column {column!r} is empty in every row; take it out")
        raise DataError(f"data.stratify: no row has a column {column!r}{did_you_mean(column, [*names, 'length'])}")
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    if are_numbers and len(set(known)) > _MOST_NUMBERS:
        return _numbers(column, values)
    return [f"{column}={value}" for value in values]


def _numbers(column: str, values: Sequence[float | None]) -> list[str]:
    """Fifths of about equal size, named by their smallest and largest number; None is one more."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    borders = np.unique(np.quantile(known, np.arange(1, _PARTS) / _PARTS, method="lower"))
    part = np.searchsorted(borders, known, side="left")
    names = {
        index: f"{column}={known[part == index].min():g}..{known[part == index].max():g}"
        for index in set(part.tolist())
    }
    label = iter(part.tolist())
    return [f"{column}=None" if value is None else names[next(label)] for value in values]


def deviations(
    strata: Strata, usable_PC: Integers, kind: npt.NDArray[np.int8], purpose: npt.NDArray[np.int8], room: Integers
) -> dict[str, Any]:
    """Rows of each stratum in each purpose, and the largest distance from the stratum's share of what could serve.

    A stratum of a tenth of the rows that can serve a purpose should be a tenth of it; `points` are per cent of the
    purpose. That goes for each kind of row alone, because `final` takes more of the long tail than other purposes do.
    Rows are counted in the stratum of their cluster's first row. A distance of about one row is rounding.
    """
    given_PZ, expected_PZ = np.zeros((2, len(PURPOSES), len(strata.names)))
    for of_kind in np.unique(kind):
        members = kind == of_kind
        given, expected = _shares(strata, usable_PC, members, np.where(members, purpose, -1), room)
        given_PZ += given
        expected_PZ += expected
    off_PZ = given_PZ - expected_PZ
    worst, stratum = divmod(int(np.abs(off_PZ).argmax()), len(strata.names))
    largest: Mapping[str, Any] = {
        "rows": round(float(off_PZ[worst, stratum]), 1),
        "points": round(100 * float(off_PZ[worst, stratum]) / max(1.0, float(given_PZ[worst].sum())), 2),
        "stratum": strata.names[stratum],
        "purpose": PURPOSES[worst],
    }
    rows = {
        name: {purpose: int(given_PZ[index, number]) for index, purpose in enumerate(PURPOSES)}
        for number, name in enumerate(strata.names)
    }
    return {"rows": rows, "merged": strata.merged, "largest_deviation": largest}


def _shares(
    strata: Strata,
    usable_PC: Integers,
    members: npt.NDArray[np.bool_],
    purpose: npt.NDArray[np.int8],
    room: Integers,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rows of each stratum in each purpose, and how many its share of the supply would have been."""
    count, number = len(strata.names), strata.number
    supply_PZ = np.array([np.bincount(number, weights=rows * members, minlength=count) for rows in usable_PC])
    given_PZ = np.array(
        [
            np.bincount(number[purpose == index], weights=room[purpose == index], minlength=count)
            for index in range(len(PURPOSES))
        ]
    )
    share_PZ = supply_PZ / np.maximum(1, supply_PZ.sum(axis=1, keepdims=True))
    return given_PZ, given_PZ.sum(axis=1, keepdims=True) * share_PZ
