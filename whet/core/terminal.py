"""Text for people: colours where the terminal has them, brackets and whole lines elsewhere, nothing interpreted.

What a row or a model says is a stranger's: it goes through `printable`, so that no escape sequence reaches the
terminal, and through rich's `Text`, in which no markup is read.
"""

import sys
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from whet.core.difference import Piece, shortened
from whet.core.runlog import printable

__all__ = ["Page"]

# Two texts are put side by side from this width on.
WIDE = 100
# Of a long text so many characters are shown; of a long stretch that is the same in both, its two ends.
_MOST, _ENDS = 3000, 200
_SOFT, _STRONG, _CHANGED = "dim", "bold", "reverse"


class Page:
    """Standard output, a block at a time."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
        self.is_terminal = self.console.is_terminal
        self.has_colour = self.is_terminal and not self.console.no_color and self.console.color_system is not None

    @property
    def is_wide(self) -> bool:
        return self.is_terminal and self.console.width >= WIDE

    def line(self, *parts: str | tuple[str, str]) -> None:
        """Parts of one line; a part may be given with its style. Control characters become escapes."""
        self._print(Text.assemble(*(self.styled(*((part,) if isinstance(part, str) else part)) for part in parts)))

    def styled(self, content: str, style: str = "") -> Text:
        """A text in a style of rich's where there are colours, its control characters escaped."""
        return Text(printable(content), style=style if self.has_colour else "")

    def heading(self, text: str, *rest: str) -> None:
        self.line((text, _STRONG), *((f"  {part}", _SOFT) for part in rest))

    def text(self, pieces: Iterable[Piece]) -> Text:
        """A row's text: what is changed is marked by colour, or in brackets; what is long is cut, and says so."""
        shown = Text()
        for piece in shortened(pieces, most=_MOST, ends=_ENDS):
            if piece.is_changed and self.has_colour:
                shown.append(printable(piece.text), style=_CHANGED)
            else:
                shown.append(f"[{printable(piece.text)}]" if piece.is_changed else printable(piece.text))
        return shown

    def columns(self, rows: Sequence[tuple[str, Sequence[Text | str]]], *, indent: int = 2) -> None:
        """Labels, and beside each a text or several texts side by side, wrapped to the terminal's width.

        Elsewhere than on a terminal every line of a text is one line, so that it can be searched.
        """
        width = max((cell_len(label) for label, _ in rows), default=0)
        if not self.is_terminal:
            for label, cells in rows:
                for cell in cells:
                    self._plain(" " * indent + label.ljust(width) + "  ", cell)
                    label = ""
            return
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=indent + width, no_wrap=True)
        count = max((len(cells) for _, cells in rows), default=1)
        for _ in range(count):
            table.add_column(overflow="fold", ratio=1 if count > 1 else None)
        table.expand = count > 1
        for label, cells in rows:
            shown = [cell if isinstance(cell, Text) else self.styled(cell) for cell in cells]
            table.add_row(self.styled(" " * indent + label, _SOFT), *shown)
        self._print(table)

    def _plain(self, before: str, cell: Text | str) -> None:
        lines = (cell.plain if isinstance(cell, Text) else printable(cell)).split("\n")
        self._print(Text((before + ("\n" + " " * len(before)).join(lines)).rstrip()))

    def _print(self, renderable: Text | Table) -> None:
        self.console.print(renderable, soft_wrap=not self.is_terminal)
