"""What rewards are told of a row besides prompt and completion: the known answer, and the row's other columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from whet.core.records import Prompt
from whet.rewards.signature import GIVEN

__all__ = ["columns_of", "row_columns"]

# What a ranked row said of its own completions is not about the ones that are judged.
_NOT_PASSED = GIVEN | {"ranks"}


def row_columns(prompt: Prompt) -> Mapping[str, Any]:
    """The columns of one row: `{"answer": "5", "level": 3}`; `answer` is None where none is known."""
    return {"answer": prompt.answer} | {
        name: value for name, value in prompt.columns.items() if name not in _NOT_PASSED
    }


def columns_of(prompts: Sequence[Prompt]) -> dict[str, list[Any]]:
    """Every column of any of the rows as a list, None where a row has no such column."""
    rows = [row_columns(prompt) for prompt in prompts]
    names = dict.fromkeys(["answer", *sorted({name for row in rows for name in row})])
    return {name: [row.get(name) for row in rows] for name in names}
