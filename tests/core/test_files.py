import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from whet.core.errors import DataError, did_you_mean
from whet.core.files import (
    append_json_line,
    atomic_directory,
    content_id,
    is_leftover,
    read_json,
    read_json_lines,
    sweep_leftovers,
    write_json,
    write_text,
)


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


def dead_process() -> int:
    """The number of a process that has ended and whose end is known."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_the_dead_left_is_swept_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "sft" / "checkpoints").mkdir(parents=True)
    dead, ours, alive = dead_process(), os.getpid(), os.getppid()
    for number in (dead, ours, 10**30, 0):
        folder = tmp_path / "sft" / "checkpoints" / f".step-000004.partial-{number}"
        folder.mkdir()
        (folder / "model.safetensors").write_text("half")
    (tmp_path / "sft" / f".model.old-{dead}").mkdir()
    (tmp_path / f".odd\nname.json.partial-{dead}").write_text("half")
    (tmp_path / "sft" / "checkpoints" / f".last.partial-{dead}").symlink_to("step-000004")
    kept = [
        tmp_path / f".model.partial-{alive}",
        tmp_path / "sft" / "model.partial-1x",
        tmp_path / "sft" / f"notes.partial-{dead}",
    ]
    for file in kept:
        file.write_text("not ours to delete")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / f".x.partial-{dead}").write_text("of another folder")
    (tmp_path / "sft" / "linked").symlink_to(tmp_path / "outside")
    sweep_leftovers(tmp_path / "sft")
    assert (tmp_path / "outside" / f".x.partial-{dead}").exists()
    sweep_leftovers(tmp_path)
    left = {file for file in tmp_path.rglob("*") if not file.is_dir()}
    assert left == {*kept}
    assert list((tmp_path / "sft" / "checkpoints").iterdir()) == []


def test_the_names_of_what_is_not_whole(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "model") as partial:
        assert is_leftover(partial.name)
    assert not is_leftover(".lock")
    assert not is_leftover("model.partial-7")


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace", "mkdir"])
def test_a_full_disk_names_the_file_and_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write_text(tmp_path / "a", "old")
    with atomic_directory(tmp_path / "model") as partial:
        (partial / "weights").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        for name, write in (
            ("a", lambda: write_text(tmp_path / "a", "new")),
            ("model", lambda: atomic_directory(tmp_path / "model").__enter__()),
        ):
            if (name, call) in (("a", "mkdir"), ("model", "replace"), ("model", "fsync")):
                continue
            with pytest.raises(OSError, match="No space left") as caught:
                write()
            assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "model"]
    assert (tmp_path / "a").read_text() == "old"
    assert (tmp_path / "model" / "weights").read_text() == "old"


def test_what_a_library_says_of_the_disk_is_understood(tmp_path: Path) -> None:
    """In the words of safetensors and of tokenizers, wherever in the folder it was."""

    def rust() -> None:
        with atomic_directory(tmp_path / "model"):
            raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    def inside() -> None:
        with atomic_directory(tmp_path / "model") as partial:
            raise OSError(errno.EDQUOT, "Disk quota exceeded", str(partial / "config.json"))

    def another() -> None:
        with atomic_directory(tmp_path / "model"):
            raise FileNotFoundError(errno.ENOENT, "No such file", "rows.jsonl")

    for fail, number, name in (
        (rust, errno.ENOSPC, str(tmp_path / "model")),
        (inside, errno.EDQUOT, str(tmp_path / "model")),
        (another, errno.ENOENT, "rows.jsonl"),
    ):
        with pytest.raises(OSError, match=r".") as caught:
            fail()
        assert (caught.value.errno, caught.value.filename) == (number, name)
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_does_not_fit_names_its_file(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        append_json_line(tmp_path / "metrics.jsonl", {"step": 1})
    assert caught.value.filename == str(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize("line", [b'{"step": 2', b"\xff\n", b"1" * 5000 + b"\n", b"[" * 100_000 + b"\n"])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "m.jsonl").write_bytes(b'{"step": 1}\n' + line)
    rows = read_json_lines(tmp_path / "m.jsonl")
    assert next(rows) == {"step": 1}
    if not line.endswith(b"\n"):
        assert list(rows) == []
        return
    with pytest.raises(DataError, match=r"m\.jsonl:2: not valid JSON"):
        next(rows)


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
