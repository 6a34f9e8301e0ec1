"""The views of data preparation in this process and over workers of Ray Data: python benchmarks/scale.py

Every number of workers runs in a process of its own, from texts in memory to the pairs of the views near, stop and
template, once Ray is up and warm. `driver` is the CPU time of the process that asks, `all` that of it and of all it
started; `kB/row` is the driver's own peak above the texts, without what lies in Ray's shared object store. `same` says
whether all pairs and scores are those of the first number of workers, bit for bit. With --prepare the whole of
`whet data split` runs as well, from a file of rows to the manifest, Ray's start included. With --bands the steps
are timed, and rows that share a bucket of the LSH are counted, by the values of a band.
"""

import argparse
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import planted

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """Of this process and of all that descend from it, the ended ones too."""
    parent: dict[int, int] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        parent[int(entry.name)] = int(fields[1])
        used[int(entry.name)] = sum(map(int, fields[11:15])) / _TICKS

    def is_ours(process: int) -> bool:
        while process > 1 and process != os.getpid():
            process = parent.get(process, 0)
        return process == os.getpid()

    return sum(seconds for process, seconds in used.items() if is_ours(process))


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    began, driver, everything = time.perf_counter(), time.process_time(), cpu_seconds()
    result = work()
    return result, {
        "wall": time.perf_counter() - began,
        "driver": time.process_time() - driver,
        "all": cpu_seconds() - everything,
    }


@contextmanager
def own_memory() -> Iterator[list[int]]:
    """kB of this process that it shares with no other, looked at all the while."""

    def look() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))

    kb, is_over = [look()], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.01):
            kb.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield kb
    finally:
        is_over.set()
        watcher.join()


def views(texts: Sequence[str], where: Any) -> str:
    """A hash of all that the views find."""
    from whet.data.alike import views
    from whet.data.pairs import near
    from whet.data.texts import words

    names = words.names_of(texts, where)
    found = hashlib.sha256(json.dumps(names).encode())
    for pairs in (
        near.similar_pairs(texts, where=where),
        views.uncommon_pairs(texts, where),
        views.masked_pairs(texts, list(names), where),
    ):
        found.update(f"{pairs.method} {pairs.capped}".encode())
        for column in (pairs.first, pairs.second, pairs.score):
            found.update(column.tobytes())
    return found.hexdigest()


def prepared(texts: Sequence[str], workers: int) -> tuple[str, dict[str, float]]:
    """A hash of all files that `prepare` writes."""
    from whet.core.recipe import DataSettings
    from whet.data.prepare import prepare

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rows.jsonl"
        rows = ({"prompt": text, "completion": f"It is {number}."} for number, text in enumerate(texts))
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings = DataSettings(source=str(source), workers=workers, paraphrase="off")
        with own_memory() as kb:
            _, seconds = timed(lambda: prepare(settings, seed=0, out=Path(folder) / "out"))
        seconds["kb"] = (max(kb) - kb[0]) / len(texts)
        files = hashlib.sha256()
        for file in sorted((Path(folder) / "out").iterdir()):
            files.update(file.name.encode() + file.read_bytes())
    return files.hexdigest(), seconds


