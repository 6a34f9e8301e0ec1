"""A disk without room, whoever writes: one line with the file, and what was saved stays saved."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from test_run import assert_same_run

from whet.core.files import is_leftover

FILLING = Path(__file__).with_name("filling.py")
# Where a run ends that may write no file beyond so many bytes, in the order of its life.
ENDS = {
    100: "resolved.yaml",
    3_500: "data/ft_train.parquet",
    20_000: "data/manifest.json",
    100_000: "sft/checkpoints/step-000002",
    4_500_000: "sft/checkpoints/step-000002",
}


def test_each_writer_is_told_and_the_run_goes_on(finished_run: Path, least_recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, str(FILLING), str(least_recipe), str(run), *map(str, ENDS), str(1 << 40)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    *refused, (status, said) = json.loads(done.stdout.splitlines()[-1])
    for (code, line), (size, name) in zip(refused, ENDS.items(), strict=True):
        expected = f"{run / name}: File too large; what was saved stays saved, and the same command goes on from there"
        assert (code, line.strip()) == (1, expected), size
    assert (status, re.sub(r"\s", "", said)) == (0, "")
    assert_same_run(finished_run, run)
    assert [path for path in run.rglob("*") if is_leftover(path.name)] == []
