"""Where the heavy steps of preparation run: in this process, or on workers that give the same bits in the same order.

A step is a pure function at the top of a module, `step(*shared, block)`, that yields arrays for a block of texts or of
arrays. `blocks.map(step, *shared)` says what is to be done with each block; it is done when the result is read, and
read in the order of the blocks, whoever finished first. Values that every block needs are put once:

    table = where.put(large_array)
    for part in where.texts(texts).map(step, table): ...
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy.typing as npt

from whet.data.space.scratch import Pile

__all__ = ["HERE", "Arrays", "Blocks", "Local", "Ref", "Step", "Where"]

Arrays = Mapping[str, npt.NDArray[Any]]
Step = Callable[..., Iterator[Arrays]]
Value = TypeVar("Value")
Held = TypeVar("Held", covariant=True)
_FIRST_TEXTS, _TEXTS, _LETTERS = 1 << 7, 1 << 13, 1 << 22  # handed on together


class Ref(Protocol[Held]):
    """A value that every block needs, wherever it lies; it is never changed."""

    def get(self) -> Held:
        """The value: the same memory for all who ask on a machine."""
        ...


class Blocks(Protocol):
    """Blocks in their order."""

    def __iter__(self) -> Iterator[Arrays]: ...

    def map(self, step: Step, *shared: Ref[Any]) -> "Blocks":
        """What the step yields for each block, made when it is read."""
        ...

    def kept(self) -> "Blocks":
        """The same blocks, made now and kept where they were made, to be read more than once."""
        ...

    def emptied(self) -> "Blocks":
        """The kept blocks for the last time: each may be freed once it is read."""
        ...


class Where(Protocol):
    """A place where steps run."""

    @property
    def pieces(self) -> int:
        """Work that can be cut anywhere is cut into so many blocks."""
        ...

    def put(self, value: Value) -> Ref[Value]:
        """Make a value known to every step that is given it."""
        ...

    def texts(self, texts: Sequence[str]) -> Blocks:
        """Texts cut into blocks; a step gets each as a sequence of texts."""
        ...

    def blocks(self, blocks: Iterable[Arrays]) -> Blocks:
        """Arrays that are cut into blocks already."""
        ...


class _LocalRef(Generic[Value]):
    def __init__(self, value: Value) -> None:
        self._value = value

    def get(self) -> Value:
        return self._value


class _LocalBlocks:
    def __init__(self, blocks: Iterable[Any]) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[Arrays]:
        return iter(self._blocks)

    def map(self, step: Step, *shared: Ref[Any]) -> Blocks:
        values = [value.get() for value in shared]
        return _LocalBlocks(made for block in self for made in step(*values, block))

    def kept(self) -> Blocks:
        return _KeptBlocks(self)

    def emptied(self) -> Blocks:
        return self


class _KeptBlocks(_LocalBlocks):
    """On disk beyond a share of the memory."""

    def __init__(self, blocks: Iterable[Arrays]) -> None:
        self._piles: dict[str, Pile] = {}
        for block in blocks:
            for name, array in block.items():
                self._piles.setdefault(name, Pile()).append(array)

    def __iter__(self) -> Iterator[Arrays]:
        return self._rows([iter(pile) for pile in self._piles.values()])

    def emptied(self) -> Blocks:
        return _LocalBlocks(self._rows([pile.drained() for pile in self._piles.values()]))

    def _rows(self, piles: Sequence[Iterator[npt.NDArray[Any]]]) -> Iterator[Arrays]:
        return (dict(zip(self._piles, arrays, strict=True)) for arrays in zip(*piles, strict=True))


def _text_blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Few texts first, then more where they are short: they may lie on disk, and not fit into memory together."""
    first, count = 0, _FIRST_TEXTS
    while first < len(texts):
        block = texts[first : first + count]
        yield block
        first += len(block)
        mean = sum(map(len, block)) // len(block)
        count = max(1, min(2 * count, _TEXTS, _LETTERS // max(1, mean)))


class Local:
    """This process, one block after the other."""

    pieces = 1

    def put(self, value: Value) -> Ref[Value]:
        return _LocalRef(value)

    def texts(self, texts: Sequence[str]) -> Blocks:
        return _LocalBlocks(_text_blocks(texts))

    def blocks(self, blocks: Iterable[Arrays]) -> Blocks:
        return _LocalBlocks(blocks)


HERE = Local()
