"""Groups of clusters that are placed together: of one stratum, and able to serve the same purposes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from whet.core.records import PURPOSES
from whet.data.splits.sizes import SLOTS, apportion, patterns

__all__ = ["MOST_STRATA", "Group", "groups_of"]

# C cluster, P purpose
Integers = npt.NDArray[np.int64]
# Stratum and slots of a group are packed into 16 bits, which numpy sorts by radix.
MOST_STRATA = 64
_FINAL = len(PURPOSES) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Open clusters of one stratum that can serve the same slots, and what was placed of such clusters before."""

    members: Integers
    can: npt.NDArray[np.bool_]
    supply: int  # rows, the placed ones too
    placed: Integers  # rows in each slot

    def choosiness(self) -> tuple[int, int, list[bool], float]:
        """Kinds that only a part of `final` takes, then the fewest slots, then where most is placed already."""
        special = int(self.can[len(PURPOSES) :].any())
        return (-special, int(self.can.sum()), self.can.tolist(), -float(self.placed.sum()) / max(1, self.supply))

    def left(self, wanted: Integers, *, share: float, special: Integers) -> Integers:
        """The group's rows over the slots it can serve, in proportion to what they want; less what is placed already.

        `special[s]` rows of this group and the later ones can serve slot s; the special slots of `final` come first.
        """
        rows = round(self.supply * share)
        parts = np.where(self.can, wanted * self.supply / np.maximum(1, special), 0).clip(max=self.supply)
        parts[: len(PURPOSES)] = 0
        target = np.rint(parts).astype(np.int64)
        ordinary = np.where(self.can, wanted, 0)[: len(PURPOSES)]
        target[: len(PURPOSES)] += apportion(min(rows - int(target.sum()), int(ordinary.sum())), ordinary)
        left = np.maximum(target - self.placed, 0)
        most = max(0, int(target.sum()) - int(self.placed.sum()))
        return left if int(left.sum()) <= most else apportion(most, left)


def groups_of(
    usable_PC: Integers,
    largest: Integers,
    kind: npt.NDArray[np.int8],
    stratum: Integers,
    *,
    slot: npt.NDArray[np.int8],
    room: Integers,
) -> list[Group]:
    """All groups, the choosiest first; `largest` is the maximum of each column of `usable_PC`.

    Clusters that have a slot already count with the rows that have room there.
    """
    pattern = patterns(usable_PC).astype(np.uint16)
    special = np.flatnonzero(kind)  # their bit for `final` is another one
    final = (pattern[special] >> np.uint16(_FINAL)) << (_FINAL + kind[special]).astype(np.uint16)
    pattern[special] = pattern[special] % np.uint16(1 << _FINAL) | final
    code = pattern | (stratum.astype(np.uint16) << np.uint16(len(SLOTS)))
    code[pattern == 0] = 0
    placed = np.flatnonzero(slot >= 0)
    open_code = code.copy()
    open_code[placed] = 0
    order = np.argsort(open_code, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(open_code, minlength=2**16))])
    supply = np.diff(np.concatenate([[0], np.cumsum(largest[order])])[starts])
    supply += np.bincount(code[placed], weights=room[placed], minlength=2**16).astype(np.int64)
    supply[0] = 0
    codes = np.flatnonzero(supply)
    counted = placed[room[placed] > 0]
    index = np.searchsorted(codes, code[counted]) * len(SLOTS) + slot[counted]
    there = np.bincount(index, weights=room[counted], minlength=len(codes) * len(SLOTS)).astype(np.int64)
    groups = [
        Group(
            members=order[starts[code] : starts[code + 1]],
            can=(code >> np.arange(len(SLOTS)) & 1).astype(np.bool_),
            supply=int(supply[code]),
            placed=there[number * len(SLOTS) :][: len(SLOTS)],
        )
        for number, code in enumerate(codes.tolist())
    ]
    return sorted(groups, key=Group.choosiness)
