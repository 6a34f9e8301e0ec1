"""Steps in this process: in order, lazily, and kept blocks as often as they are asked for."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from whet.data.space import scratch, where
from whet.data.space.where import HERE, Arrays


def twice(added: int, block: Arrays) -> Iterator[Arrays]:
    for _ in range(2):
        yield {"n": block["n"] + added}


def values(blocks: object) -> list[list[int]]:
    return [block["n"].tolist() for block in blocks]  # type: ignore[attr-defined]


def test_a_step_is_done_for_every_block_in_order() -> None:
    blocks = HERE.blocks({"n": np.array([number])} for number in (1, 2))
    assert values(blocks.map(twice, HERE.put(10))) == [[11], [11], [12], [12]]


def lengths(texts: Sequence[str]) -> Iterator[Arrays]:
    yield {"n": np.array([len(texts), *map(len, texts[:2])])}


def test_texts_come_in_blocks_of_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "_FIRST_TEXTS", 2)
    monkeypatch.setattr(where, "_TEXTS", 5)
    # Twice as many each time, up to 5.
    assert values(HERE.texts(["a", "bcd"] * 7).map(lengths)) == [[2, 1, 3], [4, 1, 3], [5, 1, 3], [3, 3, 1]]
    assert values(HERE.texts([]).map(lengths)) == []


def test_long_texts_come_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "_FIRST_TEXTS", 2)
    monkeypatch.setattr(where, "_LETTERS", 20)
    # Two of 10 letters are all that 20 letters hold; of 30 letters not one is, so each comes alone.
    assert values(HERE.texts(["t" * 10] * 4 + ["t" * 30] * 4).map(lengths)) == [
        [2, 10, 10],
        [2, 10, 10],
        [2, 30, 30],
        [1, 30],
        [1, 30],
    ]


def test_nothing_is_done_before_it_is_read() -> None:
    seen: list[int] = []

    def step(block: Arrays) -> Iterator[Arrays]:
        seen.append(int(block["n"][0]))
        yield block

    reading = iter(HERE.blocks({"n": np.array([number])} for number in range(3)).map(step))
    assert seen == []
    next(reading)
    assert seen == [0]


@pytest.mark.parametrize("share", [1 << 30, 24])
def test_kept_blocks_are_read_again_and_emptied_once(share: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "memory_share", lambda: share)  # 24 bytes: most lie on disk
    blocks = ({"n": np.arange(number), "m": np.full(2, number, dtype=np.uint64)} for number in range(5))
    kept = HERE.blocks(blocks).kept()
    expected = [list(range(number)) for number in range(5)]
    assert values(kept) == values(kept) == expected
    assert [block["m"].tolist() for block in kept] == [[number, number] for number in range(5)]
    assert values(kept.emptied()) == expected
    assert values(HERE.blocks([]).kept()) == []
