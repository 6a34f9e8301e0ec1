"""Preparation over two local workers of Ray Data against the same in one process: every file, byte for byte."""

import importlib.util
import json
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.data.manifest import read_manifest
from whet.data.pairs import near
from whet.data.pairs.near import similar_pairs
from whet.data.prepare import prepare
from whet.data.proof.check import check
from whet.data.space import distributed
from whet.data.space.distributed import working
from whet.data.space.where import HERE, Arrays, Where

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray Data is not installed: pip install 'whet[ray]'"
)
# Ray Data sets settings of its own that it calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Where]:
    """Started once; `prepare` finds a Ray that this process has joined, uses it and leaves it running."""
    with working(2) as where:
        yield where
    import ray

    assert not ray.is_initialized()


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few texts are many blocks."""
    monkeypatch.setattr(distributed, "_FEWEST_ROWS", 16)


def rows(count: int) -> list[dict[str, Any]]:
    """Word problems among which are exact, near and template copies, and rows that share a long header."""
    chance = random.Random(0)
    things = "apples pears plums lemons cookies muffins books pencils stamps coins marbles shells".split()
    header = "You are given a puzzle about things and people and you should answer it with one number only please"
    made = []
    for number in range(count):
        name, other = chance.sample(["Ann", "Bob", "Cleo", "Dan", "Eve", "Finn"], 2)
        few, many = chance.randint(2, 9), chance.randint(10, 99)
        thing, kind = chance.choice(things), chance.randrange(6)
        text = f"{name} has {many} {thing} and gives {few} of them to {other} on day {number}. How many are left?"
        if kind == 0 and made:
            text = chance.choice(made)["question"].replace("gives", "hands")
        elif kind == 1 and made:
            text = chance.choice(made)["question"].upper()
        elif kind == 2:
            text = f"{header}. {' '.join(chance.sample(things, 6))} {chance.random():.6f}"
        made.append({"question": text, "answer": f"{many} - {few} = {many - few}\n#### {many - few}"})
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@needs_ray
@pytest.mark.parametrize(("method", "workers"), [("join", 1), ("join", 2), ("minhash", 2)])
def test_workers_write_the_same_bytes(
    method: str, workers: int, two_workers: Where, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if method == "minhash":
        monkeypatch.setattr(near, "_MEETINGS", -1)
        monkeypatch.setattr(near, "_MEETINGS_PER_ROW", -1)
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows(300)))
    for count in (0, workers):
        settings = DataSettings(source=str(source), workers=count, paraphrase="off")
        prepare(settings, seed=1, out=tmp_path / str(count))
    views = read_manifest(tmp_path / "0")["views"]
    assert {views[kind]["method"] for kind in ("near", "stop", "template")} == {method}
    assert all(views[kind]["pairs"] > 10 for kind in ("near", "stop", "template"))
    assert files(tmp_path / "0") == files(tmp_path / str(workers))
    assert check(tmp_path / str(workers)).problems == ()


@needs_ray
def test_the_order_is_that_of_the_blocks_whoever_is_first(two_workers: Where, tmp_path: Path) -> None:
    def first_is_last(block: Arrays) -> Iterator[Arrays]:
        number, deadline = int(block["number"][0]), time.monotonic() + 300
        (tmp_path / str(number)).touch()
        while number == 0 and not (tmp_path / "5").exists():
            assert time.monotonic() < deadline, "the other worker did not come"
            time.sleep(0.01)
        for copy in range(2):
            yield {"number": block["number"] * 10 + copy}

    blocks = two_workers.blocks({"number": np.array([number])} for number in range(6)).map(first_is_last)
    assert [int(block["number"][0]) for block in blocks] == [n * 10 + copy for n in range(6) for copy in range(2)]


@needs_ray
def test_blocks_that_yield_nothing_and_no_blocks_at_all(two_workers: Where) -> None:
    def odd(block: Arrays) -> Iterator[Arrays]:
        if block["number"][0] % 2:
            yield block

    kept = two_workers.blocks({"number": np.array([number])} for number in range(4)).map(odd).kept()
    for _ in range(2):
        assert [int(block["number"][0]) for block in kept.map(odd)] == [1, 3]
    assert list(two_workers.blocks(()).map(odd).kept()) == []
    pairs = similar_pairs([], where=two_workers)
    assert len(pairs.first) == 0


@needs_ray
def test_ray_data_has_its_settings_back(two_workers: Where) -> None:
    from ray.data import DataContext

    with working(2):
        assert DataContext.get_current().execution_options.preserve_order
    # The fixture's own settings hold: it has not ended yet.
    assert DataContext.get_current().execution_options.preserve_order
    with working(0) as where:
        assert where is HERE


def test_without_ray_data_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "ray" else found(name, *rest))
    with pytest.raises(
        DataError, match=r"data\.workers is 2, but Ray Data is not installed: pip install 'whet\[ray\]'"
    ):
        prepare(DataSettings(source=str(tmp_path / "absent.jsonl"), workers=2), seed=0, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_arrays_and_texts_come_back_from_their_table_as_they_were() -> None:
    blocks = [
        {"a": np.array([], dtype=np.uint64), "b": np.array([0.5, -0.0])},
        {"a": np.array([2**64 - 1], dtype=np.uint64), "b": np.array([])},
    ]
    back = list(distributed._rows(distributed._table([3, 3], blocks)))
    assert [number for number, _ in back] == [3, 3]
    for block, (_, again) in zip(blocks, back, strict=True):
        assert list(block) == list(again)
        for name, array in block.items():
            assert array.dtype == again[name].dtype
            assert array.tobytes() == again[name].tobytes()
    texts = ["", "caf\u00e9 \0 and \x01", "\ud800 alone", "\U0001f600"]
    table = distributed._text_table(7, next(distributed._text_blocks(texts, 9)))
    assert list(distributed._rows(table)) == [(7, texts)]


@pytest.mark.parametrize(
    ("rows", "characters", "expected"),
    [(4, 99, [4, 3]), (5, 99, [4, 3]), (99, 5, [2, 2, 2, 1]), (99, 3, [1] * 7), (99, 99, [7])],
)
def test_blocks_of_texts_are_bounded(
    rows: int, characters: int, expected: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Texts are looked at by twos: seven of two characters each.
    monkeypatch.setattr(distributed, "_FEWEST_ROWS", 2)
    monkeypatch.setattr(distributed, "_CHARACTERS", characters)
    blocks = list(distributed._text_blocks(["ab"] * 7, rows))
    assert [len(block) for block in blocks] == expected


def test_a_long_text_stands_alone_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_FEWEST_ROWS", 4)
    monkeypatch.setattr(distributed, "_CHARACTERS", 10)
    texts = ["a", "b", "c", "d", "e" * 30, "f", "g", "h", "i"]
    blocks = list(distributed._text_blocks(texts, 99))
    assert blocks == [["a", "b", "c", "d"], ["e" * 30], ["f"], ["g"], ["h"], ["i"]]
