"""Which rows belong together: edges found by several views, joined into clusters that are never parted.

Add a view: write an edge finder `(views) -> keys`, one key per row or None, and put it into VIEWS. Rows with the same
key are joined, and every edge keeps the kind of view that found it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from whet.core.records import Comparison, Conversation, Ranking, Record, prompt_in
from whet.data.text import Masker, canonical, name_frequencies

__all__ = ["VIEWS", "Clusters", "TextViews", "cluster", "exact_key", "names_of", "views_of"]

# A template with fewer plain words says too little: "<num> + <num>" would join all of arithmetic.
_FEWEST_PLAIN_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TextViews:
    """One row as the views see it; `masker` knows the words that count as names in the whole corpus."""

    prompt: str
    completion: str
    masker: Masker


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """`of_row[i]` is the first row of row i's cluster; `edges` counts the joins that each view made."""

    of_row: tuple[int, ...]
    edges: Mapping[str, int]
    joined_by: Mapping[int, str]  # row -> the view that first joined it to an earlier one

    @property
    def members(self) -> dict[int, list[int]]:
        groups: dict[int, list[int]] = {}
        for row, first in enumerate(self.of_row):
            groups.setdefault(first, []).append(row)
        return groups


def _completion_of(record: Record) -> str:
    match record:
        case Conversation():
            return record.completion
        case Comparison():
            return f"{record.chosen}\x1f{record.rejected}"
        case Ranking():
            return "\x1f".join(map("{}:{}".format, record.ranks, record.completions))
        case _:
            return record.answer or ""


def exact_key(row: TextViews) -> str | None:
    """The same prompt and completion but for appearance."""
    return f"{canonical(row.prompt)}\x1f{canonical(row.completion)}"


def _shared_prompt(row: TextViews) -> str | None:
    return canonical(row.prompt) or None


def _template(row: TextViews) -> str | None:
    form, plain_words = row.masker.form(row.prompt)
    return form if plain_words >= _FEWEST_PLAIN_WORDS else None


# From the narrowest view to the widest: an edge is counted where it is first found.
VIEWS: Mapping[str, Callable[[TextViews], str | None]] = {
    "exact": exact_key,
    "shared_prompt": _shared_prompt,
    "template": _template,
}


def names_of(texts: Sequence[str]) -> dict[str, float]:
    """The words that count as names: at most 5 % of their uses are in lower case."""
    return {word: round(ratio, 4) for word, ratio in sorted(name_frequencies(texts).items()) if ratio <= 0.05}


def views_of(records: Sequence[Record], names: Mapping[str, float]) -> list[TextViews]:
    """Every record as the views see it."""
    masker = Masker(names)
    return [TextViews(prompt=prompt_in(row).text, completion=_completion_of(row), masker=masker) for row in records]


def cluster(rows: Sequence[TextViews]) -> Clusters:
    """Union-find over the edges of every view; linear in the rows."""
    parent = list(range(len(rows)))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    edges: Counter[str] = Counter(dict.fromkeys(VIEWS, 0))
    joined_by: dict[int, str] = {}
    for name, view in VIEWS.items():
        first_with: dict[str, int] = {}
        for row, views in enumerate(rows):
            key = view(views)
            if key is None:
                continue
            a, b = find(first_with.setdefault(key, row)), find(row)
            if a != b:
                parent[max(a, b)] = min(a, b)
                edges[name] += 1
                joined_by.setdefault(row, name)
    return Clusters(of_row=tuple(find(row) for row in range(len(rows))), edges=dict(edges), joined_by=joined_by)
