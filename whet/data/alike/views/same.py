"""Rows with something in common as it stands: all of it, the prompt, a group."""

from whet.core.recipe import DataSettings
from whet.data.alike.views.found import Found, by_key
from whet.data.space.where import HERE, Where
from whet.data.texts.canonical import canonical
from whet.data.texts.row_texts import RowTexts

__all__ = ["exact", "group", "shared_prompt"]


def exact(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same turns, those of the system too, and the same completion but for appearance."""
    keys = enumerate(zip(rows.turns, rows.completion, strict=True))
    return by_key("exact", keys, lambda row: canonical(rows.asked[row]))


def shared_prompt(rows: RowTexts, settings: DataSettings, where: Where = HERE) -> Found:
    """The same prompt but for appearance, whatever the system turns and the completion."""
    keys = ((row, prompt) for row, prompt in enumerate(rows.prompt) if prompt)
    return by_key("shared_prompt", keys, lambda row: canonical(rows.asked[row]))


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
