"""Whole clusters to the eight purposes: placed by hash, sizes exact, few rows moved when rows are added.

A cluster's place is a number that hangs on the seed and on its first row alone. Clusters of several rows fall where
that number says; single rows fill what is left of each purpose in the order of their numbers. Adding one row in a
hundred therefore shifts the borders a little and moves only the rows beside them.

`final` is filled from three kinds of rows, each with its own size, so there are ten slots for the eight purposes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES, Purpose
from whet.data.sizes import FINAL_KINDS, SLOTS, needs_of

__all__ = ["REASONS", "ClusterTable", "Placement", "Reason", "place", "positions"]

# C cluster (c of a stratum), S slot: the first seven purposes, then `final` for each kind of row
Reason = Literal["no purpose", "left over", "hash", "slice quota", "size rule", "fills the size", "final is full"]
REASONS: tuple[Reason, ...] = get_args(Reason)
Integers = npt.NDArray[np.int64]
# A cluster goes by its hash only where it is at most this share of the size; a larger one goes where most room is.
_LARGE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTable:
    """The clusters to place. `usable[c, p]` says how many rows of cluster c purpose p could take, in PURPOSES' order.

    `key` is 64 bits that do not change while the cluster grows; `kind` indexes FINAL_KINDS.
    """

    key: npt.NDArray[np.uint64]
    usable: Integers
    kind: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """For each cluster its purpose (index into PURPOSES, -1: unused), how many of its rows go there, and by which rule.

    `reason` indexes REASONS.
    """

    purpose: npt.NDArray[np.int8]
    room: Integers
    reason: npt.NDArray[np.int8]
    requested: Mapping[Purpose, int]


def positions(key: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each key: splitmix64 (Steele, Lea and Flood 2014) of the key and the seed."""
    with np.errstate(over="ignore"):
        mixed = key ^ (np.uint64(seed & (2**64 - 1)) * np.uint64(0x9E3779B97F4A7C15))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def place(clusters: ClusterTable, sizes: SizeSettings, *, seed: int) -> Placement:
    """Put every cluster into one purpose or none. Sizes are met exactly where enough single rows can serve."""
    needs = needs_of(sizes, clusters.usable, clusters.kind)
    table = _Table(clusters, needs.rows, positions(clusters.key, seed))
    table.place_large()
    strata = table.strata()
    for number, members in enumerate(strata):
        supply = sum(int(table.usable[rest].max(axis=1).sum()) for rest in strata[number:])
        table.place_stratum(members, share=min(1.0, float(table.need.sum()) / max(1, supply)))
    table.fill()
    purpose = np.where(table.slot < 0, -1, np.minimum(table.slot, len(PURPOSES) - 1)).astype(np.int8)
    return Placement(purpose=purpose, room=table.room, reason=table.reasons(), requested=needs.requested)


