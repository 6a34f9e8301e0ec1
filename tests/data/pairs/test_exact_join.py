"""The exact join in pieces: the same bits, however finely it is cut."""

import random

import numpy as np
import pytest

from whet.data.pairs import exact_join as module
from whet.data.pairs.exact_join import exact_join
from whet.data.space.where import HERE, Local
from whet.data.texts.runs import RunSets, run_sets


class Pieces(Local):
    """This process, work cut as for many workers."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces


def sets_by_size(rows: int) -> RunSets:
    """Random sets of which many are alike, the small ones first."""
    chance = random.Random(rows)
    bases = [chance.choices("a b c d e f g h i j k l".split(), k=chance.randint(1, 25)) for _ in range(rows // 6)]
    texts = []
    for _ in range(rows):
        words = list(chance.choice(bases))
        words[chance.randrange(len(words))] = chance.choice("a b c d e f x y z".split())
        texts.append(" ".join(words))
    sets = run_sets(texts, size=2)
    return sets.taken(np.argsort(sets.size_N, kind="stable"))


@pytest.mark.parametrize("pieces", [2, 3, 7, 1000])
def test_pieces_change_no_bit(pieces: int) -> None:
    sets = sets_by_size(240)
    whole = exact_join(sets, 0.6, HERE)
    assert len(whole[0]) > 100
    for expected, cut in zip(whole, exact_join(sets, 0.6, Pieces(pieces)), strict=True):
        assert expected.dtype == cut.dtype
        assert expected.tobytes() == cut.tobytes()


def test_an_index_beyond_its_bound_is_joined_in_pieces_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = sets_by_size(240)
    whole = exact_join(sets, 0.6, HERE)
    monkeypatch.setattr(module, "_ENTRIES", 50)
    for expected, cut in zip(whole, exact_join(sets, 0.6, HERE), strict=True):
        assert expected.tobytes() == cut.tobytes()


def test_the_index_is_cut_where_a_member_ends() -> None:
    # Members 5 5 5 5 5 6 7 7: a cut among the fives moves to where they begin, one among the sevens likewise.
    member = np.array([5, 5, 5, 5, 5, 6, 7, 7], dtype=np.uint64)
    entry = member << np.uint64(32) | np.arange(8, dtype=np.uint64)
    assert module._at_members(entry, 1).tolist() == [[0, 8]]
    assert module._at_members(entry, 2).tolist() == [[0, 8]]  # at 4: back to 0
    assert module._at_members(entry, 8).tolist() == [[0, 5], [5, 6], [6, 8]]
    assert module._at_members(entry[:0], 3).tolist() == []


def test_spans_cover_everything_once() -> None:
    assert module._spans(7, 3).tolist() == [[0, 2], [2, 4], [4, 7]]
    assert module._spans(2, 5).tolist() == [[0, 1], [1, 2]]
    assert module._spans(0, 5).tolist() == []
