"""Looking at prepared data: rows, clusters side by side with the difference marked, and where a text went."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

from whet.core.errors import DataError, did_you_mean
from whet.core.records import PURPOSES, Comparison, Conversation, Message, Origin, Prompt, Ranking, prompt_in
from whet.data.manifest import UNUSED, StoredRow, read_manifest, read_rows
from whet.data.row_texts import asked, row_texts
from whet.data.text import FEWEST_PLAIN_WORDS, Masker, shingles
from whet.data.words import names_of

__all__ = ["Found", "Piece", "RowView", "as_text", "cluster_view", "purpose_view", "trace"]

FoundBy = Literal["id", "exact", "template", "near"]
_KINDS: tuple[FoundBy, ...] = get_args(FoundBy)
_ID = re.compile(r"[0-9a-f]{16}")
_SPACES = re.compile(r"(\s+)")
# A near copy shares at least this share of its runs of three words.
_NEAR = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a text; `is_changed` says that the row it is compared with reads otherwise here."""

    text: str
    is_changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowView:
    """A row as it is shown. `prompt` is in pieces when the row is compared with the first of its cluster."""

    id: str
    source: str
    row: int
    cluster: str
    purpose: str | None
    reason: str
    slice: str
    prompt: tuple[Piece, ...]
    completions: tuple[str, ...]
    answer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row that an id or a text led to: `Found(view=..., kind="near", score=0.83)`."""

    view: RowView
    kind: FoundBy
    score: float


def as_text(view: RowView, *, mark: Callable[[str], str] = "[{}]".format) -> str:
    """A row for the terminal: what is changed goes through `mark`; control characters become a replacement mark."""
    asking = "".join(mark(_clean(piece.text)) if piece.is_changed else _clean(piece.text) for piece in view.prompt)
    lines = [
        f"{view.id}  {_clean(view.source)} row {view.row}  {view.purpose or UNUSED}: {_clean(view.reason)}",
        f"  prompt      {asking}",
        *(f"  completion  {_clean(text)}" for text in view.completions),
    ]
    if view.answer is not None:
        lines.append(f"  answer      {_clean(view.answer)}")
    return "\n".join(lines)


def _clean(text: str) -> str:
    """Row text is a stranger's: no escape sequence of it may reach a terminal."""
    return "".join(mark if mark.isprintable() or mark in "\n\t" else "\ufffd" for mark in text)


def purpose_view(data_dir: Path, purpose: str, *, count: int) -> list[RowView]:
    """The first `count` rows of a purpose, or of `unused`."""
    if purpose not in (*PURPOSES, UNUSED):
        raise DataError(f"no purpose {purpose!r}{did_you_mean(purpose, (*PURPOSES, UNUSED))}")
    reasons = _reasons(data_dir)
    return [_view(row, purpose, reasons) for row in islice(read_rows(data_dir, purpose), count)]


def cluster_view(data_dir: Path, cluster: str) -> list[RowView]:
    """All rows of a cluster, wherever they are, each compared word by word with the first."""
    reasons = _reasons(data_dir)
    rows = [(name, row) for name, row in _all_rows(data_dir) if row.cluster == cluster]
    if not rows:
        raise DataError(f"{data_dir}: no cluster {cluster!r}; the manifest lists each row's cluster")
    rows.sort(key=lambda pair: (pair[1].id != cluster, pair[0], prompt_in(pair[1].record).origin.row))
    first = prompt_in(rows[0][1].record).text
    return [
        _view(row, name, reasons, prompt=_marked(first, prompt_in(row.record).text) if place else None)
        for place, (name, row) in enumerate(rows)
    ]


def trace(data_dir: Path, wanted: str, *, count: int = 5) -> list[Found]:
    """Where a row or its near copies went: by the id of a row, prompt or cluster, or by text, the nearest first.

    A text is compared with every prompt: the same but for appearance, the same but for names and numbers, or at least
    half of the runs of three words in common (Jaccard).
    """
    rows = list(_all_rows(data_dir))
    reasons = _reasons(data_dir)
    id_ = wanted.strip()
    if _ID.fullmatch(id_):
        named = [pair for pair in rows if id_ in (pair[1].id, prompt_in(pair[1].record).id, pair[1].cluster)]
        return [Found(view=_view(row, name, reasons), kind="id", score=1.0) for name, row in named]
    similar = _similar(wanted, [row for _, row in rows])
    return [
        Found(view=_view(rows[place][1], rows[place][0], reasons), kind=kind, score=score)
        for kind, score, place in similar[:count]
    ]


def _similar(wanted: str, rows: Sequence[StoredRow]) -> list[tuple[FoundBy, float, int]]:
    """Kind, score and place of every row that is like the text, the likest first."""
    query = Prompt(messages=(Message(role="user", content=wanted),), origin=Origin(source="query", row=0))
    texts = row_texts([*(row.record for row in rows), query])
    masker = Masker(names_of(texts.asked[:-1]))
    wanted_key = texts.prompt[-1]
    form, plain_words = masker.form(wanted)
    runs = set(shingles(wanted, 3))
    found: list[tuple[FoundBy, float, int]] = []
    for place, row in enumerate(rows):
        others = set(shingles(asked(row.record), 3))
        shared = len(runs & others) / max(1, len(runs | others))
        if wanted_key in (texts.prompt[place], texts.completion[place]):
            found.append(("exact", 1.0, place))
        elif plain_words >= FEWEST_PLAIN_WORDS and form == masker.form(texts.asked[place])[0]:
            found.append(("template", shared, place))
        elif shared >= _NEAR:
            found.append(("near", shared, place))
    return sorted(found, key=lambda entry: (_KINDS.index(entry[0]), -entry[1], entry[2]))


def _all_rows(data_dir: Path) -> Iterator[tuple[str, StoredRow]]:
    for name in (*PURPOSES, UNUSED):
        for row in read_rows(data_dir, name):
            yield name, row


def _reasons(data_dir: Path) -> dict[tuple[str, int], str]:
    return {(row["source"], row["row"]): row["reason"] for row in read_manifest(data_dir)["rows"]}


def _view(
    row: StoredRow, name: str, reasons: Mapping[tuple[str, int], str], *, prompt: tuple[Piece, ...] | None = None
) -> RowView:
    asking = prompt_in(row.record)
    return RowView(
        id=row.id,
        source=asking.origin.source,
        row=asking.origin.row,
        cluster=row.cluster,
        purpose=None if name == UNUSED else name,
        reason=reasons.get((asking.origin.source, asking.origin.row), "not in the manifest"),
        slice=asking.slice,
        prompt=prompt if prompt is not None else (Piece(text=asking.text, is_changed=False),),
        completions=_completions(row),
        answer=asking.answer,
    )


def _completions(row: StoredRow) -> tuple[str, ...]:
    """What a stage learns from it, the best first."""
    record = row.ranking or row.record
    match record:
        case Conversation():
            return (record.completion,)
        case Comparison():
            return (record.chosen, record.rejected)
        case Ranking():
            order = sorted(range(len(record.ranks)), key=lambda place: record.ranks[place])
            return tuple(record.completions[place] for place in order)
        case _:
            return ()


def _marked(first: str, other: str) -> tuple[Piece, ...]:
    """The other text in pieces; changed are the words that the first text does not have there."""
    before, after = _SPACES.split(first), _SPACES.split(other)
    pieces = []
    for operation, _, _, start, end in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if start < end:
            pieces.append(Piece(text="".join(after[start:end]), is_changed=operation != "equal"))
    return tuple(pieces)
