"""Which rows belong together, in the eyes of several views: every pair found has its kind, its score and its evidence.

Add a view: write a finder `(rows, settings, where) -> Found` and put it into VIEWS. A finder may join each row to one
other of its kind instead of naming every pair; the clusters come out the same. `where` is where heavy steps run.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from whet.core.recipe import DataSettings
from whet.data.pairs.embed import encoded_pairs
from whet.data.pairs.near import Capped, Pairs, similar_pairs, similar_sets
from whet.data.pairs.rephrased import rephrased_pairs
from whet.data.space.where import HERE, Arrays, Where
from whet.data.texts.canonical import FEWEST_PLAIN_WORDS, Masker, canonical
from whet.data.texts.row_texts import RowTexts
from whet.data.texts.runs import Integers, run_hashes, run_part, run_parts, sets_in
from whet.data.texts.words import Hashes, WordTable, name_hashes, names_of, template_words, word_tables

__all__ = [
    "RUN",
    "SIMILAR",
    "VIEWS",
    "Edge",
    "Found",
    "View",
    "find",
    "masked_pairs",
    "masked_runs",
    "uncommon_pairs",
]

# Two prompts are alike when this share of their runs of so many words is common to both.
SIMILAR, RUN = 0.7, 3
# Runs of words in more rows than this share of all, and than so many, say nothing: headers, few-shot blocks.
_STOP_SHARE, _STOP_ROWS = 0.002, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Rows `first` < `second` belong together: `Edge(kind="template", first=3, second=17, score=1.0, ...)`."""

    kind: str
    first: int
    second: int
    score: float
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The pairs that one view found; `evidence(first, second, score)` says in words why."""

    kind: str
    pairs: Sequence[tuple[int, int, float]]
    evidence: Callable[[int, int, float], str]
    method: str = "every row by its key"
    capped: tuple[Capped, ...] = ()


def _by_key(kind: str, keys: Iterable[tuple[int, Hashable]], evidence: Callable[[int], str]) -> Found:
    """Every row with the first of its key; `evidence(second)` says what both are."""
    first_with: dict[Hashable, int] = {}
    pairs = []
    for row, key in keys:
        first = first_with.setdefault(key, row)
        if first != row:
            pairs.append((first, row, 1.0))
    return Found(kind=kind, pairs=pairs, evidence=lambda _first, second, _score: evidence(second))


def exact(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same prompt and completion but for appearance."""
    keys = enumerate(zip(rows.prompt, rows.completion, strict=True))
    return _by_key("exact", keys, lambda row: canonical(rows.asked[row]))


def shared_prompt(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same prompt but for appearance, whatever the completion."""
    keys = ((row, prompt) for row, prompt in enumerate(rows.prompt) if prompt)
    return _by_key("shared_prompt", keys, lambda row: canonical(rows.asked[row]))


def group(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same value of the column that `data.group` names, or the same conversation tree."""
    first_with: dict[str, int] = {}
    shared: dict[tuple[int, int], str] = {}
    for row, values in enumerate(rows.groups):
        for value in values:
            first = first_with.setdefault(value, row)
            if first != row:
                shared[first, row] = value
    pairs = [(first, row, 1.0) for first, row in shared]
    return Found(kind="group", pairs=pairs, evidence=lambda first, second, _score: shared[first, second])


def near(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """Prompts whose runs of 3 words, numbers kept, have a Jaccard similarity of at least 0.7."""
    pairs = similar_pairs(rows.asked, size=RUN, threshold=SIMILAR, where=where)
    return _similar("near", pairs, lambda score: f"{score:.2f} of their runs of {RUN} words")


def stop(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same without the runs that very many rows share, so that a common header neither joins nor hides rows."""
    return _similar(
        "stop",
        uncommon_pairs(rows.asked, where),
        lambda score: f"{score:.2f} of their runs of {RUN} words, those of many rows left out",
    )


def uncommon_pairs(texts: Sequence[str], where: Where = HERE) -> Pairs:
    """Runs in more than 50 texts and 0.2 % of the texts do not count, unless fewer than 5 others remain."""
    most = max(_STOP_ROWS, int(_STOP_SHARE * len(texts)))
    runs = where.texts(texts).map(partial(run_parts, RUN))
    return similar_sets(sets_in(runs, most_sets=most, where=where), threshold=SIMILAR, where=where)


def template(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same prompt but for names and numbers, or runs of 3 masked words with a Jaccard similarity of at least 0.7.

    Right for binding what must not be parted, wrong for deleting: "6 blue, how many black" and "5 black, how many blue"
    are alike by it.
    """
    texts = rows.asked
    names = names_of(texts, where)
    masker = Masker(names)
    found = _similar("template", masked_pairs(texts, list(names), where), str)

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


def paraphrase(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same question in other words, by rare words and numbers or by a sentence encoder; see `data.paraphrase`."""
    if settings.paraphrase == "off":
        return Found(kind="paraphrase", pairs=[], evidence=lambda _first, _second, _score: "", method="off")
    if settings.paraphrase == "words":
        pairs = rephrased_pairs(rows.asked)
    else:
        pairs = encoded_pairs(rows.asked, settings.paraphrase)
    return _similar(
        "paraphrase", pairs, lambda score: f"other words and the same numbers, or no third so near: {score:.2f}"
    )


def _similar(kind: str, pairs: Pairs, told: Callable[[float], str]) -> Found:
    order = np.lexsort((pairs.second, pairs.first, -pairs.score))
    columns = (pairs.first[order].tolist(), pairs.second[order].tolist(), pairs.score[order].tolist())
    return Found(
        kind=kind,
        pairs=list(zip(*columns, strict=True)),
        evidence=lambda _first, _second, score: told(score),
        method=pairs.method,
        capped=pairs.capped,
    )


class View(Protocol):
    """What finds rows that belong together."""

    def __call__(self, rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found: ...


# From the narrowest view to the widest: an edge is counted where it first joins two clusters.
VIEWS: Mapping[str, View] = {
    "exact": exact,
    "shared_prompt": shared_prompt,
    "group": group,
    "near": near,
    "stop": stop,
    "template": template,
    "paraphrase": paraphrase,
}


def find(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Iterator[Found]:
    """What every view finds, in the order of VIEWS."""
    for finder in VIEWS.values():
        yield finder(rows, settings, where)
