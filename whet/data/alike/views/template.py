"""Prompts that are the same but for names and numbers."""

from collections.abc import Iterable, Iterator, Sequence

from whet.core.recipe import DataSettings
from whet.data.alike.views.found import RUN, SIMILAR, Found, similar
from whet.data.pairs.near import Pairs, similar_sets
from whet.data.space.where import HERE, Arrays, Where
from whet.data.texts.canonical import FEWEST_PLAIN_WORDS, Masker
from whet.data.texts.row_texts import RowTexts
from whet.data.texts.runs import Integers, run_hashes, run_part, sets_in
from whet.data.texts.words import Hashes, WordTable, name_hashes, names_of, template_words, word_tables

__all__ = ["masked_pairs", "masked_runs", "template"]


def template(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same prompt but for names and numbers, or runs of 3 masked words with a Jaccard similarity of at least 0.7.

    Right for binding what must not be parted, wrong for deleting: "6 blue, how many black" and "5 black, how many blue"
    are alike by it.
    """
    texts = rows.own
    names = names_of(texts, where)
    masker = Masker(names)
    found = similar("template", masked_pairs(texts, list(names), where), str)

    def evidence(first: int, second: int, score: float) -> str:
        return masker.form(texts[first])[0] if score == 1 else f"{score:.2f} of their runs of {RUN} masked words"

    return Found(kind="template", pairs=found.pairs, evidence=evidence, method=found.method, capped=found.capped)


def masked_pairs(texts: Sequence[str], names: Sequence[str], where: Where = HERE) -> Pairs:
    """The pairs that are alike when numbers and names are masked; a text with too few other words is like none."""
    runs = where.texts(texts).map(_masked_parts, where.put(name_hashes(names)))
    return similar_sets(sets_in(runs, where=where), threshold=SIMILAR, where=where)


def _masked_parts(names: Hashes, texts: Sequence[str]) -> Iterator[Arrays]:
    """A step: the runs of masked words of some texts."""
    return (run_part(*part) for part in masked_runs(word_tables(texts), names))


def masked_runs(tables: Iterable[WordTable], names: Hashes) -> Iterator[tuple[Integers, Hashes, int]]:
    """The row and the hash of every run of masked words, part by part; `names` as `name_hashes` gives them."""
    for table in tables:
        masked, plain_R = template_words(table, names)
        row, run = run_hashes(masked, RUN)
        says_enough = plain_R[row] >= FEWEST_PLAIN_WORDS
        yield row[says_enough], run[says_enough], table.rows
