import hashlib
import os
import threading
from pathlib import Path

import pytest

from whet.core import digests
from whet.core.digests import file_digest, hash_ahead, present_digests


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file whose bytes are read."""
    found: list[Path] = []
    real = digests.file_sha256

    def counted(path: Path) -> str:
        found.append(path)
        return real(path)

    monkeypatch.setattr(digests, "file_sha256", counted)
    return found


def settled(path: Path, content: bytes) -> Path:
    """A file whose times lie back far enough to be believed."""
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))
    return path


def test_a_file_that_stays_is_read_once(tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_SETTLED_NS", 0)
    file = settled(tmp_path / "a", b"weights")
    (tmp_path / "linked").symlink_to(file)
    assert {file_digest(file), file_digest(tmp_path / "linked"), file_digest(file)} == {sha256(b"weights")}
    assert read == [file]


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    """Also where its size stays and somebody puts its times back: the inode's own time tells."""
    file = settled(tmp_path / "a", b"weights")
    file_digest(file)
    settled(file, b"weighte")
    assert file_digest(file) == sha256(b"weighte")


def test_what_has_just_been_written_is_not_believed(tmp_path: Path, read: list[Path]) -> None:
    (tmp_path / "a").write_bytes(b"new")
    for _ in range(2):
        file_digest(tmp_path / "a")
    assert len(read) == 2


def test_who_asks_while_it_is_under_way_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, began, may_end = settled(tmp_path / "a", b"weights"), threading.Event(), threading.Event()

    def slow(path: Path) -> str:
        began.set()
        may_end.wait()
        return sha256(path.read_bytes())

    monkeypatch.setattr(digests, "file_sha256", slow)
    hash_ahead([file, tmp_path / "not there"])
    began.wait()
    threading.Timer(0.01, may_end.set).start()
    monkeypatch.setattr(digests, "file_sha256", lambda path: pytest.fail("read twice"))
    assert file_digest(file) == sha256(b"weights")


def test_a_file_that_cannot_be_read_is_told_each_time(tmp_path: Path) -> None:
    hash_ahead([tmp_path])
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            file_digest(tmp_path / "a")
        with pytest.raises(IsADirectoryError):
            file_digest(tmp_path)
    (tmp_path / "a").write_bytes(b"there")
    assert present_digests({"one": tmp_path / "a", "two": tmp_path / "b"}) == {"one": sha256(b"there")}


def test_a_fork_knows_that_nobody_is_computing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, began, may_end = settled(tmp_path / "a", b"weights"), threading.Event(), threading.Event()
    real = digests.file_sha256
    monkeypatch.setattr(digests, "file_sha256", lambda path: (began.set(), may_end.wait(), real(path))[2])
    hash_ahead([file])
    began.wait()
    monkeypatch.setattr(digests, "file_sha256", real)
    digests._known.__init__()  # what a child of a fork does first
    assert file_digest(file) == sha256(b"weights")
    may_end.set()
