"""Records by the million: in memory as long as they fit, else in a file from which each is read when it is looked at.

Whoever gets a sequence of records need not know which. On disk a record is one line of JSON; what a column holds beyond
JSON (dates, decimals) becomes text there, as it does in every file that is written in the end.
"""

import json
import os
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import IO, Any, overload

from whet.core.records import (
    Comparison,
    Conversation,
    Message,
    Origin,
    Prompt,
    Ranking,
    Record,
    completions_in,
    prompt_in,
)
from whet.data.space import scratch

__all__ = ["Lazy", "chained", "chosen", "renamed", "resliced", "shelved"]

# What a record takes in memory beside its texts.
_BYTES_A_RECORD = 1500


class Lazy(Sequence[Record]):
    """Records that are made when they are looked at."""

    def __init__(self, length: int, record_at: Callable[[int], Record]) -> None:
        self._length = length
        self._record_at = record_at

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        if isinstance(place, slice):
            return [self._record_at(number) for number in range(*place.indices(self._length))]
        if not -self._length <= place < self._length:
            raise IndexError(place)
        return self._record_at(place % self._length)

    def __iter__(self) -> Iterator[Record]:
        return map(self._record_at, range(self._length))


def shelved(records: Iterable[Record]) -> Sequence[Record]:
    """All of them: a tuple while they fit into `whet.data.space.scratch.memory_share`, else a file."""
    in_memory: list[Record] = []
    room, taken = scratch.memory_share(), 0
    stream = iter(records)
    for record in stream:
        in_memory.append(record)
        taken += _BYTES_A_RECORD + _text_bytes(record)
        if taken > room:
            return _File(chain(in_memory, stream)).records
    return tuple(in_memory)


def chosen(records: Sequence[Record], places: Iterable[int]) -> Sequence[Record]:
    """The records at these places, in this order."""
    if isinstance(records, tuple):
        return tuple(records[place] for place in places)
    kept = array("q", places)
    return Lazy(len(kept), lambda number: records[kept[number]])


def chained(parts: Sequence[Sequence[Record]]) -> Sequence[Record]:
    """One after the other."""
    if all(isinstance(part, tuple) for part in parts):
        return tuple(chain.from_iterable(parts))
    ends = list(accumulate(map(len, parts)))

    def record_at(number: int) -> Record:
        part = bisect_right(ends, number)
        return parts[part][number - ends[part]]  # counted from the end of the part

    return Lazy(ends[-1], record_at)


def resliced(records: Sequence[Record], slices: Sequence[str]) -> Sequence[Record]:
    """Each record with the slice at its place."""
    if isinstance(records, tuple):
        return tuple(_sliced(record, slice_) for record, slice_ in zip(records, slices, strict=True))
    return Lazy(len(records), lambda number: _sliced(records[number], slices[number]))


def renamed(records: Sequence[Record], source: str) -> Sequence[Record]:
    """The same records from a source of another name."""
    if isinstance(records, tuple):
        return tuple(_from_source(record, source) for record in records)
    return Lazy(len(records), lambda number: _from_source(records[number], source))


def _sliced(record: Record, slice_: str) -> Record:
    prompt = prompt_in(record)
    return record if prompt.slice == slice_ else _with_prompt(record, replace(prompt, slice=slice_))


def _from_source(record: Record, source: str) -> Record:
    prompt = prompt_in(record)
    return _with_prompt(record, replace(prompt, origin=replace(prompt.origin, source=source)))


def _with_prompt(record: Record, prompt: Prompt) -> Record:
    return prompt if isinstance(record, Prompt) else replace(record, prompt=prompt)


def _text_bytes(record: Record) -> int:
    """About the size of a record's texts, without looking at every character."""
    prompt = prompt_in(record)
    size = sum(len(turn.content) for turn in prompt.messages)
    size += sum(len(cell) if isinstance(cell, str | list) else 8 for cell in prompt.columns.values())
    return size + sum(map(len, completions_in(record)))


class _File:
    """Records one after the other in a file without a name, and where each begins."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._file: IO[bytes] = scratch.nameless_file()
        weakref.finalize(self, self._file.close)
        self._begins = array("q", [0])
        for record in records:
            line = json.dumps(_packed(record), ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
            self._file.write(line)
            self._begins.append(self._begins[-1] + len(line))
        self._file.flush()
        self.records = Lazy(len(self._begins) - 1, self._read)

    def _read(self, number: int) -> Record:
        begin, end = self._begins[number], self._begins[number + 1]
        line = os.pread(self._file.fileno(), end - begin, begin)
        return _unpacked(json.loads(line.decode("utf-8", "surrogatepass")))


def _packed(record: Record) -> list[Any]:
    prompt = prompt_in(record)
    turns = [(turn.role, turn.content, turn.is_learned) for turn in prompt.messages]
    origin = prompt.origin
    asking = [turns, origin.source, origin.row, prompt.answer, prompt.slice, prompt.columns]
    match record:
        case Conversation():
            return [*asking, "conversation", record.completion]
        case Comparison():
            return [*asking, "comparison", record.chosen, record.rejected, record.margin]
        case Ranking():
            return [*asking, "ranking", record.completions, record.ranks]
        case Prompt():
            return [*asking, "prompt"]


def _unpacked(row: list[Any]) -> Record:
    turns, source, number, answer, slice_, columns, kind, *rest = row
    prompt = Prompt(
        messages=tuple(Message(role=role, content=content, is_learned=learned) for role, content, learned in turns),
        origin=Origin(source=source, row=number),
        answer=answer,
        slice=slice_,
        columns=columns,
    )
    match kind:
        case "conversation":
            return Conversation(prompt=prompt, completion=rest[0])
        case "comparison":
            return Comparison(prompt=prompt, chosen=rest[0], rejected=rest[1], margin=rest[2])
        case "ranking":
            return Ranking(prompt=prompt, completions=tuple(rest[0]), ranks=tuple(rest[1]))
        case _:
            return prompt
