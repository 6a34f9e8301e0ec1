"""Prompts whose own words share most of their runs, all runs counted or only those that few rows have."""

from collections.abc import Sequence
from functools import partial

from whet.core.recipe import DataSettings
from whet.data.alike.views.found import RUN, SIMILAR, Found, similar
from whet.data.pairs.near import Pairs, similar_pairs, similar_sets
from whet.data.space.where import HERE, Where
from whet.data.texts.passages import most_texts
from whet.data.texts.row_texts import RowTexts
from whet.data.texts.runs import run_parts, sets_in

__all__ = ["near", "stop", "uncommon_pairs"]


def near(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """Prompts whose runs of 3 words, numbers kept, have a Jaccard similarity of at least 0.7."""
    pairs = similar_pairs(rows.own, size=RUN, threshold=SIMILAR, where=where)
    return similar("near", pairs, lambda score: f"{score:.2f} of their runs of {RUN} words")


def stop(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same without the runs that very many rows share, so that a common header neither joins nor hides rows."""
    return similar(
        "stop",
        uncommon_pairs(rows.own, where),
        lambda score: f"{score:.2f} of their runs of {RUN} words, those of many rows left out",
    )


def uncommon_pairs(texts: Sequence[str], where: Where = HERE) -> Pairs:
    """Runs in more than `most_texts` texts do not count, unless fewer than 5 others remain."""
    most = most_texts(len(texts))
    runs = where.texts(texts).map(partial(run_parts, RUN))
    return similar_sets(sets_in(runs, most_sets=most, where=where), threshold=SIMILAR, where=where)
