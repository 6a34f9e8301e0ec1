"""Work space beyond memory: the same arrays and the same pairs, wherever they lie."""

from pathlib import Path

import numpy as np
import pytest

from whet.core.errors import DataError
from whet.data.pairs import near
from whet.data.pairs.near import similar_pairs
from whet.data.space import scratch
from whet.data.space.scratch import Pile, empty, nameless_file


@pytest.fixture
def tiny_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "memory_share", lambda: 1000)


def test_a_pile_gives_back_what_was_put_on_it(tiny_memory: None) -> None:
    arrays = [
        np.arange(100, dtype=np.int64),  # 800 bytes, in memory
        np.arange(60, dtype=np.uint32).reshape(3, 20),  # 240 bytes do not fit beside them
        np.zeros(0, dtype=np.float64),
        np.arange(20, dtype=np.uint8),
    ]
    pile = Pile()
    for array in arrays:
        pile.append(array)
    for array, back in zip(arrays, pile, strict=True):
        assert array.dtype == back.dtype
        np.testing.assert_array_equal(array, back)
    assert (pile.total, pile.largest, len(pile)) == (180, 100, 4)
    assert [back.size for back in pile.drained()] == [100, 60, 0, 20]


def test_a_large_array_is_zero_bytes_of_memory_and_behaves_as_any(tiny_memory: None) -> None:
    assert type(empty(125, np.uint64)) is np.ndarray
    array = empty(126, np.uint64)
    assert isinstance(array.base, np.memmap)
    array[:] = 7
    assert int(array.sum()) == 882


@pytest.mark.parametrize("most_meetings", [10_000_000, -1])  # the exact join, and MinHash
def test_pairs_are_the_same_in_memory_and_on_disk(monkeypatch: pytest.MonkeyPatch, most_meetings: int) -> None:
    monkeypatch.setattr(near, "_MEETINGS", most_meetings)
    monkeypatch.setattr(near, "_MEETINGS_PER_ROW", most_meetings)
    chance = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in chance.integers(0, 30, 25)) for _ in range(300)]
    texts += [text + " and more" for text in texts[:100]]
    in_memory = similar_pairs(texts)
    monkeypatch.setattr(scratch, "memory_share", lambda: 1000)
    on_disk = similar_pairs(texts)
    assert len(in_memory.first) >= 100
    for name in ("first", "second", "score"):
        np.testing.assert_array_equal(getattr(in_memory, name), getattr(on_disk, name))


def test_too_little_room_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(DataError, match=r"1000000000\.0 GB of work space are needed.*set TMPDIR to a larger disk"):
        nameless_file(10**18)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    with pytest.raises(DataError, match="set TMPDIR to a folder on a disk"):
        nameless_file()
