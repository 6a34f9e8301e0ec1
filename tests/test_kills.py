"""SIGKILL over the whole life of a run, at its file operations one by one: it goes on, and ends in the same bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_run import assert_same_run

from whet.core.files import is_leftover

KILLING = Path(__file__).with_name("killing.py")
# From the first second to the last: before each of these names appears, or before the file that becomes it is begun.
MOMENTS = """
mkdir .
open .lock
open .resolved.yaml.partial
rename resolved.yaml
open .recipe.yaml.partial
rename recipe.yaml
rename environment.json
mkdir data
open data/.ft_train.parquet.partial
rename data/final.parquet
rename data/manifest.json
rename data/complete.json
rename sft/inputs.json
open sft/metrics.jsonl
rename sft/checkpoints/step-000002
symlink sft/checkpoints/.last.partial
rename sft/checkpoints/best
rename sft/model
rename sft/complete.json
rename reward_model/checkpoints/step-000004
rename reward_model/model
rename rl/rollouts/step-000002.jsonl
open rl/metrics.jsonl
rename rl/checkpoints/last
rename rl/complete.json
rename evaluation/items/sft.jsonl
rename evaluation/results.json
rename report.html
""".strip().splitlines()


def kills(recipe: Path, run: Path, *words: str) -> list[str]:
    """The operations before which a process died; the last one went through."""
    done = subprocess.run(
        [sys.executable, str(KILLING), str(recipe), str(run), *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    died, status = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    return list(died)


def assert_whole(run: Path, finished_run: Path) -> None:
    assert_same_run(finished_run, run)
    assert [path for path in run.rglob("*") if is_leftover(path.name)] == []
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if "checkpoints" not in path.parts}
    assert names == {
        path.relative_to(finished_run).as_posix() for path in finished_run.rglob("*") if "checkpoints" not in path.parts
    }


def test_death_at_any_name_changes_nothing(finished_run: Path, least_recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    assert kills(least_recipe, run, *MOMENTS) == MOMENTS
    assert_whole(run, finished_run)


@pytest.mark.slow
def test_death_at_every_file_operation_changes_nothing(finished_run: Path, least_recipe: Path, tmp_path: Path) -> None:
    """Each process dies one operation after the last, and the next goes on from what that left."""
    run = tmp_path / "killed"
    died = kills(least_recipe, run, "each")
    assert len(died) >= 200
    appearing = [name for name in died if name.startswith(("rename", "symlink", "mkdir"))]
    assert len(appearing) >= 100
    assert_whole(run, finished_run)
