"""Whole clusters to the eight purposes: placed by hash, then single rows moved until every size is exact.

The hash depends on the seed and on the cluster's first row only, so rows that are added later move few old ones.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whet.core.errors import DataError
from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES, Purpose

__all__ = ["Placement", "Unit", "place"]

# Shares of `final` that rare and unseen rows may take; the rest is ordinary.
_FINAL_SHARE = {"long_tail": 0.2, "out_of_distribution": 0.2}
# A cluster larger than this share of a purpose's size goes to the largest purpose, which it cannot distort.
_LARGE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A cluster to place: its first row's id, how many rows it holds, its slice, and the purposes it may serve."""

    key: str
    rows: int
    slice: str
    allowed: tuple[Purpose, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a unit went (None: unused) and by which rule."""

    purpose: Purpose | None
    reason: str


def _position(seed: int, key: str, salt: str = "") -> float:
    """A number in [0, 1) that belongs to the cluster."""
    digest = hashlib.sha256(f"{seed}\x1f{salt}\x1f{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def place(units: Sequence[Unit], sizes: SizeSettings, *, seed: int) -> list[Placement]:
    """One placement per unit; counts are met or refused.

    Rows that may serve the same purposes are a pool. Where a pool cannot serve every purpose (preferences, prompts
    without a demonstration), the ratios of those it can serve are scaled up to use as large a share of it.
    """
    placements: dict[int, Placement] = {}
    pools: dict[tuple[Purpose, ...], list[int]] = {}
    for index, unit in enumerate(units):
        pools.setdefault(unit.allowed, []).append(index)
    requested = dict(zip(PURPOSES, sizes.model_dump().values(), strict=True))
    for allowed, members in sorted(pools.items()):
        wanted = {purpose: requested[purpose] for purpose in allowed}
        if sum(requested.values()) <= 1 and sum(wanted.values()) > 0:
            scale = sum(requested.values()) / sum(wanted.values())
            wanted = {purpose: ratio * scale for purpose, ratio in wanted.items()}
        for index, placement in _place_pool(units, members, wanted, seed=seed):
            placements[index] = placement
    return [placements[index] for index in range(len(units))]


def _quotas(wanted: Mapping[Purpose, float], rows: int) -> dict[Purpose, int]:
    if any(value > 1 for value in wanted.values()):
        quotas = {purpose: int(value) for purpose, value in wanted.items()}
        if sum(quotas.values()) > rows:
            asked = ", ".join(f"{purpose} {count}" for purpose, count in quotas.items() if count)
            raise DataError(
                f"data.sizes ask for {sum(quotas.values())} rows ({asked}), but only {rows} can serve them; "
                "lower the sizes or give ratios"
            )
        return quotas
    quotas = {purpose: int(value * rows) for purpose, value in wanted.items()}
    spare = round(sum(wanted.values()) * rows) - sum(quotas.values())
    for purpose in sorted(quotas, key=lambda name: -wanted[name])[: max(0, spare)]:
        quotas[purpose] += 1
    return quotas


def _place_pool(
    units: Sequence[Unit], members: Sequence[int], wanted: Mapping[Purpose, float], *, seed: int
) -> list[tuple[int, Placement]]:
    placed: list[tuple[int, Placement]] = []
    unseen = [index for index in members if units[index].slice == "out_of_distribution"]
    ordinary = [index for index in members if units[index].slice != "out_of_distribution"]
    # Unseen rows serve `final` alone, so ratios are of the others and of what final takes of them.
    quotas = _quotas(wanted, sum(units[index].rows for index in ordinary))
    for slice_, candidates in (
        ("out_of_distribution", unseen),
        ("long_tail", [index for index in ordinary if units[index].slice == "long_tail"]),
    ):
        room = int(quotas.get("final", 0) * _FINAL_SHARE[slice_])
        taken = set()
        for index in sorted(candidates, key=lambda index: _position(seed, units[index].key, "final")):
            if units[index].rows <= room:
                room -= units[index].rows
                quotas["final"] -= units[index].rows
                taken.add(index)
                placed.append((index, Placement(purpose="final", reason=f"{slice_} quota of final")))
        if slice_ == "out_of_distribution":
            left = [index for index in unseen if index not in taken]
            placed += [(index, Placement(purpose=None, reason=f"{slice_}: only final may use it")) for index in left]
        else:
            ordinary = [index for index in ordinary if index not in taken]
    return placed + _by_hash(units, ordinary, quotas, seed=seed)


def _by_hash(
    units: Sequence[Unit], members: Sequence[int], quotas: Mapping[Purpose, int], *, seed: int
) -> list[tuple[int, Placement]]:
    total = sum(units[index].rows for index in members)
    bins: list[Purpose | None] = [*quotas, None]
    sizes: dict[Purpose | None, int] = dict.fromkeys(bins, 0)
    for name, quota in quotas.items():
        sizes[name] = quota
    sizes[None] = total - sum(quotas.values())
    largest = max(quotas, key=lambda name: quotas[name])
    home: dict[int, Purpose | None] = {}
    reasons: dict[int, str] = {}
    for index in members:
        mark, edge = _position(seed, units[index].key) * max(1, total), 0
        home[index] = None
        for purpose in bins:
            edge += sizes[purpose]
            if mark < edge:
                home[index] = purpose
                break
        reasons[index] = "hash"
        if units[index].rows > 1 and units[index].rows > _LARGE * sizes[home[index]]:
            home[index], reasons[index] = largest, "hash; large cluster goes to the largest purpose"
    _balance(units, members, home, reasons, bins, sizes, seed=seed)
    return [(index, Placement(purpose=home[index], reason=reasons[index])) for index in members]


def _balance(
    units: Sequence[Unit],
    members: Sequence[int],
    home: dict[int, Purpose | None],
    reasons: dict[int, str],
    bins: Sequence[Purpose | None],
    sizes: Mapping[Purpose | None, int],
    *,
    seed: int,
) -> None:
    """Move single rows from purposes with too many to purposes with too few, the same ones for the same rows."""
    need = dict(sizes)
    for index in members:
        need[home[index]] -= units[index].rows
    short = [purpose for purpose in bins if need[purpose] > 0]
    movable = [index for index in members if units[index].rows == 1 and need[home[index]] < 0]
    for index in sorted(movable, key=lambda index: _position(seed, units[index].key, "balance")):
        while short and need[short[0]] <= 0:
            short.pop(0)
        if not short:
            return
        if need[home[index]] < 0:
            need[home[index]] += 1
            need[short[0]] -= 1
            home[index], reasons[index] = short[0], "moved to meet the size"
