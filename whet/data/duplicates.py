"""Which rows belong together, in the eyes of several views: every pair found has its kind, its score and its evidence.

Add a view: write a finder `(rows, settings) -> Found` and put it into VIEWS. A finder may join each row to one other of
its kind instead of naming every pair; the clusters come out the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from whet.core.recipe import DataSettings
from whet.core.records import Comparison, Conversation, Prompt, Ranking, Record, prompt_in
from whet.data.near import Capped, Pairs, similar_pairs, similar_sets
from whet.data.runs import Integers, run_hashes, sets_of
from whet.data.text import FEWEST_PLAIN_WORDS, Masker, canonical
from whet.data.trees import TREE_COLUMN
from whet.data.words import Hashes, WordTable, name_hashes, names_of, template_words, word_tables

__all__ = [
    "RUN",
    "SIMILAR",
    "VIEWS",
    "Edge",
    "Found",
    "RowText",
    "asked",
    "find",
    "masked_pairs",
    "masked_runs",
    "row_texts",
]

# Two prompts are alike when this share of their runs of so many words is common to both.
SIMILAR, RUN = 0.7, 3
# Runs of words in more rows than this share of all, and than so many, say nothing: headers, few-shot blocks.
_STOP_SHARE, _STOP_ROWS = 0.002, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RowText:
    """What is compared of one row: the question, canonical prompt and completion, and what it must stay with."""

    id: str
    asked: str
    prompt: str
    completion: str
    groups: tuple[str, ...] = ()  # "column=value"


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


def asked(record: Record) -> str:
    """The prompt without its system turns, by which rows are compared: another system turn makes no other question.

    A row of plain text asks nothing; its text stands for its prompt.
    """
    prompt = prompt_in(record)
    turns = [turn for turn in prompt.messages if turn.role != "system"]
    if len(turns) == 1:
        return turns[0].content
    if turns:
        return "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
    return prompt.text or (record.completion if isinstance(record, Conversation) else "")


def _said(record: Record) -> str:
    match record:
        case Conversation():
            return canonical(record.completion)
        case Comparison():
            return f"{canonical(record.chosen)}\x1f{canonical(record.rejected)}"
        case Ranking():
            ranked = zip(record.ranks, record.completions, strict=True)
            return "\x1f".join(sorted(f"{rank}:{canonical(text)}" for rank, text in ranked))
        case Prompt():
            return canonical(record.answer or "")


def row_texts(records: Sequence[Record], group: str | None = None) -> list[RowText]:
    """Every record as the views see it; `group` is the column whose rows of one value belong together.

    The records of a conversation tree always do.
    """
    columns = [TREE_COLUMN] if group is None else [group, TREE_COLUMN]
    rows = []
    for record in records:
        text = asked(record)
        values = prompt_in(record).columns
        rows.append(
            RowText(
                id=record.id,
                asked=text,
                prompt=canonical(text),
                completion=_said(record),
                groups=tuple(f"{column}={values[column]}" for column in columns if values.get(column) is not None),
            )
        )
    return rows


def _by_key(kind: str, keys: Iterable[tuple[int, str]]) -> Found:
    """Every row with the first of its key."""
    first_with: dict[str, int] = {}
    pairs = []
    key_of: dict[tuple[int, int], str] = {}
    for row, key in keys:
        first = first_with.setdefault(key, row)
        if first != row:
            pairs.append((first, row, 1.0))
            key_of[first, row] = key
    return Found(kind=kind, pairs=pairs, evidence=lambda first, second, _score: key_of[first, second])


def exact(rows: Sequence[RowText], settings: DataSettings) -> Found:
    """The same prompt and completion but for appearance."""
    return _by_key("exact", ((number, f"{row.prompt}\x1e{row.completion}") for number, row in enumerate(rows)))


def shared_prompt(rows: Sequence[RowText], settings: DataSettings) -> Found:
    """The same prompt but for appearance, whatever the completion."""
    return _by_key("shared_prompt", ((number, row.prompt) for number, row in enumerate(rows) if row.prompt))


def group(rows: Sequence[RowText], settings: DataSettings) -> Found:
    """The same value of the column that `data.group` names, or the same conversation tree."""
    return _by_key("group", ((number, value) for number, row in enumerate(rows) for value in row.groups))


def near(rows: Sequence[RowText], settings: DataSettings) -> Found:
    """Prompts whose runs of 3 words, numbers kept, have a Jaccard similarity of at least 0.7."""
    pairs = similar_pairs([row.asked for row in rows], size=RUN, threshold=SIMILAR)
    return _similar("near", pairs, lambda score: f"{score:.2f} of their runs of {RUN} words")


def stop(rows: Sequence[RowText], settings: DataSettings) -> Found:
    """The same without the runs that very many rows share, so that a common header neither joins nor hides rows.

    Runs in more than 50 rows and 0.2 % of the rows do not count, unless fewer than 5 others remain.
    """
    most = max(_STOP_ROWS, int(_STOP_SHARE * len(rows)))
    tables = word_tables([row.asked for row in rows])
    sets = sets_of(((*run_hashes(table, RUN), table.rows) for table in tables), most_sets=most)
    pairs = similar_sets(sets, threshold=SIMILAR)
    return _similar(
        "stop", pairs, lambda score: f"{score:.2f} of their runs of {RUN} words, those of many rows left out"
    )


def template(rows: Sequence[RowText], settings: DataSettings) -> Found:
    """The same prompt but for names and numbers, or runs of 3 masked words with a Jaccard similarity of at least 0.7.

    Right for binding what must not be parted, wrong for deleting: "6 blue, how many black" and "5 black, how many blue"
    are alike by it.
    """
    texts = [row.asked for row in rows]
    names = names_of(texts)
    masker = Masker(names)
    found = _similar("template", masked_pairs(texts, list(names)), str)

    def evidence(first: int, second: int, score: float) -> str:
        return masker.form(texts[first])[0] if score == 1 else f"{score:.2f} of their runs of {RUN} masked words"

    return Found(kind="template", pairs=found.pairs, evidence=evidence, method=found.method, capped=found.capped)


def masked_pairs(texts: Sequence[str], names: Sequence[str]) -> Pairs:
    """The pairs that are alike when numbers and names are masked; a text with too few other words is like none."""
    return similar_sets(sets_of(masked_runs(word_tables(texts), name_hashes(names))), threshold=SIMILAR)


def masked_runs(tables: Iterable[WordTable], names: Hashes) -> Iterator[tuple[Integers, Hashes, int]]:
    """The row and the hash of every run of masked words, part by part; `names` as `name_hashes` gives them."""
    for table in tables:
        masked, plain_R = template_words(table, names)
        row, run = run_hashes(masked, RUN)
        says_enough = plain_R[row] >= FEWEST_PLAIN_WORDS
        yield row[says_enough], run[says_enough], table.rows


def paraphrase(rows: Sequence[RowText], settings: DataSettings) -> Found:
    """The same question in other words, by rare words and numbers or by a sentence encoder; see `data.paraphrase`."""
    import importlib.util

    if importlib.util.find_spec("whet.data.paraphrase") is None:
        return Found(kind="paraphrase", pairs=[], evidence=lambda _first, _second, _score: "", method="off")
    from whet.data.paraphrase import rephrased_pairs

    texts = [row.asked for row in rows]
    if settings.paraphrase == "off":
        return Found(kind="paraphrase", pairs=[], evidence=lambda _first, _second, _score: "", method="off")
    if settings.paraphrase == "words":
        pairs = rephrased_pairs(texts)
    else:
        from whet.data.embed import rephrased_pairs as encoded_pairs

        pairs = encoded_pairs(texts, settings.paraphrase)
    return _similar("paraphrase", pairs, lambda score: f"similarity {score:.2f}")


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


# From the narrowest view to the widest: an edge is counted where it first joins two clusters.
VIEWS: Mapping[str, Callable[[Sequence[RowText], DataSettings], Found]] = {
    "exact": exact,
    "shared_prompt": shared_prompt,
    "group": group,
    "near": near,
    "stop": stop,
    "template": template,
    "paraphrase": paraphrase,
}


def find(rows: Sequence[RowText], settings: DataSettings) -> Iterator[Found]:
    """What every view finds, in the order of VIEWS."""
    for finder in VIEWS.values():
        yield finder(rows, settings)
