"""Two texts side by side: which words of each the other does not have there."""

import difflib
import re
from dataclasses import dataclass

__all__ = ["Piece", "differences"]

# Spaces part words and are kept; signs are words of their own, so that "5." and "5!" share the 5.
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
# A longer pair is compared by its lines: the comparison is quadratic in what it compares.
_MOST_WORDS = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of a text; `is_changed` says that the text it is compared with reads otherwise here."""

    text: str
    is_changed: bool


def differences(first: str, second: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces. Joined, the pieces are the texts again.

    >>> [piece.text for piece in differences("Ann has 3 plums.", "Ben has 3 figs.")[1] if piece.is_changed]
    ['Ben', 'figs']
    """
    before, after = _WORDS.findall(first), _WORDS.findall(second)
    if len(before) + len(after) > _MOST_WORDS:
        before, after = first.splitlines(keepends=True), second.splitlines(keepends=True)
    operations = difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    left = [("".join(before[start:end]), name != "equal") for name, start, end, _, _ in operations]
    right = [("".join(after[start:end]), name != "equal") for name, _, _, start, end in operations]
    return _pieces(left), _pieces(right)


def _pieces(parts: list[tuple[str, bool]]) -> tuple[Piece, ...]:
    """One piece for every stretch; spaces between two changed words are part of the change."""
    pieces: list[Piece] = []
    for place, (text, is_changed) in enumerate(parts):
        is_inside = 0 < place < len(parts) - 1
        is_gap = is_inside and text.isspace() and bool(parts[place - 1][0] and parts[place + 1][0])
        changed = is_changed or is_gap
        if pieces and pieces[-1].is_changed == changed:
            pieces[-1] = Piece(text=pieces[-1].text + text, is_changed=changed)
        elif text:
            pieces.append(Piece(text=text, is_changed=changed))
    return tuple(pieces)