class _Table:
    """What is still to be placed and how much each slot still needs; every method places some clusters."""

    def __init__(self, clusters: ClusterTable, need: Integers, position: npt.NDArray[np.float64]) -> None:
        count = len(clusters.key)
        self.kind = clusters.kind
        self.position = position
        self.usable = np.zeros((count, len(SLOTS)), dtype=np.int64)
        self.usable[:, : len(PURPOSES) - 1] = clusters.usable[:, :-1]
        self.usable[np.arange(count), len(PURPOSES) - 1 + clusters.kind] = clusters.usable[:, -1]
        self.usable[clusters.kind == FINAL_KINDS.index("out_of_distribution"), : len(PURPOSES) - 1] = 0
        self.need = need.copy()
        self.size = need
        self.slot = np.full(count, -1, dtype=np.int8)
        self.room = np.zeros(count, dtype=np.int64)
        self.rule = np.full(count, REASONS.index("left over"), dtype=np.int8)
        self.rule[self.usable.max(axis=1, initial=0) == 0] = REASONS.index("no purpose")

    def _put(self, members: Integers, slots: Integers, rule: Reason) -> None:
        """The members' rows, as many as their slots take at all; they must fit together."""
        taken = self.usable[members, slots]
        self.slot[members] = slots
        self.room[members] = taken
        self.rule[members] = REASONS.index(rule)
        self.need -= np.bincount(slots, weights=taken, minlength=len(SLOTS)).astype(np.int64)

    def place_large(self) -> None:
        """Clusters too large for every slot that could take them: to the largest need, the rows beyond it unused."""
        rows = self.usable
        fits = (rows > 0) & (rows <= np.maximum(1, _LARGE * self.size))
        large = np.flatnonzero((rows.max(axis=1) > 1) & ~fits.any(axis=1) & (rows[:, self.size > 0] > 0).any(axis=1))
        for member in sorted(large, key=lambda member: (-int(rows[member].max()), float(self.position[member]))):
            self._put_in_part(int(member), "size rule")

    def _put_in_part(self, member: int, rule: Reason) -> None:
        """Where most of the rows fit, and of such slots the one with the largest need."""
        gain = np.minimum(self.usable[member], self.need)
        if gain.max() <= 0:
            return
        slot = int(np.lexsort((self.need, gain))[-1])
        taken = min(int(self.usable[member, slot]), int(self.need[slot]))
        self.slot[member], self.room[member], self.rule[member] = slot, taken, REASONS.index(rule)
        self.need[slot] -= taken

    def strata(self) -> list[Integers]:
        """Unplaced clusters by the slots that could take them, the choosiest first; each by its position."""
        open_ = np.flatnonzero((self.slot < 0) & (self.usable.max(axis=1, initial=0) > 0))
        pattern = ((self.usable[open_] > 0) @ (1 << np.arange(len(SLOTS)))).astype(np.int64)
        order = np.lexsort((self.position[open_], pattern))
        groups = np.split(open_[order], np.flatnonzero(np.diff(pattern[order])) + 1)
        return sorted((group for group in groups if len(group)), key=self._choosiness)

    def _choosiness(self, group: Integers) -> tuple[int, int]:
        """Kinds that only a part of `final` takes come first, then those with the fewest slots."""
        can = self.usable[group[0]] > 0
        return (-int(can[len(PURPOSES) :].any()), int(can.sum()))

    def place_stratum(self, members: Integers, *, share: float) -> None:
        """Clusters of several rows where their numbers fall, then single rows in the order of theirs."""
        rows = self.usable[members]
        target = self._targets(rows.max(axis=0) > 0, round(int(rows.max(axis=1).sum()) * share))
        several = rows.max(axis=1) > 1
        left = target - self._place_several(members[several], target)
        singles = members[~several]
        border = np.cumsum(np.maximum(left, 0))
        placed = singles[: int(border[-1])]
        slots = np.searchsorted(border, np.arange(len(placed)), side="right")
        self._put(placed, slots, "hash")

    def _targets(self, can: npt.NDArray[np.bool_], supply: int) -> Integers:
        """The stratum's rows over the slots it can serve, in proportion to their needs; special ones of final first."""
        special = np.where(can, self.need, 0)
        special[: len(PURPOSES)] = 0
        special = np.minimum(special, supply)
        wanted = np.where(can, self.need, 0)
        wanted[len(PURPOSES) :] = 0
        rest = min(supply - int(special.sum()), int(wanted.sum()))
        exact = wanted * (max(0, rest) / max(1, int(wanted.sum())))
        target = np.floor(exact + 1e-9).astype(np.int64)
        spare = max(0, rest) - int(target.sum())
        target[np.argsort(-(exact - target), kind="stable")[:spare]] += 1
        return np.minimum(target + special, np.maximum(self.need, 0))

    def _place_several(self, members: Integers, target: Integers) -> Integers:
        """By hash among the slots where the cluster is not large; what overflows a slot's target stays unplaced."""
        rows = self.usable[members]
        chance = np.where((rows > 0) & (rows <= np.maximum(1, _LARGE * self.size)), target, 0).astype(np.float64)
        border = np.cumsum(chance, axis=1)
        total = border[:, -1:]
        mark = self.position[members][:, None] * total
        slots = np.minimum((border <= mark).sum(axis=1), len(SLOTS) - 1)
        placed = np.zeros(len(SLOTS), dtype=np.int64)
        for slot in range(len(SLOTS)):
            here = np.flatnonzero((slots == slot) & (total[:, 0] > 0))
            fits = here[np.cumsum(rows[here, slot]) <= target[slot]]
            self._put(members[fits], np.full(len(fits), slot), "hash")
            placed[slot] = rows[fits, slot].sum()
        return placed

    def fill(self) -> None:
        """What did not fit goes where there is need: several rows first, then single ones, a last cluster in part."""
        open_ = np.flatnonzero((self.slot < 0) & (self.usable.max(axis=1, initial=0) > 0))
        open_ = open_[np.argsort(self.position[open_], kind="stable")]
        several = self.usable[open_].max(axis=1, initial=0) > 1
        for member in open_[several]:
            if self.need.sum() <= 0:
                return
            fits = np.where((self.usable[member] > 0) & (self.usable[member] <= self.need), self.need, 0)
            if fits.max() > 0:
                self._put(np.array([member]), np.array([int(fits.argmax())]), "fills the size")
        singles = open_[~several]
        for slot in np.flatnonzero(self.need > 0):
            can = singles[(self.usable[singles, slot] > 0) & (self.slot[singles] < 0)][: int(self.need[slot])]
            self._put(can, np.full(len(can), slot), "fills the size")
        for member in open_[several]:
            if self.need.sum() <= 0:
                return
            if self.slot[member] < 0:
                self._put_in_part(int(member), "fills the size")

    def reasons(self) -> npt.NDArray[np.int8]:
        rule = self.rule.copy()
        rule[self.slot >= len(PURPOSES)] = REASONS.index("slice quota")
        unseen = self.kind == FINAL_KINDS.index("out_of_distribution")
        rule[unseen & (self.slot < 0) & (rule == REASONS.index("left over"))] = REASONS.index("final is full")
        return rule
