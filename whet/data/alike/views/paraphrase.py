"""The same question in other words."""

from whet.core.recipe import DataSettings
from whet.data.alike.views.found import Found, similar
from whet.data.pairs.embed import encoded_pairs
from whet.data.pairs.rephrased import rephrased_pairs
from whet.data.space.where import HERE, Where
from whet.data.texts.row_texts import RowTexts

__all__ = ["paraphrase"]


def paraphrase(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same question in other words, by rare words and numbers or by a sentence encoder; see `data.paraphrase`."""
    if settings.paraphrase == "off":
        return Found(kind="paraphrase", pairs=[], evidence=lambda _first, _second, _score: "", method="off")
    if settings.paraphrase == "words":
        pairs = rephrased_pairs(rows.own)
    else:
        pairs = encoded_pairs(rows.own, settings.paraphrase)
    return similar(
        "paraphrase", pairs, lambda score: f"other words and the same numbers, or no third so near: {score:.2f}"
    )
