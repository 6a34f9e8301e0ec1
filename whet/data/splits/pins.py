"""Rows whose purpose is given: sources that are pinned, such as a published test set, and an earlier preparation.

A cluster that holds such a row has that row's purpose. Where it holds rows of several, a pin beats what was earlier and
evaluation beats training, so that nothing near a held-out row is ever trained on; what loses is not used at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError
from whet.core.records import PURPOSES, Purpose
from whet.data.manifest import read_manifest
from whet.data.splits.places import RowPlace

__all__ = ["Pins", "earlier_purposes", "find_pins", "indices"]

# R row, C cluster, P purpose
_NONE = np.int8(-1)
# Of two purposes in one cluster the later one here wins: evaluation, and of that `final`, which compares everything.
_WINS: tuple[Purpose, ...] = (
    "ft_train", "rm_train", "rl_train", "ft_validation", "ft_test", "rm_test", "rl_test", "final",
)  # fmt: skip
_PURPOSE_OF = np.array([PURPOSES.index(name) for name in _WINS], dtype=np.int8)
_STRENGTH_P = np.argsort(_PURPOSE_OF).astype(np.int8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """`purpose_C[c]` is what cluster c has to be, -1 for any. Rows in `pinned_R` or `earlier_R` are there for that.

    `kept_R` are both, the rows that have their purpose whatever the sizes; `why_not` those that must not be used.
    """

    purpose_C: npt.NDArray[np.int8]
    pinned_R: npt.NDArray[np.bool_]
    earlier_R: npt.NDArray[np.bool_]
    kept_R: npt.NDArray[np.bool_]
    why_not: Mapping[int, RowPlace]


def earlier_purposes(folder: Path) -> dict[str, Purpose]:
    """Row id -> purpose of every row that had one in an earlier preparation; its settings and seed do not matter."""
    try:
        return {row["id"]: row["purpose"] for row in read_manifest(folder)["rows"] if row["purpose"] is not None}
    except (KeyError, TypeError) as error:
        raise DataError(f"data.earlier: {folder}/manifest.json lists no rows with their purposes ({error})") from error


def find_pins(
    cluster_R: npt.NDArray[np.int64],
    *,
    pinned_R: npt.NDArray[np.int8],
    earlier_R: npt.NDArray[np.int8],
) -> Pins:
    """`pinned_R[r]` and `earlier_R[r]`: the purpose that row r is pinned to or was in earlier, -1 for none."""
    count = int(cluster_R.max(initial=-1)) + 1
    pinned_C = _strongest(cluster_R, pinned_R, count)
    earlier_C = _strongest(cluster_R, earlier_R, count)
    has_pin_R = pinned_C[cluster_R] >= 0
    purpose_C = np.where(pinned_C >= 0, pinned_C, earlier_C)
    purpose_R = purpose_C[cluster_R]
    parted = ~has_pin_R & (earlier_R >= 0) & (earlier_R != purpose_R)
    why_not = {
        int(row): RowPlace(
            purpose=None, category="like a pinned row", detail=f"of {PURPOSES[purpose_R[row]]}{_pin(pinned_R[row])}"
        )
        for row in np.flatnonzero(has_pin_R & (pinned_R != purpose_R))
    } | {
        int(row): RowPlace(
            purpose=None,
            category="its cluster has another purpose than earlier",
            detail=f"({PURPOSES[earlier_R[row]]} then, {PURPOSES[purpose_R[row]]} now)",
        )
        for row in np.flatnonzero(parted)
    }
    by_pin, by_earlier = has_pin_R & (pinned_R == purpose_R), ~has_pin_R & (earlier_R >= 0) & ~parted
    return Pins(purpose_C=purpose_C, pinned_R=by_pin, earlier_R=by_earlier, kept_R=by_pin | by_earlier, why_not=why_not)


def _strongest(cluster_R: npt.NDArray[np.int64], purpose_R: npt.NDArray[np.int8], count: int) -> npt.NDArray[np.int8]:
    """For each cluster the purpose among its rows' that wins, -1 where no row has one."""
    strongest = np.full(count, _NONE)
    rows = np.flatnonzero(purpose_R >= 0)
    np.maximum.at(strongest, cluster_R[rows], _STRENGTH_P[purpose_R[rows]])
    return np.where(strongest >= 0, _PURPOSE_OF[strongest], _NONE)


def _pin(purpose: int) -> str:
    return f", pinned to {PURPOSES[purpose]} itself" if purpose >= 0 else ""


def indices(purposes: Sequence[Purpose | None]) -> npt.NDArray[np.int8]:
    """Purposes as indices into PURPOSES, -1 for None."""
    number: dict[Purpose | None, int] = {name: index for index, name in enumerate(PURPOSES)} | {None: -1}
    return np.array([number[purpose] for purpose in purposes], dtype=np.int8)
