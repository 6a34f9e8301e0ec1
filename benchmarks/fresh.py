"""A tool in a process of its own: what it gave, its CPU seconds, and its peak memory above the texts it was given.

A benchmark calls `run_tools`; its own script is started once per tool and round with `--worker`, and calls `worker`.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Arrays", "Run", "run_tools", "worker"]

Arrays = dict[str, np.ndarray]
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one tool gave (in its last round), with the CPU seconds of every round."""

    cpu_s: list[float]
    wall_s: list[float]
    kb: float
    found: Arrays

    @property
    def seconds(self) -> float:
        return statistics.median(self.cpu_s)


def run_tools(
    script: str, tools: Sequence[str], texts: Mapping[str, Sequence[str]], *, threshold: float, rounds: int
) -> dict[str, Run]:
    """Every tool in each round, one after the other. `texts` are the tool's arguments by name."""
    stats: dict[str, list[dict[str, float]]] = defaultdict(list)
    found: dict[str, Arrays] = {}
    environment = os.environ | dict.fromkeys(_ONE_THREAD, "1")
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in texts.items():
            with (Path(folder) / f"{name}.jsonl").open("w", encoding="utf-8") as lines:
                lines.writelines(json.dumps(row) + "\n" for row in rows)
        for _ in range(rounds):
            for tool in tools:
                command = [sys.executable, script, "--worker", tool, "--folder", folder, "--threshold", str(threshold)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
                if done.returncode:
                    raise SystemExit(f"{tool} failed with exit code {done.returncode}; its message stands above")
                stats[tool].append(json.loads(done.stdout.splitlines()[-1]))
                with np.load(Path(folder) / "found.npz") as loaded:
                    found[tool] = dict(loaded)
    return {
        tool: Run(
            cpu_s=[each["cpu_s"] for each in stats[tool]],
            wall_s=[each["wall_s"] for each in stats[tool]],
            kb=statistics.median(each["kb"] for each in stats[tool]),
            found=found[tool],
        )
        for tool in tools
    }


def worker(
    folder: Path,
    names: Sequence[str],
    run: Callable[..., Arrays],
    warm_up: Mapping[str, Sequence[str]],
    prepare: Callable[[Sequence[str]], Sequence[Any]] = lambda texts: texts,
) -> None:
    """Runs once on `warm_up`, as imports are not the work, and once on the texts; leaves the result in the folder.

    `prepare` is done to each list of texts before the clock starts.
    """
    arguments = {}
    for name in names:
        with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
            arguments[name] = prepare([json.loads(line) for line in lines])
    run(**{name: prepare(texts) for name, texts in warm_up.items()})
    before = _memory_kb(peak=False)
    began, began_wall = time.process_time(), time.perf_counter()
    found = run(**arguments)
    stats = {"cpu_s": time.process_time() - began, "wall_s": time.perf_counter() - began_wall}
    stats["kb"] = max(0, _memory_kb(peak=True) - before)
    np.savez(folder / "found.npz", **found)
    sys.stdout.write(json.dumps(stats) + "\n")


def _memory_kb(*, peak: bool) -> int:
    """Of this process alone: on Linux the resource module's peak is the parent's where that is larger."""
    status = Path("/proc/self/status")
    if status.exists():
        wanted = "VmHWM:" if peak else "VmRSS:"
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(wanted))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
