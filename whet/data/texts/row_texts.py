"""What is compared of many rows, column by column: what they ask, and digests of what must be equal as a whole."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from whet.core.records import Comparison, Conversation, Prompt, Ranking, Record, prompt_in
from whet.data.layouts.trees import TREE_COLUMN
from whet.data.texts.canonical import canonical

__all__ = ["Asked", "RowTexts", "asked", "row_texts"]


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


class Asked(Sequence[str]):
    """What each record asks, made when it is looked at: the records may lie on disk."""

    def __init__(self, records: Sequence[Record], rows: Sequence[int] | None = None) -> None:
        """`rows` are those that are looked at, in this order; None for all."""
        self._records = records
        self._rows = range(len(records)) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [asked(self._records[row]) for row in self._rows[place]]
        return asked(self._records[self._rows[place]])

    def at(self, rows: Sequence[int]) -> "Asked":
        """What these rows ask."""
        return Asked(self._records, [self._rows[row] for row in rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTexts:
    """Row r asks `asked[r]`; `prompt[r]` and `completion[r]` are equal for rows that are the same but for appearance.

    They are 16 bytes of a hash of the canonical text (two texts share one with a probability of 2^-128), so that memory
    holds no second copy of the texts; `words_R[r]` counts the words of the prompt.
    """

    id: Sequence[str]
    asked: Asked
    prompt: Sequence[bytes]  # b"" where nothing is asked
    completion: Sequence[bytes]
    words_R: npt.NDArray[np.int64]
    groups: Sequence[tuple[str, ...]]  # "column=value", of what the row must stay with

    def __len__(self) -> int:
        return len(self.id)

    def taken(self, rows: Sequence[int]) -> "RowTexts":
        """These rows alone, in this order."""
        return RowTexts(
            id=[self.id[row] for row in rows],
            asked=self.asked.at(rows),
            prompt=[self.prompt[row] for row in rows],
            completion=[self.completion[row] for row in rows],
            words_R=self.words_R[list(rows)],
            groups=[self.groups[row] for row in rows],
        )


def row_texts(records: Sequence[Record], group: str | None = None) -> RowTexts:
    """Every record as the views see it; `group` is the column whose rows of one value belong together.

    The records of a conversation tree always do.
    """
    columns = [TREE_COLUMN] if group is None else [group, TREE_COLUMN]
    ids, prompts, completions, groups = [], [], [], []
    words_R = np.zeros(len(records), dtype=np.int64)
    for row, record in enumerate(records):
        values = prompt_in(record).columns
        prompt = canonical(asked(record))
        ids.append(record.id)
        prompts.append(_digest(prompt) if prompt else b"")
        completions.append(_digest(_said(record)))
        words_R[row] = len(prompt.split())
        groups.append(tuple(f"{column}={values[column]}" for column in columns if values.get(column) is not None))
    return RowTexts(
        id=ids,
        asked=Asked(records),
        prompt=prompts,
        completion=completions,
        words_R=words_R,
        groups=groups,
    )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


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
