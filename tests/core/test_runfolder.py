import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from whet.core.errors import RunFolderError
from whet.core.recipe import Recipe, SftSettings
from whet.core.runfolder import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from whet.core.recipe import Recipe
from whet.core.runfolder import RunFolder
folder = RunFolder(Path(sys.argv[1]), Recipe())
print("held", flush=True)
time.sleep(60)
"""


def test_one_run_per_folder_and_death_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "r")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        began = time.monotonic()
        with pytest.raises(RunFolderError, match=rf"in use by process {holder.pid} on "):
            RunFolder(tmp_path / "r", Recipe())
        assert time.monotonic() - began < 5
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    RunFolder(tmp_path / "r", Recipe()).close()


def test_another_recipe_is_refused_by_what_differs(tmp_path: Path) -> None:
    RunFolder(tmp_path / "r", Recipe(seed=0)).close()
    with RunFolder(tmp_path / "r", Recipe(seed=1)) as folder:  # nothing was done yet: a mended recipe may take over
        folder.mark_complete("data", {})
    with pytest.raises(RunFolderError) as caught:
        RunFolder(tmp_path / "r", Recipe(seed=2, sft=SftSettings()))
    assert "seed: 1 in the folder, 2 now" in str(caught.value)
    RunFolder(tmp_path / "r", Recipe(seed=1, name="renamed", device="cpu")).close()


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunFolderError, match=r"not empty \(thesis\.txt\)"):
        RunFolder(tmp_path, Recipe())
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_the_folder_holds_no_path_and_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary-secret")
    with RunFolder(tmp_path / "r", Recipe()) as folder:
        folder.mark_complete("data", {"rows": 3})
        assert folder.stage_complete("data") == {"rows": 3}
        assert folder.stage_complete("sft") is None
    text = "".join(path.read_text() for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert "canary-secret" not in text
    assert str(tmp_path) not in text
