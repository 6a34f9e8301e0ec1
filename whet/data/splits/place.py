"""Whole clusters to the eight purposes: placed by hash, sizes exact, few rows moved when rows are added.

A cluster's place is a number that hangs on the seed and on its first row alone. Clusters of several rows fall where
that number says; single rows fill what is left of each purpose in the order of their numbers. Adding one row in a
hundred therefore shifts the borders a little and moves only the rows beside them.

All of that happens within groups: clusters of one stratum that can serve the same purposes. `final` is filled from
three kinds of rows, each with its own size, so there are ten slots for the eight purposes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from whet.core.records import PURPOSES, Purpose
from whet.data.splits.groups import Group, groups_of
from whet.data.splits.sizes import FINAL_KINDS, SLOTS, Needs

__all__ = ["REASONS", "ClusterTable", "Placement", "Reason", "place", "positions"]

# C cluster, M some of the clusters, P purpose, S slot: the first seven purposes, then `final` for each kind of row
Reason = Literal[
    "no purpose", "left over", "hash", "slice quota", "size rule", "fills the size", "final is full", "kept"
]
REASONS: tuple[Reason, ...] = get_args(Reason)
Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
# A cluster goes by its hash only where it is at most this share of the size; a larger one goes where most room is.
_LARGE = 0.1
_FINAL = len(PURPOSES) - 1
# Along the hash evaluation lies between training as far as possible: a border that shifts then moves rows of one
# evaluation purpose into training or back, and rarely from one evaluation purpose to another.
_ALONG = np.array(
    [
        *range(_FINAL, len(SLOTS)),
        *(PURPOSES.index(name) for name in ("ft_validation", "ft_train", "ft_test", "rm_train", "rm_test")),
        *(PURPOSES.index(name) for name in ("rl_train", "rl_test")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTable:
    """The clusters to place. `usable_PC[p, c]` rows of cluster c could serve purpose p, in PURPOSES' order.

    `key` is 64 bits that do not change while the cluster grows; `kind` indexes FINAL_KINDS; `stratum` is below
    MOST_STRATA. `kept` is the purpose that a cluster has from an earlier preparation or a pin, -1 for none;
    `kept_rows` of its rows have it and keep it whatever the sizes.
    """

    key: Hashes
    usable_PC: Integers
    kind: npt.NDArray[np.int8]
    stratum: Integers
    kept: npt.NDArray[np.int8]
    kept_rows: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """For each cluster its purpose (index into PURPOSES, -1: unused), how many of its rows go there, and by which rule.

    `reason` indexes REASONS.
    """

    purpose: npt.NDArray[np.int8]
    room: Integers
    reason: npt.NDArray[np.int8]
    requested: Mapping[Purpose, int]


def _mixed(key: Hashes, seed: int) -> Hashes:
    """splitmix64 (Steele, Lea and Flood 2014) of the key and the seed."""
    with np.errstate(over="ignore"):
        mixed: Hashes = key ^ (np.uint64(seed & (2**64 - 1)) * np.uint64(0x9E3779B97F4A7C15))
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed ^= mixed >> np.uint64(shift)
            mixed *= np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _unit(mixed: Hashes) -> npt.NDArray[np.float64]:
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def positions(key: Hashes, seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each key: `_mixed` of the key and the seed."""
    return _unit(_mixed(key, seed))


def place(clusters: ClusterTable, needs: Needs, *, seed: int) -> Placement:
    """Put every cluster into one purpose or none. Sizes are met exactly where enough single rows can serve."""
    table = _Table(clusters, needs.rows, _mixed(clusters.key, seed))
    table.keep(clusters.kept, clusters.kept_rows)
    table.place_large()
    table.place_groups(clusters.stratum)
    table.fill()
    purpose = np.minimum(table.slot, _FINAL)
    return Placement(purpose=purpose, room=table.room, reason=table.reasons(), requested=needs.requested)


