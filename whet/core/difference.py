"""Two texts side by side: which words of each the other does not have there."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Piece", "differences", "shortened"]

# Spaces part words and are kept; signs are words of their own, so that "5." and "5!" share the 5.
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
# Between its common ends a longer pair is compared by lines: the comparison is quadratic in what it compares.
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
    head = _common(before, after)
    tail = _common(before[: head - 1 if head else None : -1], after[: head - 1 if head else None : -1])
    inner = before[head : len(before) - tail], after[head : len(after) - tail]
    if len(inner[0]) + len(inner[1]) > _MOST_WORDS:
        inner = "".join(inner[0]).splitlines(keepends=True), "".join(inner[1]).splitlines(keepends=True)
    operations = difflib.SequenceMatcher(a=inner[0], b=inner[1], autojunk=False).get_opcodes()
    start, end = ("".join(before[:head]), False), ("".join(before[len(before) - tail :]), False)
    left = [("".join(inner[0][begin:stop]), name != "equal") for name, begin, stop, _, _ in operations]
    right = [("".join(inner[1][begin:stop]), name != "equal") for name, _, _, begin, stop in operations]
    return _pieces([start, *left, end]), _pieces([start, *right, end])


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many words both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(first), len(second)))


def shortened(pieces: Iterable[Piece], *, most: int, ends: int) -> tuple[Piece, ...]:
    """The pieces for the eye: of a long stretch that both texts share its two ends, and at most `most` characters.

    What is cut off at the end is counted.
    """
    parts = list(pieces)
    if len(parts) > 1:
        parts = [part if part.is_changed else _ends_of(part, ends) for part in parts]
    shown: list[Piece] = []
    left = most
    for place, part in enumerate(parts):
        if len(part.text) > left:
            rest = sum(len(other.text) for other in parts[place:]) - left
            shown += [Piece(text=part.text[:left], is_changed=part.is_changed)] if left else []
            shown.append(Piece(text=f" … and {rest:,} more characters", is_changed=False))
            break
        shown.append(part)
        left -= len(part.text)
    return tuple(shown)


def _ends_of(piece: Piece, ends: int) -> Piece:
    if len(piece.text) <= 3 * ends:
        return piece
    return Piece(text=f"{piece.text[:ends]} … {piece.text[-ends:]}", is_changed=False)


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
