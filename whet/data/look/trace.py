"""Which prepared rows a text, or a row, is or resembles, in the eyes of the views that bind splits.

A text is compared with every prompt in one pass in numpy, without joining the corpus again: exact, near and template
as `whet.data.alike.views` means them. What the other views found (shared groups, common runs left out, paraphrases) is
read from the recorded edges of the rows that it is.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from whet.core.errors import DataError
from whet.core.files import content_id
from whet.core.records import PURPOSES, Conversation, Message, Origin, Prompt
from whet.data.alike.views.found import RUN, SIMILAR
from whet.data.look.view import FEWEST_DIGITS, Prepared
from whet.data.manifest import UNUSED
from whet.data.texts.canonical import FEWEST_PLAIN_WORDS, LOWER_SHARE, NOT_NAMES, canonical
from whet.data.texts.row_texts import asked, row_texts
from whet.data.texts.runs import Integers, run_hashes
from whet.data.texts.words import Hashes, WordTable, is_member, template_words, word_hashes, word_tables

__all__ = ["Alike", "FoundBy", "find"]

FoundBy = Literal[
    "id", "exact", "shared_prompt", "completion", "near", "stop", "template", "paraphrase", "group", "cluster"
]
_KINDS: tuple[FoundBy, ...] = get_args(FoundBy)
_ID = re.compile(rf"[0-9a-f]{{{FEWEST_DIGITS},16}}")
_WHOLE = 16
_SUGGESTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """A row that is what was asked for or like it, by its place in the manifest's list.

    `Alike(place=17, kind="near", score=0.83)`: `score` is the similarity, None for a row that is only in the same
    cluster, over other rows.
    """

    place: int
    kind: FoundBy
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What every row asks, and by which of its own words it is compared; `own_of` gives those of another text."""

    texts: Sequence[str]
    own: Sequence[str]
    own_of: Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turns:
    """The turns of every row before its answer, flat: those of row r stand from `starts[r]` to `starts[r + 1]`.

    `places[r]` is the row's place in the manifest's list, `said[r]` its completion and `answers[r]` its known answer,
    None where there is none.
    """

    places: Sequence[int]
    starts: Sequence[int]
    roles: Sequence[str]
    contents: Sequence[str]
    said: Sequence[str | None]
    answers: Sequence[str | None]

    def of(self, row: int) -> list[tuple[Any, str]]:
        start, end = self.starts[row], self.starts[row + 1]
        return list(zip(self.roles[start:end], self.contents[start:end], strict=True))

    def asked(self, row: int) -> str:
        """What the row asks, as `row_texts.asked` has it."""
        start, end = self.starts[row], self.starts[row + 1]
        return self.contents[start] if end - start == 1 else asked(self.record(row))

    def record(self, row: int) -> Prompt | Conversation:
        """What asks, and the completion; of a comparison or a ranking the prompt alone."""
        messages = tuple(Message(role=role, content=content) for role, content in self.of(row))
        prompt = Prompt(messages=messages, origin=Origin(source="", row=row))
        said = self.said[row]
        return prompt if said is None else Conversation(prompt=prompt, completion=said)

    def prompt_id(self, row: int) -> str:
        """As `Prompt.id`, without making a prompt."""
        answer = self.answers[row]
        known = () if answer is None else ("answer", answer)
        return content_id("prompt", *(part for turn in self.of(row) for part in turn), *known)


def _turns(prepared: Prepared) -> _Turns:
    """Every row's turns, read as columns: rows read as records cost ten times as much."""
    of_file: dict[str, list[int]] = {name: [] for name in (*PURPOSES, UNUSED)}
    for place, row in enumerate(prepared.rows):
        of_file[row["purpose"] or UNUSED].append(place)
    places: list[int] = []
    starts: list[int] = [0]
    roles: list[str] = []
    contents: list[str] = []
    said: list[str | None] = []
    answers: list[str | None] = []
    for name, wanted in of_file.items():
        path = prepared.data_dir / f"{name}.parquet"
        ids, ends, of_roles, of_contents, of_said, of_answers = _columns(path)
        if ids != [prepared.rows[place]["id"] for place in wanted]:
            raise DataError(
                f"{path}: its rows are not those of the manifest; "
                f"prove the folder with: whet data check {prepared.data_dir}"
            )
        said += of_said
        answers += of_answers
        starts += [len(contents) + end for end in ends]
        places += wanted
        roles += of_roles
        contents += of_contents
    return _Turns(places=places, starts=starts, roles=roles, contents=contents, said=said, answers=answers)


