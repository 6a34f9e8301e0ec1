"""Which rows say the same, in the eyes of several views: every pair found is an edge with its kind, score and evidence.

Add a view: write a finder `(rows) -> edges` and put it into EDGE_FINDERS. A finder may join each row to one other of
its kind instead of naming every pair; the clusters come out the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from whet.core.records import Comparison, Conversation, Prompt, Ranking, Record, prompt_in
from whet.data.near import similar_pairs
from whet.data.text import Masker, canonical, name_frequencies, words

__all__ = ["EDGE_FINDERS", "FEWEST_PLAIN_WORDS", "Edge", "RowText", "asked", "find_edges", "names_of", "row_texts"]

# A template with fewer plain words says too little: "<num> + <num>" would join all of arithmetic.
FEWEST_PLAIN_WORDS = 6
# Two prompts are alike when this share of their runs of so many words is common to both.
_SIMILAR, _RUN = 0.7, 3
# A word is a name when at most this share of its uses is in lower case.
_LOWER_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RowText:
    """What is compared of one row: canonical prompt and completion, the template of the prompt (None: too short)."""

    id: str
    prompt: str
    completion: str
    template: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Rows `first` < `second` belong together: `Edge(kind="template", first=3, second=17, score=1.0, ...)`."""

    kind: str
    first: int
    second: int
    score: float
    evidence: str


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


def names_of(texts: Sequence[str]) -> dict[str, float]:
    """The words that count as names in a corpus, each with the share of its uses in lower case."""
    return {word: round(share, 4) for word, share in sorted(name_frequencies(texts).items()) if share <= _LOWER_SHARE}


def row_texts(records: Sequence[Record], names: Mapping[str, float]) -> list[RowText]:
    """Every record as the views see it; `names` are those of the whole corpus."""
    masker = Masker(names)
    rows = []
    for record in records:
        text = asked(record)
        form, plain_words = masker.form(text)
        template = form if plain_words >= FEWEST_PLAIN_WORDS else None
        rows.append(RowText(id=record.id, prompt=canonical(text), completion=_said(record), template=template))
    return rows


def _by_key(kind: str, keys: Iterator[str | None]) -> Iterator[Edge]:
    first_with: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key is None:
            continue
        first = first_with.setdefault(key, row)
        if first != row:
            yield Edge(kind=kind, first=first, second=row, score=1.0, evidence=key)


def exact(rows: Sequence[RowText]) -> Iterator[Edge]:
    """The same prompt and completion but for appearance."""
    return _by_key("exact", (f"{row.prompt}\x1e{row.completion}" for row in rows))


def shared_prompt(rows: Sequence[RowText]) -> Iterator[Edge]:
    """The same prompt but for appearance, whatever the completion."""
    return _by_key("shared_prompt", (row.prompt or None for row in rows))


def near(rows: Sequence[RowText]) -> Iterator[Edge]:
    """Prompts whose runs of 3 words, numbers kept, have a Jaccard similarity of at least 0.7."""
    return _similar("near", range(len(rows)), [words(row.prompt) for row in rows])


def template(rows: Sequence[RowText]) -> Iterator[Edge]:
    """The same prompt but for names and numbers, or runs of 3 masked words with a Jaccard similarity of at least 0.7.

    Right for binding what must not be parted, wrong for deleting: "6 blue, how many black" and "5 black, how many blue"
    are alike by it.
    """
    masked = [number for number, row in enumerate(rows) if row.template is not None]
    return _similar("template", masked, [(rows[number].template or "").split() for number in masked])


def _similar(kind: str, numbers: Sequence[int], texts: Sequence[Sequence[str]]) -> Iterator[Edge]:
    pairs = similar_pairs(texts, size=_RUN, threshold=_SIMILAR)
    for first, second, score in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.score.tolist(), strict=True):
        evidence = f"{score:.2f} of their runs of {_RUN} words" if score < 1 else " ".join(texts[first])
        yield Edge(kind=kind, first=numbers[first], second=numbers[second], score=score, evidence=evidence)


# From the narrowest view to the widest: an edge is counted where it first joins two clusters.
EDGE_FINDERS: Mapping[str, Callable[[Sequence[RowText]], Iterator[Edge]]] = {
    "exact": exact,
    "shared_prompt": shared_prompt,
    "near": near,
    "template": template,
}


def find_edges(rows: Sequence[RowText]) -> Iterator[Edge]:
    """The edges of every view, in the order of EDGE_FINDERS."""
    for finder in EDGE_FINDERS.values():
        yield from finder(rows)
