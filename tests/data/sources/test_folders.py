"""Which files of a folder are read: held-out ones in every spelling are not learned from, and are told."""

import json
from pathlib import Path

import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.recipe.data import SourceSettings
from whet.data.sources.folders import folder_files, is_held_out_split
from whet.data.sources.read import read_sources
from whet.data.sources.request import request_for

ROW = json.dumps({"prompt": "a", "completion": "b"}) + "\n"


def made(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ROW)
    return folder


def chosen(folder: Path, *, split: str = "train", is_held_out: bool = False) -> list[str]:
    request = request_for(SourceSettings(path=str(folder), split=split), DataSettings(), is_held_out=is_held_out)
    return [file.relative_to(folder).as_posix() for file in folder_files(folder, request).files]


HELD_OUT = (
    *("test.jsonl", "Test.jsonl", "TEST.jsonl", "test-00000-of-00001.jsonl", "test_a.jsonl", "GSM8K-Test.jsonl"),
    *("data/test/part.jsonl", "gsm8kTest.jsonl", "test2.jsonl", "2024_eval.jsonl", "eval/rows.jsonl", "evals.jsonl"),
    *("evaluation.jsonl", "dev.jsonl", "Dev.v1.jsonl", "val.jsonl", "valid.jsonl", "validation-00001.jsonl"),
    *("held-out.jsonl", "held_out.jsonl", "HeldOut.jsonl", "heldout.jsonl", "hold.out.jsonl", "holdout2.jsonl"),
    *("testset.jsonl", "train/test.jsonl", "eval_train.jsonl", "benchmark.jsonl"),
)
NOT_HELD_OUT = ("latest.jsonl", "contest.jsonl", "medieval.jsonl", "device.jsonl", "tested.jsonl", "rows.jsonl")


@pytest.mark.parametrize("name", HELD_OUT)
def test_a_held_out_file_is_not_learned_from(tmp_path: Path, name: str) -> None:
    assert chosen(made(tmp_path, name, "rows.jsonl")) == ["rows.jsonl"]
    assert chosen(made(tmp_path, "Train.jsonl")) == ["Train.jsonl"]
    assert chosen(tmp_path, is_held_out=True) == [name]


@pytest.mark.parametrize("name", NOT_HELD_OUT)
def test_words_that_only_contain_such_a_word(tmp_path: Path, name: str) -> None:
    assert chosen(made(tmp_path, name)) == [name]


def test_the_nearest_part_of_the_path_decides(tmp_path: Path) -> None:
    made(tmp_path, "test/train-00000.jsonl", "train/test-00000.jsonl", "train/rows.jsonl", "other/rows.jsonl")
    assert chosen(tmp_path) == ["test/train-00000.jsonl", "train/rows.jsonl"]
    assert chosen(tmp_path, is_held_out=True) == ["train/test-00000.jsonl"]


def test_a_split_is_found_under_each_of_its_names(tmp_path: Path) -> None:
    made(tmp_path, "train.jsonl", "Valid.jsonl", "eval.jsonl", "hard.jsonl")
    assert chosen(tmp_path, split="validation") == ["Valid.jsonl"]
    assert chosen(tmp_path, split="test") == ["eval.jsonl"]
    assert chosen(tmp_path, split="Hard") == ["hard.jsonl"]
    with pytest.raises(DataError, match=r"no file of it is of the split 'easy' \(Valid.jsonl, eval.jsonl"):
        chosen(tmp_path, split="easy")


def test_a_folder_of_held_out_files_alone_is_refused_for_training(tmp_path: Path) -> None:
    made(tmp_path, "Test.jsonl", "dev.jsonl")
    with pytest.raises(DataError, match=r"all its files are called held out \(Test.jsonl, dev.jsonl\); give the file"):
        chosen(tmp_path)
    assert chosen(tmp_path, is_held_out=True) == ["Test.jsonl", "dev.jsonl"]
    assert read_sources(str(tmp_path / "Test.jsonl"), DataSettings(), seed=0)[0].rows == 1


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    made(
        tmp_path, "Train.jsonl", "Test.jsonl", "sub/other.csv", ".hidden/train.jsonl", "dataset_info.json", "notes.txt"
    )
    (tmp_path / "dataset_info.json").rename(tmp_path / "state.json")
    (source,) = read_sources(str(tmp_path), DataSettings(), seed=0)
    assert (source.name, source.left_out) == ("Train.jsonl", ("Test.jsonl", "sub/other.csv"))


@pytest.mark.parametrize(("value", "held"), [("test", True), ("Validation", True), ("train", False), (3, False)])
def test_a_row_may_say_that_it_is_held_out(tmp_path: Path, value: object, held: bool) -> None:
    assert is_held_out_split(value) is held
    path = tmp_path / "rows.jsonl"
    row = {"prompt": "a", "completion": "b", "split": value}
    path.write_text(json.dumps(row) + "\n" + ROW)
    (source,) = read_sources(str(path), DataSettings(), seed=0)
    assert len(source.records) == 2 - held
    assert [part.reason for part in source.skipped] == ["held out by its column: test, validation or the like"] * held
    (source,) = read_sources(str(path), DataSettings(), seed=0, is_held_out=True)
    assert len(source.records) == 2
    (source,) = read_sources(str(path), DataSettings(ignore=("split",)), seed=0)
    assert len(source.records) == 2
