"""Splits by time: evaluation takes the newest rows, and nothing that is trained on is later than any of them.

`ft_validation` stands on the side of training: it chooses checkpoints and is drawn from the same rows. A cluster is for
evaluation only if all of its rows are new enough. One that reaches over the border serves training with the rows that
are old enough, and its others serve nothing; so do rows whose time is unknown, because they could be from any day.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError, did_you_mean
from whet.core.records import EVALUATION_PURPOSES, PURPOSES, TRAINING_PURPOSES, Record, prompt_in

__all__ = ["EVALUATION", "TRAINING", "Border", "Times", "border_of", "time_of", "times_of"]

# R row, C cluster, P purpose
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
TRAINING = np.array([PURPOSES.index(purpose) for purpose in sorted(TRAINING_PURPOSES)])
EVALUATION = np.array([PURPOSES.index(purpose) for purpose in sorted(EVALUATION_PURPOSES)])
_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Every row's time as a number, NaN where it is unknown; dates are seconds since 1970, UTC if no zone is given."""

    time_R: Floats
    kind: Literal["number", "date"]

    def shown(self, time: float) -> str | float | None:
        """A time as people write it; None for no border at all."""
        if not math.isfinite(time):
            return None
        if self.kind == "number":
            return time
        text = datetime.fromtimestamp(time, tz=UTC).isoformat()
        return text.removesuffix("+00:00").removesuffix("T00:00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """Training takes rows up to one time, evaluation clusters from another on; equal times may stand on both sides."""

    training_until: float
    evaluation_from: float

    def allowed(self, can: Flags, time_R: Floats, cluster_R: Integers, *, kept_R: Flags) -> Flags:
        """What of `can[r, p]` the border leaves; rows that keep their purposes keep it whatever their time."""
        oldest_R = oldest_of(time_R, cluster_R, np.any(can, axis=1))[cluster_R]
        allowed = can.copy()
        allowed[:, TRAINING] &= (time_R <= self.training_until)[:, None]
        allowed[:, EVALUATION] &= (oldest_R >= self.evaluation_from)[:, None] & ~np.isnan(time_R)[:, None]
        allowed[kept_R] = can[kept_R]
        return allowed


def time_of(value: Any) -> tuple[Literal["number", "date"], float] | None:
    """The time that a cell holds: a number, or a date in ISO 8601; None if it is neither.

    >>> time_of("2024-05-01T12:00:00+02:00"), time_of("17.5"), time_of("soon")
    (('date', 1714557600.0), ('number', 17.5), None)
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text)
        except ValueError:
            try:
                value = datetime.fromisoformat(f"{text}-01" if _MONTH.fullmatch(text) else text)
            except ValueError:
                return None
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        try:
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except OverflowError:  # the first day of the year 1, east of Greenwich
            return None
        return "date", (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        try:
            return ("number", float(value)) if math.isfinite(value) else None
        except OverflowError:
            return None
    return None


def times_of(records: Sequence[Record], column: str) -> Times:
    """The column's times. Of numbers and dates the kind that more rows have counts; other cells are unknown times."""
    found = [time_of(prompt_in(record).columns.get(column)) for record in records]
    kinds = Counter(time[0] for time in found if time is not None)
    if not kinds:
        names = sorted({name for record in records for name in prompt_in(record).columns})
        given = "no row has a time in it" if column in names else f"no row has it{did_you_mean(column, names)}"
        raise DataError(f"data.time: column {column!r}: {given}; name a column with dates (2024-05-01) or numbers")
    kind = max(kinds, key=lambda kind: (kinds[kind], kind))
    times = [time[1] if time is not None and time[0] == kind else math.nan for time in found]
    return Times(time_R=np.array(times), kind=kind)


def oldest_of(time_R: Floats, cluster_R: Integers, counts_R: Flags) -> Floats:
    """The time of each cluster's oldest row among those that count, infinity where none has a time."""
    oldest_C = np.full(int(cluster_R.max(initial=-1)) + 1, np.inf)
    rows = np.flatnonzero(counts_R & ~np.isnan(time_R))
    np.minimum.at(oldest_C, cluster_R[rows], time_R[rows])
    return oldest_C


def border_of(oldest_C: Floats, usable_PC: Integers, need_P: Integers) -> float:
    """The latest time from which on the clusters suffice for every evaluation purpose, and for all of them together.

    `usable_PC` and `need_P` without what keeps its purpose. What cannot be had from all clusters is not waited for.
    """
    order = np.argsort(-oldest_C, kind="stable")
    order = order[np.isfinite(oldest_C[order])]
    usable = usable_PC[EVALUATION][:, order]
    enough = -1
    for rows, need in [*zip(usable, need_P[EVALUATION], strict=True), (usable.max(axis=0), need_P[EVALUATION].sum())]:
        supply = np.cumsum(rows)
        wanted = min(int(need), int(supply[-1]) if len(supply) else 0)
        if wanted > 0:
            enough = max(enough, int(np.searchsorted(supply, wanted)))
    return float(oldest_C[order[enough]]) if enough >= 0 else math.inf
