"""The part of a long text in which another text stands, for people to look at."""

import re
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["excerpt", "stretch_like"]

_WORD = re.compile(r"\w+")
_RUN = 3
# Characters shown before and behind what was found.
_MARGIN = 40


def stretch_like(texts: Sequence[str], wanted: str, *, most: int) -> str:
    """Of several texts the stretch that has most of the runs of 3 words of `wanted`, with what stands around it.

    The start of the first text where none has any; at most `most` characters, and a mark where something is left out.

    >>> stretch_like(["Solve this, please. " * 9 + "Ann has 3 plums and 4 figs."], "Ben has 3 plums and 4", most=40)
    '… please. Ann has 3 plums and 4 figs.'
    """
    runs = set(_runs([word.group().lower() for word in _WORD.finditer(wanted)]))
    found = [(*_best(text, runs), text) for text in texts]
    if not found:
        return ""
    count, begin, end, text = max(found, key=lambda stretch: stretch[0])
    around = max(0, min(_MARGIN, (most - (end - begin)) // 2))
    return excerpt(text, begin=max(0, begin - around) if count else 0, most=most)


def excerpt(text: str, *, begin: int = 0, most: int) -> str:
    """At most so many characters of a text, cut at spaces where there are some near, with a mark where it is cut."""
    if len(text) <= most:
        return text
    begin = max(0, min(begin, len(text) - most))
    end = min(len(text), begin + most)
    if begin > 0:
        space = text.find(" ", begin, begin + _MARGIN // 2)
        begin = space + 1 if space >= 0 else begin
    if end < len(text):
        space = text.rfind(" ", end - _MARGIN // 2, end)
        end = space if space >= 0 else end
    return "… " * (begin > 0) + text[begin:end] + " …" * (end < len(text))


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(_RUN)), strict=False))


def _best(text: str, runs: set[tuple[str, ...]]) -> tuple[int, int, int]:
    """How many runs of the wanted text stand in the best stretch of as many words, and where that begins and ends."""
    words = list(_WORD.finditer(text))
    is_known = [run in runs for run in _runs([word.group().lower() for word in words])]
    sums = [0, *accumulate(is_known)]
    size = max(1, len(runs))
    last = max(1, len(is_known) - size + 1)
    counts = [sums[min(start + size, len(is_known))] - sums[start] for start in range(last)]
    best = max(counts, default=0)
    if not best:
        return 0, 0, 0
    start = counts.index(best)
    inside = [place for place in range(start, min(start + size, len(is_known))) if is_known[place]]
    return best, words[inside[0]].start(), words[inside[-1] + _RUN - 1].end()
