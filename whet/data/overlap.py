"""Which texts of a stream share most of their word runs with a held-out text. Exact, in memory for the held-out side.

A text that holds at least a share c of a held-out text's n runs holds one of any n - ceil(c n) + 1 of them. So these
few are an index, whichever they are; taking those that are rarest in the stream keeps the candidates few (Chaudhuri,
Ganti and Kaushik 2006). Each candidate is counted run by run. A Jaccard similarity of c asks for a share of c too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from whet.data.runs import MEMBER, Lookup, RunSets, bitmaps_of, bits_set, run_hashes, run_sets, sets_of, shared_counts
from whet.data.where import HERE, Arrays, Where
from whet.data.words import Hashes, word_tables

__all__ = ["HeldOut", "Overlap", "overlaps", "sample"]

# H held-out text, T text of the stream, M member of a set, E entry of the index
Integers = npt.NDArray[np.int64]
# Texts from which is learnt which runs are rare in the stream.
_SAMPLE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Text `row[i]` of the stream and held-out text `held_out[i]` have `shared[i]` runs in common.

    `cover` is the share of the held-out text's runs, `jaccard` the similarity of both sets.
    """

    row: Integers
    held_out: Integers
    shared: Integers
    cover: npt.NDArray[np.float64]
    jaccard: npt.NDArray[np.float64]

    def where(self, kept: npt.NDArray[np.bool_]) -> "Overlap":
        return Overlap(
            row=self.row[kept],
            held_out=self.held_out[kept],
            shared=self.shared[kept],
            cover=self.cover[kept],
            jaccard=self.jaccard[kept],
        )


class HeldOut:
    """Held-out texts as sets of runs, ready to be looked up by the share of their runs that a text holds."""

    def __init__(self, sets: RunSets, *, cover: float, sample: Hashes) -> None:
        """`sample` are runs of the stream, repeated as often as they are there; none is right too, only slower."""
        self.sets = sets
        self.cover = cover
        self._bits_H4 = sets.bitmaps()
        distinct = np.sort(sets.member_M)
        distinct = distinct[np.append(True, distinct[1:] != distinct[:-1])] if len(distinct) else distinct
        everything = Lookup(distinct)
        uses = np.bincount(everything.find(sample)[1], minlength=len(distinct))
        position, place = everything.find(sets.member_M)
        run_M = np.empty(len(sets.member_M), dtype=np.int64)
        run_M[position] = place
        row_E, run_E = self._entries(run_M, uses)
        border = np.flatnonzero(np.diff(run_E, prepend=-1, append=len(distinct)))
        self._row_E, self._start = row_E, border
        self._lookup = Lookup(distinct[run_E[border[:-1]]])

    def _entries(self, run_M: Integers, uses: Integers) -> tuple[Integers, Integers]:
        """The texts and the runs that stand for them, by run: of each text those with the fewest uses in the stream."""
        size_H = self.sets.size_N
        row_M = np.repeat(np.arange(self.sets.rows), size_H)
        order = np.lexsort((run_M, uses[run_M], row_M))
        place_M = np.arange(len(order)) - np.repeat(self.sets.start_N[:-1], size_H)
        enough = size_H - np.ceil(self.cover * size_H - 1e-9).astype(np.int64) + 1
        kept = order[place_M < np.repeat(enough, size_H)]
        kept = kept[np.argsort(run_M[kept], kind="stable")]
        return row_M[kept], run_M[kept]

    def overlaps(self, row: Integers, run: Hashes, rows: int) -> Overlap:
        """Every pair of a text and a held-out text whose runs it holds to a share of at least `cover`.

        The texts are given as `whet.data.runs.run_hashes` gives them: the row and the hash of each run.
        """
        where, found = self._lookup.find(run & MEMBER)
        repeat = self._start[found + 1] - self._start[found]
        offset = np.arange(int(repeat.sum())) - np.repeat(np.cumsum(repeat) - repeat, repeat)
        held_out = self._row_E[np.repeat(self._start[found], repeat) + offset]
        text = np.repeat(row[where], repeat)
        maybe = self._may_be_covered(bitmaps_of(row, run, rows), text, held_out)
        pairs = np.sort(text[maybe] * max(1, self.sets.rows) + held_out[maybe])
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])] if len(pairs) else pairs
        text, held_out = np.divmod(pairs, max(1, self.sets.rows))
        return self._counted(row, run, rows, text, held_out)

    def _counted(self, row: Integers, run: Hashes, rows: int, text: Integers, held_out: Integers) -> Overlap:
        is_candidate = np.zeros(rows, dtype=np.bool_)
        is_candidate[text] = True
        needed = is_candidate[row]
        sets = sets_of([(row[needed], run[needed], rows)])
        shared = shared_counts(sets, text, held_out, self.sets)
        size, held_out_size = sets.size_N[text], self.sets.size_N[held_out]
        found = Overlap(
            row=text,
            held_out=held_out,
            shared=shared,
            cover=shared / np.maximum(1, held_out_size),
            jaccard=shared / np.maximum(1, size + held_out_size - shared),
        )
        return found.where(found.cover >= self.cover - 1e-12)

    def _may_be_covered(self, bits_T4: Hashes, text: Integers, held_out: Integers) -> npt.NDArray[np.bool_]:
        """Each bit that only the held-out text has is a run that the other lacks; at most n - ceil(c n) may be."""
        missing = self._bits_H4[held_out] & ~bits_T4[text]
        size = self.sets.size_N[held_out]
        allowed = size - np.ceil(self.cover * size - 1e-9).astype(np.int64)
        return np.asarray(bits_set(missing) <= allowed)


def overlaps(
    held_out: Sequence[str], stream: Sequence[str], threshold: float, *, size: int = 3, where: Where = HERE
) -> Overlap:
    """Every pair of a held-out text and one of `stream` whose sets of runs have a Jaccard similarity of `threshold`.

    The proof that nothing held out is nearly trained on: no sampling, no pair missed.
    """
    held = HeldOut(run_sets(held_out, size=size), cover=threshold, sample=sample(stream[:_SAMPLE], size=size))
    parts = where.texts(stream).map(partial(_overlaps, threshold, size), where.put(held))
    found: list[Arrays] = []
    first = 0
    for part in parts:
        found.append({**part, "row": part["row"] + first})
        first += int(part["rows"][0])
    none = np.zeros(0, dtype=np.int64)
    return Overlap(
        row=np.concatenate([none, *(part["row"] for part in found)]),
        held_out=np.concatenate([none, *(part["held_out"] for part in found)]),
        shared=np.concatenate([none, *(part["shared"] for part in found)]),
        cover=np.concatenate([np.zeros(0), *(part["cover"] for part in found)]),
        jaccard=np.concatenate([np.zeros(0), *(part["jaccard"] for part in found)]),
    )


def _overlaps(threshold: float, size: int, held: HeldOut, texts: Sequence[str]) -> Iterator[Arrays]:
    """A step: what some texts of the stream have in common with the held-out ones."""
    for table in word_tables(texts):
        found = held.overlaps(*run_hashes(table, size), table.rows)
        found = found.where(found.jaccard >= threshold - 1e-12)
        yield asdict(found) | {"rows": np.array([table.rows])}


def sample(texts: Sequence[str], *, size: int) -> Hashes:
    """The runs of some texts of the stream, as members of sets, for `HeldOut` to learn which are common."""
    runs = [run_hashes(table, size)[1] for table in word_tables(texts)]
    return np.concatenate([np.zeros(0, dtype=np.uint64), *runs]) & MEMBER
