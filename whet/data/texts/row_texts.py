"""What is compared of many rows, column by column: what they ask, and digests of what must be equal as a whole.

Two questions, two keys. *May these rows be parted?* Not when they ask the same, whatever the system turns: `prompt`.
*May one of them go?* Only when all turns are the same: `turns`. Where very many rows ask one thing under different
system turns, it is these that ask: a text to be judged in the system turn, one question below it.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from whet.core.records import Comparison, Conversation, Prompt, Ranking, Record, prompt_in
from whet.data.layouts.trees import TREE_COLUMN
from whet.data.space.where import HERE, Where
from whet.data.texts.canonical import canonical
from whet.data.texts.passages import OwnWords, Passages, learn, most_texts, own_words

__all__ = ["Asked", "RowTexts", "asked", "asking", "row_texts"]


def asked(record: Record, *, with_system: bool = False) -> str:
    """The prompt without its system turns, by which rows are compared: another system turn makes no other question.

    A row of plain text asks nothing; its text stands for its prompt.
    """
    prompt = prompt_in(record)
    turns = [turn for turn in prompt.messages if with_system or turn.role != "system"]
    if len(turns) == 1:
        return turns[0].content
    if turns:
        return "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
    return prompt.text or (record.completion if isinstance(record, Conversation) else "")


class Asked(Sequence[str]):
    """What each record asks, made when it is looked at: the records may lie on disk."""

    def __init__(
        self, records: Sequence[Record], rows: Sequence[int] | None = None, *, with_system: Collection[int] = ()
    ) -> None:
        """`rows` are looked at, in this order, None for all; those in `with_system` ask by all their turns."""
        self._records = records
        self._rows = range(len(records)) if rows is None else rows
        self._with_system = with_system

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self._asked(row) for row in self._rows[place]]
        return self._asked(self._rows[place])

    def _asked(self, row: int) -> str:
        return asked(self._records[row], with_system=row in self._with_system)

    @property
    def with_system(self) -> int:
        """How many rows ask by their system turns too."""
        return len(self._with_system)

    def at(self, rows: Sequence[int]) -> "Asked":
        """What these rows ask."""
        return Asked(self._records, [self._rows[row] for row in rows], with_system=self._with_system)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTexts:
    """Row r asks `asked[r]`, and by its own words, without what very many rows share, `own[r]`.

    `prompt[r]`, `turns[r]` and `completion[r]` are equal for rows of which what they ask, all turns before the answer,
    and what answers are the same but for appearance: 16 bytes of a hash of the canonical text (two texts share one with
    a probability of 2^-128), so that memory holds no second copy of the texts. `words_R[r]` counts the words of what is
    asked.
    """

    id: Sequence[str]
    asked: Asked
    own: OwnWords
    passages: Passages  # what the own words lack, as it was learnt from these rows
    prompt: Sequence[bytes]  # b"" where nothing is asked
    turns: Sequence[bytes]
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
            own=self.own.at(rows),
            passages=self.passages,
            prompt=[self.prompt[row] for row in rows],
            turns=[self.turns[row] for row in rows],
            completion=[self.completion[row] for row in rows],
            words_R=self.words_R[list(rows)],
            groups=[self.groups[row] for row in rows],
        )


def row_texts(records: Sequence[Record], group: str | None = None, where: Where = HERE) -> RowTexts:
    """Every record as the views see it; `group` is the column whose rows of one value belong together.

    The records of a conversation tree always do.
    """
    columns = [TREE_COLUMN] if group is None else [group, TREE_COLUMN]
    ids, prompts, turns, completions, groups = [], [], [], [], []
    words_R = np.zeros(len(records), dtype=np.int64)
    for row, record in enumerate(records):
        values = prompt_in(record).columns
        prompt = canonical(asked(record))
        ids.append(record.id)
        prompts.append(_digest(prompt) if prompt else b"")
        turns.append(_all_turns(record, prompts[-1]))
        completions.append(_digest(_said(record)))
        words_R[row] = len(prompt.split())
        groups.append(tuple(f"{column}={values[column]}" for column in columns if values.get(column) is not None))
    with_system = _by_system(prompts, turns)
    for row in with_system:
        prompts[row] = turns[row]
        words_R[row] = len(asked(records[row], with_system=True).split())
    everything = Asked(records, with_system=with_system)
    passages = learn(everything.at(_firsts(prompts)), where)
    return RowTexts(
        id=ids,
        asked=everything,
        own=own_words(everything, passages, where),
        passages=passages,
        prompt=prompts,
        turns=turns,
        completion=completions,
        words_R=words_R,
        groups=groups,
    )


def _all_turns(record: Record, prompt: bytes) -> bytes:
    """That of the prompt where there is no system turn."""
    system = [turn.content for turn in prompt_in(record).messages if turn.role == "system"]
    return _digest("\x1f".join([prompt.hex(), *map(canonical, system)])) if system else prompt


def asking(records: Sequence[Record]) -> Asked:
    """What each record asks, where very many ask the same by their system turns too."""
    prompts = [_digest(canonical(asked(record))) for record in records]
    turns = [_all_turns(record, prompt) for record, prompt in zip(records, prompts, strict=True)]
    return Asked(records, with_system=_by_system(prompts, turns))


def _by_system(prompts: Sequence[bytes], turns: Sequence[bytes]) -> frozenset[int]:
    """The rows whose prompt stands under more different system turns than a run of words may stand in texts."""
    fewest, uses = most_texts(0), Counter(prompts)
    often = [row for row, prompt in enumerate(prompts) if prompt and uses[prompt] > fewest]
    under = Counter(prompt for prompt, _ in {(prompts[row], turns[row]) for row in often})
    if max(under.values(), default=0) <= fewest:
        return frozenset()
    most = most_texts(len(set(turns)))
    return frozenset(row for row in often if under[prompts[row]] > most)


def _firsts(prompts: Sequence[bytes]) -> list[int]:
    """The first row of each prompt."""
    first_of: dict[bytes, int] = {}
    for row, prompt in enumerate(prompts):
        if prompt:
            first_of.setdefault(prompt, row)
    return list(first_of.values())


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
