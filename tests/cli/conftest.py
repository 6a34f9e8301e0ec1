"""The command line as a function."""

from collections.abc import Callable
from pathlib import Path

import pytest

from whet.cli import main

Whet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def whet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Whet:
    """Run a command in a fresh folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
