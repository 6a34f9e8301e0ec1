"""The files of a preparation by name, and a finished run that compares what it was made from."""

import json
from pathlib import Path
from typing import Any

import pytest

import whet
from whet.core.errors import RunFolderError
from whet.core.recipe import DataSettings
from whet.core.recipe.data import SourceSettings
from whet.data.sources.source_files import hub_sources, source_files

ROW = {"prompt": "a", "completion": "b"}


def written(path: Path, rows: list[Any] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or [ROW]))
    return path


def test_every_file_has_a_name_without_a_path_of_this_machine(tmp_path: Path) -> None:
    one, two = written(tmp_path / "a" / "rows.jsonl"), written(tmp_path / "b" / "rows.jsonl")
    folder = tmp_path / "folder"
    train, test = written(folder / "data" / "train.jsonl"), written(folder / "data" / "Test.jsonl")
    card = tmp_path / "card"
    (written(card / "part.jsonl").parent / "README.md").write_text("---\nconfigs:\n- config_name: main\n---\n")
    earlier = tmp_path / "earlier"
    written(earlier / "manifest.json")
    settings = DataSettings(
        source=("whet:arithmetic", str(one), SourceSettings(path=str(two)), str(folder), str(card), "openai/gsm8k"),
        preferences=str(tmp_path / "gone.jsonl"),
        pinned={"final": str(folder)},
        benchmarks=(str(folder), "owner/bench"),
        earlier=str(earlier),
    )
    assert source_files(settings) == {
        "source:rows.jsonl": one,
        "source:rows.jsonl (2)": two,
        "source:data/train.jsonl": train,
        "source:part.jsonl": card / "part.jsonl",
        "source:data/Test.jsonl": test,
        "source:data/Test.jsonl (2)": test,
        "source:earlier/manifest.json": earlier / "manifest.json",
    }
    assert hub_sources(settings) == ("openai/gsm8k", "owner/bench")
    assert source_files(DataSettings(source=str(tmp_path / "b" / "nothing"))) == {}
    assert source_files(DataSettings(source=str(folder), split="easy")) == {}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sources, and a run that was prepared from it."""
    folder = tmp_path_factory.mktemp("sources")
    names = "apple pear plum lemon cookie muffin book pencil stamp coin marble shell".split()
    rows = [{"prompt": f"What does one {name} cost?", "completion": f"{len(name)}"} for name in names]
    written(folder / "rows" / "train.jsonl", rows)
    assert prepared(folder) is None
    return folder


def prepared(folder: Path) -> str | None:
    """What a start says, None when it goes through."""
    try:
        whet.run(data={"source": str(folder / "rows")}, run=folder / "run", quiet=True)
    except RunFolderError as error:
        return str(error)
    return None


def test_a_source_that_was_edited_under_a_finished_run_is_refused_by_name(done: Path) -> None:
    path, record = done / "rows" / "train.jsonl", done / "run" / "data" / "complete.json"
    assert list(json.loads(record.read_text())["inputs"]) == ["source:train.jsonl"]
    before = path.read_text()
    path.write_text(before.replace("cost?", "weigh?"))
    said = prepared(done)
    path.write_text(before)
    assert said == (
        "the source train.jsonl is not the one that data was made from; put the former one back, choose another --run, "
        f"or delete {done / 'run' / 'data'} to make data again"
    )
    assert prepared(done) is None


def test_a_file_that_came_to_a_folder_is_another_source(done: Path) -> None:
    more = written(done / "rows" / "train-2.jsonl")
    said = prepared(done)
    more.unlink()
    assert said is not None
    assert said.startswith("the source train-2.jsonl is not the one that data was made from")
    beside = written(done / "rows" / "Test.jsonl")  # which is not read
    assert prepared(done) is None
    beside.unlink()


def test_a_run_that_was_moved_away_from_its_sources_is_as_done_as_before(done: Path) -> None:
    (done / "rows").rename(done / "elsewhere")
    try:
        assert prepared(done) is None
    finally:
        (done / "elsewhere").rename(done / "rows")
