"""Known answers that contradict each other: one prompt, under the same system turns, with two different answers.

Nothing says which of them is right, so none is believed: such a row serves nothing that is scored by its answer, and
ranks no completion by it. It may still be imitated, as several completions of a prompt may be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from whet.core.records import Record, prompt_in
from whet.data.texts.canonical import canonical
from whet.data.texts.row_texts import RowTexts

__all__ = ["Contested", "find_contested", "plain_answer"]

_SHOWN = 10
_LONGEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """`by[r]` is the first row that asks what row r asks and has another known answer; `prompts` are so many."""

    by: Mapping[int, int]
    prompts: int

    def as_json(self, records: Sequence[Record]) -> dict[str, Any]:
        """How many there are, and some of them with their answers."""
        pairs = [(row, other) for row, other in self.by.items() if row < other][:_SHOWN]
        examples = [[_told(records[row]) for row in pair] for pair in pairs]
        return {"prompts": self.prompts, "rows": len(self.by), "examples": examples}


def find_contested(records: Sequence[Record], texts: RowTexts) -> Contested:
    """All rows whose known answer another row contradicts; answers that say the same number say the same."""
    rows_of: dict[bytes, list[int]] = {}
    for row, turns in enumerate(texts.turns):
        if turns and prompt_in(records[row]).answer is not None:
            rows_of.setdefault(turns, []).append(row)
    by: dict[int, int] = {}
    prompts = 0
    for rows in rows_of.values():
        if len(rows) == 1:
            continue
        first_with: dict[str, int] = {}
        answer_of = {row: plain_answer(prompt_in(records[row]).answer or "") for row in rows}
        for row, answer in answer_of.items():
            first_with.setdefault(answer, row)
        if len(first_with) > 1:
            prompts += 1
            first, second = list(first_with.values())[:2]
            by |= {row: second if answer == answer_of[first] else first for row, answer in answer_of.items()}
    return Contested(by=dict(sorted(by.items())), prompts=prompts)


def plain_answer(answer: str) -> str:
    """What an answer says, however it is written.

    >>> plain_answer("$1,200.50"), plain_answer("1200.5"), plain_answer(" Paris")
    ('1200.5', '1200.5', 'paris')
    """
    text = canonical(answer).removesuffix(".")
    try:
        number = Decimal(text.removeprefix("$").replace(",", ""))
        return f"{number.normalize():f}" if number.is_finite() and abs(number.adjusted()) < _LONGEST else text
    except InvalidOperation:
        return text


def _told(record: Record) -> dict[str, Any]:
    prompt = prompt_in(record)
    return {"source": prompt.origin.source, "row": prompt.origin.row, "answer": (prompt.answer or "")[:_LONGEST]}
