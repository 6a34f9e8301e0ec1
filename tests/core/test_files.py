from pathlib import Path

import pytest

from whet.core.errors import DataError, did_you_mean
from whet.core.files import atomic_directory, content_id, read_json, read_json_lines, write_json, write_text


def test_a_failed_write_leaves_the_old_folder_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with atomic_directory(target) as partial:
        (partial / "a").write_text("old")

    def fail() -> None:
        with atomic_directory(target) as partial:
            (partial / "a").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (target / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_directory(tmp_path / "model") as partial:
            (partial / content).write_text(content)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["new"]


def test_parts_of_an_id_do_not_run_together() -> None:
    assert content_id("ab", "c") != content_id("a", "bc")
    assert content_id("\ud800") != content_id("\ud801")


def test_half_a_line_is_not_a_line(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"step": 1}\n{"step": 2')
    assert list(read_json_lines(tmp_path / "m.jsonl")) == [{"step": 1}]


def test_nan_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not (tmp_path / "x.json").exists()


def test_damaged_json_names_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "x.json", "{")
    with pytest.raises(DataError, match=r"x\.json: not valid JSON"):
        read_json(tmp_path / "x.json")


def test_suggestions() -> None:
    assert did_you_mean("anwser", ["answer", "format"]) == "; did you mean 'answer'?"
    assert did_you_mean("zzz", ["b", "a"]) == "; known: a, b"
