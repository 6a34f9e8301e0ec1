"""How many rows each purpose shall have: counts as asked for, or ratios of the rows there are.

Out-of-distribution rows serve `final` alone, which takes up to a fifth of its rows from them and up to a fifth from the
long tail; half of the long tail stays for the other purposes. A purpose with pinned rows has those and no others, and
the ratios of the rest are raised so that together they ask for the same share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError
from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES, Purpose

__all__ = ["FINAL_KINDS", "SLOTS", "Kind", "Needs", "apportion", "needs_of", "patterns"]

# P purpose, C cluster, S slot, G group of clusters that can serve the same purposes
Kind = Literal["ordinary", "long_tail", "out_of_distribution"]
FINAL_KINDS: tuple[Kind, ...] = get_args(Kind)
# Where rows are put: seven purposes, and `final` once for each kind of row.
SLOTS: tuple[str, ...] = (*PURPOSES[:-1], *(f"final/{kind}" for kind in FINAL_KINDS))
# The largest share of `final` that either special kind may take.
_SPECIAL_SHARE = 0.2
# Of the long tail, at most this share serves `final`.
_LONG_TAIL_SHARE = 0.5
# No corpus has so many; what is asked for beyond it is refused as this number.
_MOST_ROWS = 10**15
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Rows for each slot, in the order of SLOTS, and for each purpose, as they are written into the manifest."""

    rows: Integers
    requested: Mapping[Purpose, int]


def needs_of(
    sizes: SizeSettings, usable_PC: Integers, kind: npt.NDArray[np.int8], *, pinned: Integers | None = None
) -> Needs:
    """`usable_PC[p, c]` rows of cluster c can serve purpose p; counts that cannot be met are a `DataError`.

    `pinned[p]` rows are a purpose's whatever its size; the clusters that hold them do not count in `usable_PC`.
    """
    asked = np.array([getattr(sizes, purpose) for purpose in PURPOSES], dtype=np.float64)
    fixed = np.zeros(len(PURPOSES), dtype=np.int64) if pinned is None else pinned
    is_ratio = asked.sum() <= 1 + 1e-9
    free = np.where(fixed > 0, 0.0, asked)
    is_unseen = kind == FINAL_KINDS.index("out_of_distribution")
    unseen = int(usable_PC[-1, is_unseen].sum())
    rare = int(usable_PC[-1, kind == FINAL_KINDS.index("long_tail")].sum())
    seen = usable_PC[:, ~is_unseen] if is_unseen.any() else usable_PC
    if is_ratio:
        purposes = _from_ratios(free * (asked.sum() / free.sum()) if free.any() else free, seen, unseen)
    else:
        purposes = np.minimum(free, _MOST_ROWS).astype(np.int64)
        _refuse_impossible(purposes, seen, unseen)
    final = int(purposes[-1])
    most = int(final * _SPECIAL_SHARE)
    out_of_distribution = min(most, unseen)
    long_tail = min(most, int(rare * _LONG_TAIL_SHARE))
    rows = np.array([*purposes[:-1], final - out_of_distribution - long_tail, long_tail, out_of_distribution])
    rows[: len(PURPOSES)] += fixed
    return Needs(rows=rows, requested=dict(zip(PURPOSES, map(int, purposes + fixed), strict=True)))


def apportion(total: int, weights: npt.NDArray[np.float64] | Integers) -> Integers:
    """Whole numbers in proportion to the weights, with this sum: rounded down, the largest remainders up.

    >>> apportion(10, np.array([1, 1, 4])).tolist()
    [2, 2, 6]
    """
    whole_weight = float(weights.sum())
    if whole_weight <= 0 or total <= 0:
        return np.zeros(len(weights), dtype=np.int64)
    exact = weights * (total / whole_weight)
    shares = np.floor(exact + 1e-9).astype(np.int64)
    remainders = np.round(exact - shares, 9)  # equal ones stay equal
    shares[np.argsort(-remainders, kind="stable")[: total - int(shares.sum())]] += 1
    return shares


def _refuse_impossible(purposes: Integers, seen: Integers, unseen: int) -> None:
    supply = seen.sum(axis=1)
    supply[-1] += min(int(purposes[-1] * _SPECIAL_SHARE), unseen)
    for name, count, rows in zip(PURPOSES, purposes, supply, strict=True):
        if count > rows:
            raise DataError(f"data.sizes.{name} asks for {count} rows, but only {rows} can serve it; lower it")
    total = int(seen.max(axis=0, initial=0).sum()) + min(int(purposes[-1] * _SPECIAL_SHARE), unseen)
    if purposes.sum() > total:
        raise DataError(
            f"data.sizes ask for {purposes.sum()} rows in all, but only {total} are usable; lower them, or give ratios"
        )


def _from_ratios(ratios: npt.NDArray[np.float64], seen: Integers, unseen: int) -> Integers:
    """Each group of rows is shared among the purposes it can serve, in proportion to their ratios.

    With one kind of rows this is ratio x rows. Preference rows, which can serve rm_train and rm_test only, are shared
    between these two, and the other rows among the other purposes. Ratios with a sum below 1 leave rows unused.
    """
    rows = int(seen.max(axis=0, initial=0).sum())
    final = float(ratios[-1])
    # Share of `final` from unseen rows: the full fifth if they suffice, else all of them.
    share = _SPECIAL_SHARE if final else 0.0
    if final and unseen < share * final * rows / (1 - share * final):
        share = unseen / (final * (rows + unseen))
    of_seen = ratios.copy()
    of_seen[-1] = final * (1 - share)
    used = (ratios.sum() - final * share) / (1 - final * share) if rows else 0.0
    expected = np.zeros(len(PURPOSES))
    rows_PG = _rows_by_pattern(seen)
    for group in np.flatnonzero(rows_PG.any(axis=0)):
        weights = np.where(group >> np.arange(len(PURPOSES)) & 1, of_seen, 0.0)
        if weights.sum() > 0:
            expected += rows_PG[:, group] * used * weights / weights.sum()
    expected[-1] /= 1 - share
    whole = np.floor(expected + 1e-9).astype(np.int64)
    spare = min(round(float(expected.sum())) - int(whole.sum()), len(PURPOSES))
    whole[np.argsort(-(expected - whole), kind="stable")[: max(0, spare)]] += 1
    # A fifth of `final`, rounded down, may be one row less than was reckoned with.
    whole[whole.argmax()] -= max(0, int(whole.sum()) - rows - min(int(whole[-1] * _SPECIAL_SHARE), unseen))
    return whole


def _rows_by_pattern(usable_PC: Integers) -> npt.NDArray[np.float64]:
    """Rows that can serve each purpose, by which purposes their clusters can serve."""
    pattern = patterns(usable_PC)
    rows_PG = np.zeros((len(usable_PC), 256))
    for index, rows in enumerate(usable_PC):
        if index and np.array_equal(rows, usable_PC[index - 1]):  # as most purposes of one stage are
            rows_PG[index] = rows_PG[index - 1]
        elif rows.any():
            rows_PG[index] = np.bincount(pattern, weights=rows, minlength=256)
    return rows_PG


def patterns(usable_PC: Integers) -> npt.NDArray[np.uint8]:
    """The purposes that each cluster can serve, a bit each; several times faster than `np.packbits`."""
    found = np.zeros(usable_PC.shape[1], dtype=np.uint8)
    for index, rows in enumerate(usable_PC):
        found |= (rows > 0).view(np.uint8) << np.uint8(index)
    return found