class _Table:
    """What is still to be placed and how much each slot still needs; every method places some clusters."""

    def __init__(self, clusters: ClusterTable, need: Integers, mixed: Hashes) -> None:
        self.kind = clusters.kind
        self.mixed = mixed
        self.usable = clusters.usable_PC
        unseen = self.kind == FINAL_KINDS.index("out_of_distribution")
        if unseen.any():
            self.usable = self.usable.copy()
            self.usable[:_FINAL, unseen] = 0
        self.largest = self.usable.max(axis=0, initial=0)
        self.size = self._possible_kinds(need)
        self.need = self.size.copy()
        self.slot = np.full(len(mixed), -1, dtype=np.int8)
        self.room = np.zeros(len(mixed), dtype=np.int64)
        self.rule = np.where(self.largest > 0, np.int8(REASONS.index("left over")), np.int8(0))

    def _possible_kinds(self, need: Integers) -> Integers:
        """What special rows cannot bring to `final`, ordinary ones do."""
        need = need.copy()
        for kind in range(1, len(FINAL_KINDS)):
            if need[_FINAL + kind]:
                supply = int(self.usable[_FINAL, self.kind == kind].sum())
                missing = max(0, int(need[_FINAL + kind]) - supply)
                need[_FINAL + kind] -= missing
                need[_FINAL] += missing
        return need

    def _rows(self, members: Integers, slot: int) -> Integers:
        rows: Integers = self.usable[min(slot, _FINAL), members]
        return np.where(self.kind[members] == slot - _FINAL, rows, 0) if slot >= _FINAL else rows

    def _put(self, members: Integers, slot: int, rows: Integers, rule: Reason) -> None:
        self.slot[members] = slot
        self.room[members] = rows
        self.rule[members] = REASONS.index(rule)
        self.need[slot] -= rows.sum()

    def keep(self, kept: npt.NDArray[np.int8], kept_rows: Integers) -> None:
        """Clusters that have a purpose keep it; rows that are new in them come in while there is need."""
        members = np.flatnonzero(kept >= 0)
        slots = np.where(kept[members] == _FINAL, _FINAL + self.kind[members], kept[members])
        for slot in np.unique(slots).tolist():
            here = members[slots == slot]
            old, rows = np.minimum(kept_rows[here], self._rows(here, slot)), self._rows(here, slot)
            spare = max(0, int(self.need[slot] - old.sum()))
            if rows.sum() - old.sum() > spare:
                here = self._in_order(here)
                old, rows = np.minimum(kept_rows[here], self._rows(here, slot)), self._rows(here, slot)
            new = rows - old
            self._put(here, slot, old + np.clip(spare - (np.cumsum(new) - new), 0, new), "kept")
        # Of the kinds of `final` one may have kept more than its part; then the others, ordinary rows first, have less.
        for slot in range(_FINAL, len(SLOTS)):
            over = max(0, -int(self.need[_FINAL:].clip(max=0).sum()))
            given = min(over, max(0, int(self.need[slot])))
            self.need[slot] -= given
            self.need[_FINAL + int(self.need[_FINAL:].argmin())] += given
        self.need = np.maximum(self.need, 0)

    def place_large(self) -> None:
        """Clusters too large for every slot that could take them: to the largest need, the rows beyond it unused."""
        several = np.flatnonzero((self.largest > 1) & (self.slot < 0))
        limit = np.maximum(1, _LARGE * self.size)
        fits = np.zeros(len(several), dtype=np.bool_)
        patterns = np.zeros(len(several), dtype=np.uint16)
        for slot in np.flatnonzero(self.size).tolist():
            rows = self._rows(several, slot)
            fits |= (rows > 0) & (rows <= limit[slot])
            patterns |= (rows > 0).astype(np.uint16) << np.uint16(slot)
        large = np.flatnonzero(~fits & (patterns > 0))
        large = large[np.lexsort((self.mixed[several[large]], -self.largest[several[large]]))]
        for member, pattern in zip(several[large].tolist(), patterns[large].tolist(), strict=True):
            # Most of many such clusters find every slot full that they could serve.
            if any(pattern >> slot & 1 for slot in np.flatnonzero(self.need > 0).tolist()):
                self._put_in_part(member, "size rule")

    def _put_in_part(self, member: int, rule: Reason) -> None:
        """Where most of the rows fit, and of such slots the one with the largest need."""
        one = np.array([member])
        gain = np.array([min(int(self._rows(one, slot)[0]), int(self.need[slot])) for slot in range(len(SLOTS))])
        if gain.max() > 0:
            slot = int(np.lexsort((self.need, gain))[-1])
            self._put(one, slot, gain[slot : slot + 1], rule)

    def place_groups(self, stratum: Integers) -> None:
        """Group by group, the choosiest first, each with its part of what the slots need in all."""
        groups = groups_of(self.usable, self.largest, self.kind, stratum, slot=self.slot, room=self.room)
        ahead = sum((group.placed for group in groups), start=np.zeros(len(SLOTS), dtype=np.int64))
        rest = sum(group.supply for group in groups)
        special = np.array([sum(group.supply for group in groups if group.can[slot]) for slot in range(len(SLOTS))])
        for group in groups:
            wanted = self.need + ahead
            share = min(1.0, float(wanted.sum()) / max(1, rest))
            self._place_group(group, group.left(wanted, share=share, special=special))
            ahead = ahead - group.placed
            rest -= group.supply
            special = special - group.can * group.supply

    def _place_group(self, group: Group, left: Integers) -> None:
        """Clusters of several rows where their numbers fall, then single rows in the order of theirs."""
        left = np.minimum(left, self.need)
        is_single = self.largest[group.members] == 1
        several, singles = group.members[~is_single], group.members[is_single]
        if len(several):
            unused = group.supply - int(group.placed.sum()) - int(left.sum())
            left = left - self._place_several(several, left, unused=unused)
            if left.sum() > len(singles):
                left = self._fit(several[self.slot[several] < 0], left, "hash")
        self._place_singles(singles, left)

    def _place_singles(self, members: Integers, left: Integers) -> None:
        """In the order of their hashes, of which only those at the borders need to be known."""
        slots = _ALONG[left[_ALONG] > 0]
        ends = np.minimum(np.cumsum(left[slots]), len(members))
        packed = self._packed(members)
        inner = np.unique(ends[ends < len(members)])
        borders = np.partition(packed, inner)[inner] if len(inner) else packed[:0]
        part = np.zeros(len(members), dtype=np.int8)
        for border in borders:
            part += packed >= border
        counts = np.diff(ends, prepend=0)
        slots = np.append(slots[counts > 0], -1).astype(np.int8)  # behind the last border they stay unplaced
        placed = slots[part]
        self.slot[members] = placed
        self.room[members] = placed >= 0
        self.need -= np.bincount(_ALONG[left[_ALONG] > 0], weights=counts, minlength=len(SLOTS)).astype(np.int64)

    def _in_order(self, members: Integers) -> Integers:
        """By hash."""
        packed = np.sort(self._packed(members))
        bits = np.uint64(len(members).bit_length())
        return members[(packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)]

    def _packed(self, members: Integers) -> Hashes:
        """The hash's upper bits and the place in the list as one number, which sorts much faster than by argsort."""
        bits = np.uint64(len(members).bit_length())
        return (self.mixed[members] >> bits << bits) | np.arange(len(members), dtype=np.uint64)

    def _place_several(self, members: Integers, left: Integers, *, unused: int) -> Integers:
        """By hash among the slots where the cluster is not large; what overflows what is left stays unplaced."""
        rows_of = {slot: self._rows(members, slot) for slot in _ALONG[left[_ALONG] > 0].tolist()}
        chosen = self._slots_by_hash(members, rows_of, left, unused=unused)
        taken = np.zeros(len(members), dtype=np.int64)
        placed = np.zeros(len(SLOTS), dtype=np.int64)
        for slot, rows in rows_of.items():
            here = np.flatnonzero(chosen == slot)
            if rows[here].sum() > left[slot]:
                chosen[here] = -1
                here = here[np.argsort(self.mixed[members[here]], kind="stable")]
                here = here[np.cumsum(rows[here]) <= left[slot]]
                chosen[here] = slot
            taken[here] = rows[here]
            placed[slot] = rows[here].sum()
        done = members[chosen >= 0]
        self.slot[done] = chosen[chosen >= 0]
        self.room[done] = taken[chosen >= 0]
        self.need -= placed
        return placed

    def _slots_by_hash(
        self, members: Integers, rows_of: Mapping[int, Integers], left: Integers, *, unused: int
    ) -> npt.NDArray[np.int8]:
        """-1 for clusters that are large everywhere, and for a part of all if some rows are to stay unused."""
        limit = np.minimum(np.maximum(1, _LARGE * self.size), left)
        fits = np.zeros(len(members), dtype=np.uint16)
        for slot, rows in rows_of.items():
            fits |= ((rows > 0) & (rows <= limit[slot])).astype(np.uint16) << np.uint16(slot)
        marks = _unit(self.mixed[members]) * (1 + max(0, unused) / max(1, int(left.sum())))
        chosen = np.full(len(members), -1, dtype=np.int8)
        slots = np.append(_ALONG, -1).astype(np.int8)
        for pattern in np.flatnonzero(np.bincount(fits)).tolist():
            chance = np.where(pattern >> _ALONG & 1, left[_ALONG], 0)
            here = np.flatnonzero(fits == pattern)
            if pattern:
                chosen[here] = slots[np.searchsorted(np.cumsum(chance), marks[here] * chance.sum(), side="right")]
        return chosen

    def _fit(self, members: Integers, left: Integers, rule: Reason) -> Integers:
        """Whole clusters where they still fit, the largest room first; gives what is left of the room."""
        members, left, is_moving = self._in_order(members), left.copy(), True
        while is_moving:
            is_moving = False
            for slot in np.argsort(-left, kind="stable").tolist():
                rows = self._rows(members, slot)
                taken = np.flatnonzero((rows > 0) & (rows <= left[slot]))
                taken = taken[np.cumsum(rows[taken]) <= left[slot]]
                if len(taken):
                    is_moving = True
                    self._put(members[taken], slot, rows[taken], rule)
                    left[slot] -= rows[taken].sum()
                    members = np.delete(members, taken)
        return left

    def fill(self) -> None:
        """What did not fit goes where there is need: several rows first, then single ones, a last cluster in part."""
        if not self.need.any():
            return
        open_ = self._in_order(np.flatnonzero((self.slot < 0) & (self.largest > 0)))
        several = open_[self.largest[open_] > 1]
        singles = open_[self.largest[open_] == 1]
        self._fit(several, self.need, "fills the size")
        for slot in np.flatnonzero(self.need > 0).tolist():
            can = singles[(self._rows(singles, slot) > 0) & (self.slot[singles] < 0)][: int(self.need[slot])]
            self._put(can, slot, np.ones(len(can), dtype=np.int64), "fills the size")
        for slot in np.flatnonzero(self.need > 0).tolist():
            # More than one is needed only where a cluster's rows cannot all serve.
            can = several[(self._rows(several, slot) > 0) & (self.slot[several] < 0)][:1]
            self._put(can, slot, np.minimum(self._rows(can, slot), self.need[slot]), "fills the size")

    def reasons(self) -> npt.NDArray[np.int8]:
        rule = self.rule.copy()
        rule[(self.slot >= 0) & (rule == REASONS.index("left over"))] = REASONS.index("hash")
        rule[(self.slot > _FINAL) & (rule != REASONS.index("kept"))] = REASONS.index("slice quota")
        unseen = self.kind == FINAL_KINDS.index("out_of_distribution")
        rule[unseen & (self.slot < 0) & (rule == REASONS.index("left over"))] = REASONS.index("final is full")
        return rule
