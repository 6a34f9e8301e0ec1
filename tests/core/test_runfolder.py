import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from whet.core.errors import RunFolderError
from whet.core.recipe import DataSettings, Recipe, SftSettings, TemplateSettings
from whet.core.recipe.text import read_yaml
from whet.core.runfolder import RunFolder, resolved_yaml

HOLD = """
import sys, time
from pathlib import Path
from whet.core.recipe import Recipe
from whet.core.runfolder import RunFolder
folder = RunFolder(Path(sys.argv[1]), Recipe())
print("held", flush=True)
time.sleep(600)
"""


def test_one_run_per_folder_and_death_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "r")], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder, holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunFolderError, match=rf"in use by process {holder.pid} on "):
            RunFolder(tmp_path / "r", Recipe())
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    RunFolder(tmp_path / "r", Recipe()).close()


def test_another_recipe_is_refused_by_what_differs(tmp_path: Path) -> None:
    RunFolder(tmp_path / "r", Recipe(seed=0)).close()
    with RunFolder(tmp_path / "r", Recipe(seed=1)) as folder:  # nothing was done yet: a mended recipe may take over
        folder.record("data").finish({})
    with pytest.raises(RunFolderError) as caught:
        RunFolder(tmp_path / "r", Recipe(seed=2, sft=SftSettings()))
    lines = str(caught.value).splitlines()
    assert "  seed: 1 in the folder, 2 now" in lines
    assert "  sft: None in the folder, nothing now" in lines
    assert "  sft.batch_size: nothing in the folder, 16 now" in lines
    RunFolder(tmp_path / "r", Recipe(seed=1, name="renamed", device="cpu")).close()


@pytest.mark.parametrize("name", ["thesis.txt", "recipe.yaml", ".git", "environment.json"])
def test_a_folder_of_other_things_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    for _ in range(2):
        with pytest.raises(RunFolderError, match=rf"not empty \({name}\)"):
            RunFolder(tmp_path, Recipe())
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


KILLED = """
import os, sys
from pathlib import Path
from whet.core.recipe import Recipe
from whet.core.runfolder import RunFolder

def kill(event, arguments):
    global left
    if event in ("open", "os.mkdir", "os.rename") and sys.argv[1] in str(arguments[0]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)

for moment in range(int(sys.argv[2])):
    pid = os.fork()
    if pid == 0:
        left = moment
        sys.addaudithook(kill)
        RunFolder(Path(sys.argv[1], str(moment)), Recipe(seed=3))
        os._exit(0)
    os.waitpid(pid, 0)
"""
FIRST = ("environment.json", "recipe.yaml", "resolved.yaml")


def test_killed_at_any_moment_of_its_first_second_the_same_command_goes_on(tmp_path: Path) -> None:
    """SIGKILL before each file operation in turn; whatever is there then, the folder is taken, and left whole."""
    moments = 18
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(moments)], check=True)
    whole = [set(FIRST) <= {file.name for file in folder.iterdir()} for folder in sorted(tmp_path.iterdir())]
    assert 8 <= whole.count(False) < moments - 2  # the last ones were not killed any more
    for moment in range(moments):
        RunFolder(tmp_path / str(moment), Recipe(seed=3)).close()
        assert {file.name for file in (tmp_path / str(moment)).iterdir()} == {".lock", *FIRST}
        assert "seed: 3\n" in (tmp_path / str(moment) / "resolved.yaml").read_text()


def test_the_folder_holds_no_path_and_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary-secret")
    with RunFolder(tmp_path / "r", Recipe()) as folder:
        folder.record("data").finish({"rows": 3})
        assert folder.stage_complete("data") == {"rows": 3, "inputs": {}, "outputs": {}}
        assert folder.stage_complete("sft") is None
    text = "".join(path.read_text() for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert "canary-secret" not in text
    assert str(tmp_path) not in text


def test_a_damaged_folder_is_refused_by_name(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "r", Recipe()) as folder:
        folder.record("data").finish({})
    (tmp_path / "r" / "resolved.yaml").write_text("seed: [")
    with pytest.raises(RunFolderError, match=r"r/resolved\.yaml: damaged or edited \(resolved\.yaml:1: not valid YAML"):
        RunFolder(tmp_path / "r", Recipe())


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunFolderError, match=r"file/r: cannot make the run folder \(Not a directory\)"):
        RunFolder(tmp_path / "file" / "r", Recipe())
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".lock").symlink_to(tmp_path / "file")
    with pytest.raises(RunFolderError, match="r: cannot be written to"):
        RunFolder(tmp_path / "r", Recipe())
    assert (tmp_path / "file").read_text() == "mine"


def test_resolved_says_where_a_list_came_from() -> None:
    text = resolved_yaml(
        Recipe(data=DataSettings(source=("a", "b"))).model_dump(mode="json"), {"data.source": "x.yaml:2"}
    )
    assert "  source: [a, b]  # x.yaml:2\n" in text


def test_a_setting_of_several_lines_stands_on_one() -> None:
    settings = Recipe(template=TemplateSettings(system="Think.\n\nThen answer.")).model_dump(mode="json")
    text = resolved_yaml(settings, {"template.system": "x.yaml:2"})
    assert '  system: "Think.\\n\\nThen answer."  # x.yaml:2\n' in text


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text() | st.just("a\u2028b\n"),
)
def test_any_text_survives_in_resolved_yaml(source: list[str], system: str, origin: str) -> None:
    settings = Recipe(data=DataSettings(source=tuple(source)), template=TemplateSettings(system=system)).model_dump(
        mode="json"
    )
    text = resolved_yaml(settings, {"data.source": origin, "template.system": origin})
    assert read_yaml(text, "resolved.yaml")[0] == settings
    assert yaml.safe_load(text) == settings
