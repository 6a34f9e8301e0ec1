"""The last look before files are written, the first when they are checked: is anything held out nearly trained on?

MinHash misses a pair at the threshold once in 5,000 times. Where it was used, every held-out prompt is compared with
every training prompt once more by an exact join, which misses none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from whet.core.records import EVALUATION_PURPOSES, TRAINING_PURPOSES, Purpose
from whet.data.alike.views.found import RUN, SIMILAR, Found
from whet.data.pairs.overlap import overlaps
from whet.data.space.where import HERE, Where
from whet.data.texts.row_texts import RowTexts

__all__ = ["missed_pairs"]


def missed_pairs(
    texts: RowTexts,
    purposes: Sequence[Purpose | None],
    of_row: Sequence[int],
    views: Mapping[str, Any],
    where: Where = HERE,
) -> Found | None:
    """Held-out and training rows that are near each other and in different clusters; None when there are none.

    `views` says how the near view found its pairs: an exact join leaves nothing to look for.
    """
    if views["near"]["method"] == "join":
        return None
    held_out = [row for row, purpose in enumerate(purposes) if purpose in EVALUATION_PURPOSES]
    training = [row for row, purpose in enumerate(purposes) if purpose in TRAINING_PURPOSES]
    found = overlaps(texts.own.at(held_out), texts.own.at(training), SIMILAR, size=RUN, where=where)
    pairs = [
        (*sorted((held_out[first], training[second])), float(score))
        for first, second, score in zip(found.held_out.tolist(), found.row.tolist(), found.jaccard, strict=True)
        if of_row[held_out[first]] != of_row[training[second]]
    ]
    if not pairs:
        return None
    return Found(
        kind="near",
        pairs=[(first, second, score) for first, second, score in pairs],
        evidence=lambda _first, _second, score: f"{score:.2f} of their runs of {RUN} words",
        method="minhash, then every held-out row with every training row",
    )