def bands(rows: int) -> None:
    """Rows that share a bucket and are not similar: their number grows with the square of the corpus."""
    from whet.data.pairs.exact_join import verified
    from whet.data.pairs.near import _MISSED, _minhash
    from whet.data.space.where import HERE
    from whet.data.texts.runs import Columns, run_parts, sets_in
    from whet.data.texts.words import mixed

    texts = planted.gen(rows, 0).texts
    parts, hashed = timed(lambda: list(run_parts(3, texts)))
    sets, made = timed(lambda: sets_in(HERE.blocks(parts)))
    # One row of each set, by size.
    _, first = np.unique(sets.fingerprints(), return_index=True)
    sets = sets.taken(first[np.argsort(sets.size_N[first], kind="stable")])
    columns = Columns(sets)
    began = time.process_time()
    minima = [columns.minima(number).astype(np.uint64) for number in range(48)]
    nanoseconds = (time.process_time() - began) / 48 / sets.rows * 1e9
    members = len(sets.member_M) / sets.rows
    (*_, capped), tried = timed(lambda: _minhash(sets, 0.7, HERE))
    seconds = {"words and runs": hashed["driver"], "sets": made["driver"], "32 bands": tried["driver"]}
    print("CPU s per 10^6 rows: " + ", ".join(f"{name} {value / rows * 1e6:.1f}" for name, value in seconds.items()))
    print(f"{sets.rows:,} different rows, {members:.1f} runs a row, {nanoseconds:.1f} ns a value and row")
    print(f"{len(capped)} buckets too large to try all pairs")
    print(
        f"{'values':>7}{'bands .7':>10}{'bands .8':>10}{'not similar, a row and band':>29}{'a row, 1e9 rows, .7':>21}"
    )
    for size in (4, 6, 8, 12):
        met = 0
        for start in range(0, 48, size):
            key = np.zeros(sets.rows, dtype=np.uint64)
            for value in range(start, start + size):
                key = mixed(key + minima[value])
            pairs = in_one_bucket(key)
            met += len(pairs) - len(verified(sets, pairs, 0.7)[0])
        mean = met / (48 // size) / sets.rows
        needed = [math.ceil(math.log(_MISSED) / math.log1p(-(threshold**size))) for threshold in (0.7, 0.8)]
        print(f"{size:>7}{needed[0]:>10}{needed[1]:>10}{mean:>29.5f}{mean * needed[0] * 1e9 / sets.rows:>21,.0f}")


def in_one_bucket(key: np.ndarray) -> np.ndarray:
    """Every pair of rows of one key, as first row x rows + second."""
    order = np.argsort(key, kind="stable")
    key, pairs = key[order], [order[:0]]
    active = np.arange(len(key) - 1)
    for distance in range(1, len(key)):
        active = active[active < len(key) - distance]
        active = active[key[active] == key[active + distance]]
        if not len(active):
            break
        pairs.append(order[active] * len(key) + order[active + distance])
    return np.sort(np.concatenate(pairs))


def work(workers: int, rows: int, whole: bool) -> None:
    from whet.data.space.distributed import working

    texts = planted.gen(rows, 0).texts
    began = time.perf_counter()
    with working(workers) as where:
        views(texts[:2000], where)
        start_s = time.perf_counter() - began
        with own_memory() as kb:
            found, seconds = timed(lambda: views(texts, where))
        row: dict[str, Any] = {"found": found, "start": start_s, "kb": (max(kb) - kb[0]) / rows} | seconds
    if whole:
        row["files"], row["prepare"] = prepared(texts, workers)
    sys.stdout.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--workers", default="0,1,2", help="comma-separated")
    parser.add_argument("--prepare", action="store_true", help="the whole of `whet data split` too")
    parser.add_argument("--bands", action="store_true", help="what more values a band would bring, instead")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only is not None:
        work(arguments.only, arguments.rows, arguments.prepare)
        return
    if arguments.bands:
        bands(arguments.rows)
        return
    print(f"{arguments.rows:,} rows, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{'workers':<9}{'start s':>8}{'wall s':>8}{'driver':>8}{'all':>8}{'rows/s':>9}{'kB/row':>8}  same")
    first: dict[str, Any] = {}
    for workers in map(int, arguments.workers.split(",")):
        command = [sys.executable, __file__, "--only", str(workers), "--rows", str(arguments.rows)]
        command += ["--prepare"] if arguments.prepare else []
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        first = first or row
        cells = f"{row['start']:>8.1f}{row['wall']:>8.2f}{row['driver']:>8.2f}{row['all']:>8.2f}"
        cells += f"{arguments.rows / row['wall']:>9,.0f}{row['kb']:>8.2f}"
        print(f"{workers:<9}{cells}  {row['found'] == first['found']}")
        if arguments.prepare:
            cells = "".join(f"{row['prepare'][name]:>8.2f}" for name in ("wall", "driver", "all"))
            rate = arguments.rows / row["prepare"]["wall"]
            print(f"  prepare{'':>8}{cells}{rate:>9,.0f}{row['prepare']['kb']:>8.2f}  {row['files'] == first['files']}")


if __name__ == "__main__":
    main()