def _columns(path: Path) -> tuple[list[str], list[int], list[str], list[str], list[str | None], list[str | None]]:
    """A file's ids, where each row's turns end, their roles and contents, the completions and the known answers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read(columns=["id", "messages", "completion", "answer"])
        messages = table["messages"].combine_chunks()
        ends = messages.offsets.to_pylist()[1:]
        roles, contents = (messages.values.field(part).to_pylist() for part in ("role", "content"))
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: damaged or altered ({reason}); prepare the data again") from error
    said, answers = (table[name].to_pylist() for name in ("completion", "answer"))
    return table["id"].to_pylist(), ends, roles, contents, said, answers


def find(prepared: Prepared, wanted: str) -> list[Alike]:
    """The rows that have this id, or their prompt, or their cluster; or that ask this text; then those like them.

    An id is 16 hexadecimal digits, or its first 6 or more if no other id begins with them. The likest come first.
    """
    word = wanted.strip()
    turns = _turns(prepared)
    named = _named(prepared, turns, word) if _ID.fullmatch(word) else []
    if not named and _ID.fullmatch(word) and len(word) == _WHOLE:
        return []
    row_named = turns.places.index(named[0]) if named else None
    asking = _asking(prepared, turns)
    text = wanted if row_named is None else asking.texts[row_named]
    found = {row.place: row for row in _beside(turns.places, asking, text)}
    if row_named is None:
        found = {place: Alike(place=place, kind="completion", score=1.0) for place in _saying(turns, wanted)} | found
    else:
        found |= {row.place: row for row in _otherwise_completed(turns, row_named, found)}
        found |= {place: Alike(place=place, kind="id", score=1.0) for place in named}
    anchors = {place for place, row in found.items() if row.kind in ("id", "exact")}
    found = {row.place: row for row in _mates(prepared, anchors)} | found
    return sorted(found.values(), key=lambda row: (_KINDS.index(row.kind), -(row.score or 0.0), row.place))


def _asking(prepared: Prepared, turns: _Turns) -> _Asked:
    """As the views saw it: passages that very many rows share are learnt again where preparation found any."""
    rows = range(len(turns.places))
    if not any(prepared.manifest["passages"][name] for name in ("rows", "by system turns")):
        texts = [turns.asked(row) for row in rows]
        return _Asked(texts=texts, own=texts, own_of=lambda text: text)
    seen = row_texts([turns.record(row) for row in rows])
    return _Asked(texts=seen.asked[:], own=seen.own[:], own_of=lambda text: seen.passages.own([text])[0])


def _saying(turns: _Turns, text: str) -> Iterator[int]:
    """The rows whose completion is this text but for appearance."""
    same = canonical(text)

    def may_be(said: str) -> bool:
        """Of an ASCII text only case and spaces go, so most are turned away by their length or first letter."""
        return not said.isascii() or (len(said) >= len(same) and said.lstrip()[:1].casefold() == same[:1])

    for place, said in zip(turns.places, turns.said, strict=True):
        if said and may_be(said) and canonical(said) == same:
            yield place


def _otherwise_completed(turns: _Turns, named: int, found: Mapping[int, Alike]) -> Iterator[Alike]:
    """Of the rows that ask the same as the row that was named: those that say something else."""
    row_of = {place: row for row, place in enumerate(turns.places)}
    own = canonical(turns.said[named] or "")
    for row in found.values():
        if row.kind == "exact" and canonical(turns.said[row_of[row.place]] or "") != own:
            yield replace(row, kind="shared_prompt")


def _named(prepared: Prepared, turns: _Turns, word: str) -> list[int]:
    """The places of the rows with this id, of those with this prompt, or of the first row of this cluster."""
    by_id: dict[str, list[int]] = {}
    clusters: dict[str, list[int]] = {}
    for place, row in enumerate(prepared.rows):
        if row["id"].startswith(word):
            by_id.setdefault(row["id"], []).append(place)
        if row["cluster"].startswith(word):
            clusters.setdefault(row["cluster"], [place])
    if not by_id or len(word) < _WHOLE:
        for number, place in enumerate(turns.places):
            if (id_ := turns.prompt_id(number)).startswith(word):
                by_id.setdefault(id_, []).append(place)
    by_id = clusters | by_id
    if len(by_id) > 1:
        known = ", ".join(sorted(by_id)[:_SUGGESTED])
        raise DataError(f"{len(by_id)} ids begin with {word!r}, such as {known}; give more digits")
    return next(iter(by_id.values()), [])


def _beside(places: Sequence[int], asking: _Asked, text: str) -> Iterator[Alike]:
    """The rows whose text is the same as this one, near to it, or of the same template."""
    same = canonical(text)
    near: dict[int, float] = {}
    template: dict[int, float] = {}
    tables = list(word_tables([asking.own_of(text), *asking.own]))
    names = _names(tables)
    own, own_masked = (
        np.unique(run[row == 0]) for row, run in (_runs_of(tables[0]), _masked_runs_of(tables[0], names))
    )
    first = -1  # the text itself stands before the rows
    for table in tables:
        near |= _similar(own, first, *_runs_of(table))
        template |= _similar(own_masked, first, *_masked_runs_of(table, names))
        first += table.rows
    # A text without words resembles none; it may still be the same.
    maybe = list(near) if len(own) else range(len(asking.texts))
    for row in maybe:
        if row >= 0 and canonical(asking.texts[row]) == same:
            near.pop(row, None)
            template.pop(row, None)
            yield Alike(place=places[row], kind="exact", score=1.0)
    yield from (Alike(place=places[row], kind="template", score=template[row]) for row in template if row >= 0)
    yield from (Alike(place=places[row], kind="near", score=near[row]) for row in near if row >= 0)


def _runs_of(table: WordTable) -> tuple[Integers, Hashes]:
    return run_hashes(table, RUN)


def _masked_runs_of(table: WordTable, names: Hashes) -> tuple[Integers, Hashes]:
    masked, plain_R = template_words(table, names)
    row, run = run_hashes(masked, RUN)
    says_enough = plain_R[row] >= FEWEST_PLAIN_WORDS
    return row[says_enough], run[says_enough]


def _similar(own: Hashes, first: int, row: Integers, run: Hashes) -> dict[int, float]:
    """Each row with a Jaccard similarity of at least `SIMILAR` to the runs in `own`, and how much it is.

    Such a row has at least that share of `own`, so few rows are counted run by run.
    """
    found: dict[int, float] = {}
    hits = np.bincount(row[is_member(run, own)], minlength=1)
    for place in np.flatnonzero(hits >= max(1, SIMILAR * len(own) - 1e-9)).tolist():
        others = np.unique(run[row == place])
        shared = len(np.intersect1d(own, others, assume_unique=True))
        score = shared / (len(own) + len(others) - shared)
        if score >= SIMILAR - 1e-12:
            found[first + place] = score
    return found


def _names(tables: Sequence[WordTable]) -> Hashes:
    """The hashes of the words that count as names, those of `names_of(texts)`, without spelling them."""
    capital, upper = np.unique(
        np.concatenate([table.word_W[table.is_capital_W] for table in tables]), return_counts=True
    )
    small = np.sort(np.concatenate([table.word_W[~table.is_digits_W & ~table.is_capital_W] for table in tables]))
    lower = np.searchsorted(small, capital, side="right") - np.searchsorted(small, capital, side="left")
    names = capital[lower / np.maximum(1, lower + upper) <= LOWER_SHARE]
    return np.asarray(names[~np.isin(names, word_hashes(sorted(NOT_NAMES)))])


def _mates(prepared: Prepared, anchors: Set[int]) -> Iterator[Alike]:
    """The other rows of the clusters of these, by the edge that ties them to one of these if there is one."""
    clusters = {prepared.rows[place]["cluster"] for place in anchors}
    mates = {place for place, row in enumerate(prepared.rows) if row["cluster"] in clusters} - anchors
    if not mates:
        return
    edges: dict[int, Alike] = {}
    for edge in prepared.edges:
        for place, other in ((edge.first, edge.second), (edge.second, edge.first)):
            if place in mates and other in anchors and edge.kind in _KINDS:
                edges.setdefault(place, Alike(place=place, kind=edge.kind, score=edge.score))
    for place in sorted(mates):
        yield edges.get(place) or Alike(place=place, kind="cluster", score=None)
