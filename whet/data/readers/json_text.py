"""JSON's text: strict decoding, what is wrong with it in words, and a window over a text that is never held whole."""

import codecs
import io
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from whet.core.errors import DataError

__all__ = ["LENIENT", "STRICT", "TOO_DEEP", "Window", "is_shallow", "json_fault", "line_of"]

# Python's own limit is near 1,000 levels, which writing a row's columns again would reach sooner than reading them.
_DEEPEST = 100
TOO_DEEP = "nested too deeply"
_PIECE_BYTES = 1 << 20


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


# JSON as its standard has it; the module's own decoder takes NaN, infinities and repeated keys silently.
STRICT = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite_float, object_pairs_hook=_unique, strict=True
)
LENIENT = json.JSONDecoder()


def is_shallow(row: Any, brackets: int) -> bool:
    """Whether lists and objects stand at most `_DEEPEST` in each other; few brackets in its text settle it quickly."""
    if brackets <= _DEEPEST:
        return True
    level, depth = [row] if isinstance(row, dict | list) else [], 0
    while level and depth <= _DEEPEST:
        depth += 1
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
    return not level


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def json_fault(error: Exception) -> str:
    """What is wrong, in a few words."""
    if isinstance(error, json.JSONDecodeError):
        if error.msg == "Extra data":
            follows_object = error.doc[error.pos : error.pos + 1] == "{"
            return "two objects on a line" if follows_object else "something follows the object on its line"
        return f"not valid JSON ({error.msg})"
    if "integer string conversion" in str(error):  # how Python says it, with an advice for programmers
        return "not valid JSON (a number of more than 4,300 digits)"
    return TOO_DEEP if isinstance(error, RecursionError) else f"not valid JSON ({error})"


def line_of(error: Exception, *, before: int = 0) -> str:
    """` in line 7`, where the error knows it; `before` lines stand above the text that was decoded."""
    return f" in line {before + error.lineno}" if isinstance(error, json.JSONDecodeError) else ""


class Window:
    """A file's text of which only a part is held: what stands before `at` may be let go.

    `most` characters can be looked at from `at` on, or all that there is when fewer are left.
    """

    def __init__(self, path: Path, stream: io.BufferedIOBase, most: int) -> None:
        self.path = path
        self.text = ""
        self.at = 0
        self.is_whole = False  # whether `text` goes to the file's end
        self.lines_before = 0  # lines that were let go
        self._read_bytes = 0
        self._most = most
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()

    @property
    def line(self) -> int:
        """The number of the line in which `at` is, from 1."""
        return self.lines_before + self.text.count("\n", 0, self.at) + 1

    def fill(self) -> None:
        """Read on until `most` characters and one stand behind `at`, letting go what stands before it."""
        if self.is_whole or len(self.text) - self.at > self._most:
            return
        self.lines_before += self.text.count("\n", 0, self.at)
        pieces, held = [self.text[self.at :]], len(self.text) - self.at
        while held <= 2 * self._most and (piece := self._more()):
            pieces.append(piece)
            held += len(piece)
        self.text, self.at = "".join(pieces), 0

    def _more(self) -> str:
        """The next piece of text, "" at the end."""
        text = ""
        while not text and not self.is_whole:
            raw = self._stream.read(min(_PIECE_BYTES, self._most + 1))
            self.is_whole = not raw
            try:
                text = self._decoder.decode(raw, final=self.is_whole)
            except UnicodeDecodeError as error:
                place = self._read_bytes + error.start
                raise DataError(
                    f"{self.path}: not UTF-8 (byte {place}); convert it, for example from Latin-1"
                ) from error
            self._read_bytes += len(raw)
        return text

    def sign(self) -> str:
        """The next character that is no space, at which `at` then stands; "" at the end."""
        while True:
            self.fill()
            while self.at < len(self.text):
                if self.text[self.at] not in " \t\r\n":
                    return self.text[self.at]
                self.at += 1
            if self.is_whole:
                return ""

    def whole(self, most: int) -> str:
        """All the text from the beginning, when it has no more than `most` characters."""
        pieces, held = [self.text], len(self.text)
        while held <= most and (piece := self._more()):
            pieces.append(piece)
            held += len(piece)
        if held > most:
            raise DataError(
                f"{self.path}: an object of more than {most:,} bytes, which would have to be read whole; write its "
                "rows one a line (.jsonl), or raise data.max_row_bytes"
            )
        return "".join(pieces)
