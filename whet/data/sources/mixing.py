"""Several sources in stated proportions: the scarcest is taken whole, the others are thinned by hash."""

from collections.abc import Sequence
from dataclasses import replace

from whet.core.errors import DataError
from whet.core.seeds import seed_for
from whet.data.sources.read import Source
from whet.data.space.shelf import chosen

__all__ = ["THINNED", "mix"]

# Why a record in `Source.thinned` serves no purpose.
THINNED = "thinned to keep data.weights"


def mix(groups: Sequence[Sequence[Source]], weights: Sequence[float], *, seed: int) -> list[list[Source]]:
    """The same sources, thinned so that the groups' records are in the proportion of the weights.

    A group is what one name in `data.source` was read as (a folder gives several sources). Group g keeps
    floor(w_g * min_h(n_h / w_h)) of its n_g records, those whose hash with the seed is smallest, so that records which
    are added later replace few. The others move to `Source.thinned`. `DataError` when a group has no record or there is
    not one weight for each.
    """
    if len(weights) != len(groups):
        raise DataError(
            f"data.weights has {len(weights)} numbers, but data.source has {len(groups)} names; give one for each, in "
            "the same order"
        )
    counts = [sum(len(source.records) for source in group) for group in groups]
    for group, count in zip(groups, counts, strict=True):
        if not count:
            raise DataError(
                f"data.weights: {', '.join(source.name for source in group)} gave no record; take it out of data.source"
            )
    scarcest = min(range(len(groups)), key=lambda place: counts[place] / weights[place])
    return [
        _thinned(group, counts[scarcest] * weight / weights[scarcest], seed=seed)
        for group, weight in zip(groups, weights, strict=True)
    ]


def _thinned(group: Sequence[Source], share: float, *, seed: int) -> list[Source]:
    """The `share` records of least hash, at least one; a hair is added so that rounding takes none away."""
    room = max(1, int(share + 1e-6))
    order = sorted(
        (seed_for(seed, "mix", record.id), place, number)
        for place, source in enumerate(group)
        for number, record in enumerate(source.records)
    )
    return [
        replace(
            source,
            records=chosen(source.records, sorted(number for _, of, number in order[:room] if of == place)),
            thinned=chosen(source.records, sorted(number for _, of, number in order[room:] if of == place)),
        )
        for place, source in enumerate(group)
    ]
