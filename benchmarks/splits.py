"""The splitter among planted strata, against scikit-learn's: python benchmarks/splits.py

A million clusters, 1.57 million rows, 8 strata, to .90/.05/.05. Each tool splits the corpus and then the same corpus
with 1 % more rows, half of them in old clusters; held-out rows that are elsewhere the second time have been moved. CPU
seconds are those of the work, from the first row of each row's cluster to a purpose for each row; tools alternate.

GroupShuffleSplit splits twice, StratifiedGroupKFold takes two of 20 folds and only 20,000 clusters, and `hash` places
each cluster by its hash alone, as many loaders do. Errors are rows beyond what was asked; in strata, beyond the
stratum's share of the purpose, where less than one row is rounding.

The last line is JSON: `ratios` are ours / peer in rows per second and what was measured of ours, `targets` what is
asked for, `fraction_of_limit` the time of one sort of the hashes and one look-up for each row as a share of ours.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from whet.core.recipe import SizeSettings
from whet.core.records import PURPOSES
from whet.data.splits.place import ClusterTable, place, positions
from whet.data.splits.sizes import needs_of

RATIOS = (0.9, 0.05, 0.05)
NAMES = ("ft_train", "ft_validation", "ft_test")
SIZES = SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | dict(zip(NAMES, RATIOS, strict=True)))
STRATA = (0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02)
CLUSTER_ROWS, CLUSTER_SHARES = (1, 2, 3, 4, 6), (0.70, 0.16, 0.07, 0.04, 0.03)
GROWTH, FOLDED_CLUSTERS = 0.01, 20_000
TARGETS = {
    "GroupShuffleSplit": 2.0,
    "StratifiedGroupKFold": 500.0,
    "cpu_s": 0.5,
    "size_error_rows": 0,
    "stratum_error_rows": 1,
    "held_out_moved_percent": 0.07,
    "held_out_moved_percent_with_pins": 0,
    "giant_size_error_rows": 0,
}


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """`of_row[r]` is the first row of row r's cluster; `stratum_C` and `key_C` are those of these rows, in order."""

    of_row: np.ndarray
    stratum_C: np.ndarray
    key_C: np.ndarray


def corpus_of(clusters: int, *, seed: int) -> Corpus:
    random = np.random.default_rng(seed)
    rows = random.choice(CLUSTER_ROWS, p=CLUSTER_SHARES, size=clusters)
    cluster_R = random.permutation(np.repeat(np.arange(clusters), rows))
    _, first_C, cluster_R = np.unique(cluster_R, return_index=True, return_inverse=True)
    return Corpus(
        of_row=first_C[cluster_R],
        stratum_C=random.choice(len(STRATA), p=STRATA, size=clusters),
        key_C=random.integers(0, 2**64, size=clusters, dtype=np.uint64),
    )


def grown(corpus: Corpus, *, seed: int) -> Corpus:
    """One row in a hundred more, after the old ones: half of them like an old row, half of them like none."""
    random = np.random.default_rng(seed)
    rows = len(corpus.of_row)
    more = round(rows * GROWTH)
    fresh = corpus_of(more, seed=seed + 1)
    new = np.arange(rows + more // 2, rows + more)
    return Corpus(
        of_row=np.concatenate([corpus.of_row, random.choice(corpus.of_row, size=more // 2), new]),
        stratum_C=np.concatenate([corpus.stratum_C, fresh.stratum_C[: len(new)]]),
        key_C=np.concatenate([corpus.key_C, fresh.key_C[: len(new)]]),
    )


def with_giant(corpus: Corpus) -> Corpus:
    """The same after one more cluster of the first stratum, which has a fifth of all rows."""
    giant = len(corpus.of_row) // 4
    return Corpus(
        of_row=np.concatenate([np.zeros(giant, dtype=np.int64), corpus.of_row + giant]),
        stratum_C=np.append(0, corpus.stratum_C),
        key_C=np.append(np.uint64(7), corpus.key_C),
    )


def numbered(of_row: np.ndarray) -> np.ndarray:
    """The place of each row's cluster among the clusters."""
    return (np.cumsum(of_row == np.arange(len(of_row))) - 1)[of_row]


# The tools: a corpus, and for ours what its old rows were, to the number of a purpose for each row.


def ours(corpus: Corpus, earlier_R: np.ndarray | None = None) -> np.ndarray:
    cluster_R = numbered(corpus.of_row)
    rows_C = np.bincount(cluster_R)
    kept, kept_rows = np.full(len(rows_C), -1, dtype=np.int8), np.zeros(len(rows_C), dtype=np.int64)
    if earlier_R is not None:
        old = cluster_R[: len(earlier_R)]
        kept[old] = earlier_R
        kept_rows = np.bincount(old, minlength=len(rows_C))
    usable_PC = np.zeros((len(PURPOSES), len(rows_C)), dtype=np.int64)
    usable_PC[: len(NAMES)] = rows_C
    kind = np.zeros(len(rows_C), dtype=np.int8)
    table = ClusterTable(
        key=corpus.key_C,
        usable_PC=usable_PC,
        kind=kind,
        stratum=corpus.stratum_C,
        kept=kept,
        kept_rows=kept_rows,
    )
    return place(table, needs_of(SIZES, usable_PC, kind), seed=0).purpose[cluster_R]


def pure_hash(corpus: Corpus) -> np.ndarray:
    purpose_C = np.searchsorted(np.cumsum(RATIOS)[:-1], positions(corpus.key_C, 0), side="right")
    return purpose_C.astype(np.int8)[numbered(corpus.of_row)]


def group_shuffle(corpus: Corpus) -> np.ndarray:
    from sklearn.model_selection import GroupShuffleSplit

    purpose = np.zeros(len(corpus.of_row), dtype=np.int8)
    groups = corpus.of_row
    _, held_out = next(GroupShuffleSplit(1, test_size=0.1, random_state=0).split(groups, groups=groups))
    purpose[held_out] = 1
    halves = GroupShuffleSplit(1, test_size=0.5, random_state=0).split(held_out, groups=groups[held_out])
    purpose[held_out[next(halves)[1]]] = 2
    return purpose


def stratified_folds(corpus: Corpus) -> np.ndarray:
    from sklearn.model_selection import StratifiedGroupKFold

    purpose = np.zeros(len(corpus.of_row), dtype=np.int8)
    folds = StratifiedGroupKFold(n_splits=20, shuffle=True, random_state=0)
    strata = corpus.stratum_C[numbered(corpus.of_row)]
    for number, (_, fold) in zip((1, 2), folds.split(strata, strata, groups=corpus.of_row), strict=False):
        purpose[fold] = number
    return purpose


# The judgement.


@dataclass(frozen=True, kw_only=True)
class Verdict:
    rows_per_s: float
    cpu_s: float
    size_errors: list[int]
    stratum_error: float
    stratum_points: float
    moved: float
    held_out_moved: float
    is_whole: bool  # no cluster is parted


def size_errors(purpose_R: np.ndarray) -> list[int]:
    """Rows beyond what was asked; for sizes that are no whole numbers, beyond the nearest ones."""
    off = np.bincount(purpose_R, minlength=len(NAMES)) - np.array(RATIOS) * len(purpose_R)
    return [int(value) for value in np.trunc(off)]


def stratum_errors(corpus: Corpus, purpose_R: np.ndarray) -> tuple[float, float]:
    """The largest one, in rows and in per cent of the purpose."""
    stratum_R = corpus.stratum_C[numbered(corpus.of_row)]
    given = np.bincount(purpose_R * len(STRATA) + stratum_R, minlength=len(NAMES) * len(STRATA))
    given = given.reshape(len(NAMES), len(STRATA))
    off = np.abs(given - given.sum(axis=1, keepdims=True) * given.sum(axis=0) / len(purpose_R))
    return float(off.max()), float((100 * off / given.sum(axis=1, keepdims=True)).max())


def is_whole(corpus: Corpus, purpose_R: np.ndarray) -> bool:
    return bool((purpose_R[corpus.of_row] == purpose_R).all())


def timed(split: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    began = time.process_time()
    purpose_R = split()
    return time.process_time() - began, purpose_R


def judged(corpus: Corpus, seconds: float, before: np.ndarray, more: Corpus, after: np.ndarray) -> Verdict:
    is_moved, held_out = before != after[: len(before)], before > 0
    error, points = stratum_errors(corpus, before)
    return Verdict(
        rows_per_s=len(before) / seconds,
        cpu_s=seconds,
        size_errors=size_errors(before),
        stratum_error=error,
        stratum_points=points,
        moved=100 * float(is_moved.mean()),
        held_out_moved=100 * float(is_moved[held_out].mean()),
        is_whole=is_whole(corpus, before) and is_whole(more, after),
    )


def measured(
    tools: dict[str, Callable[[Corpus], np.ndarray]], corpus: Corpus, more: Corpus, *, rounds: int
) -> dict[str, Verdict]:
    """Every tool on the corpus and on the grown one, alternating; the median of the seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(rounds):
        for name, tool in tools.items():
            seconds[name].append(timed(lambda tool=tool: tool(corpus))[0])  # type: ignore[misc]
    return {
        name: judged(corpus, statistics.median(seconds[name]), tool(corpus), more, tool(more))
        for name, tool in tools.items()
    }


def limit_seconds(corpus: Corpus) -> float:
    """One sort of the hashes, one look-up for each row."""
    place_C, cluster_R = np.zeros(len(corpus.key_C), dtype=np.int8), numbered(corpus.of_row)
    return min(timed(lambda: np.append(np.sort(corpus.key_C)[:1], place_C[cluster_R][:1]))[0] for _ in range(5))


def line(name: str, verdict: Verdict) -> str:
    errors = " ".join(f"{error:+d}" for error in verdict.size_errors)
    return (
        f"{name:<27}{verdict.cpu_s:>8.2f}{verdict.rows_per_s:>13,.0f}{errors:>24}{verdict.stratum_error:>10.1f}"
        f"{verdict.stratum_points:>8.2f}{verdict.moved:>9.3f}{verdict.held_out_moved:>9.3f}"
        f"{'' if verdict.is_whole else '  PARTED'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clusters", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    corpus = corpus_of(arguments.clusters, seed=0)
    more = grown(corpus, seed=1)
    tools = {"whet": ours, "hash": pure_hash, "GroupShuffleSplit": group_shuffle}
    print(f"{len(corpus.key_C):,} clusters, {len(corpus.of_row):,} rows, then {len(more.of_row):,}")
    print(
        f"{'':<27}{'CPU s':>8}{'rows/s':>13}{'size errors':>24}{'stratum':>10}{'points':>8}{'moved %':>9}{'held %':>9}"
    )
    found = measured(tools, corpus, more, rounds=arguments.rounds)
    before = ours(corpus)
    runs = [timed(lambda: ours(more, before)) for _ in range(arguments.rounds)]
    pins = judged(corpus, statistics.median(seconds for seconds, _ in runs), before, more, runs[0][1])
    few = corpus_of(min(arguments.clusters, FOLDED_CLUSTERS), seed=0)
    folds = measured({"StratifiedGroupKFold": stratified_folds}, few, grown(few, seed=1), rounds=1)
    giant = with_giant(corpus)
    more_giant = grown(giant, seed=1)
    with_one = measured(tools, giant, more_giant, rounds=1)
    for name, verdict in [("whet", found["whet"]), ("whet with pins", pins), *list((found | folds).items())[1:]]:
        print(line(name, verdict))
    for name, verdict in with_one.items():
        print(line(f"{name}, a giant", verdict))
    pinned_sizes = size_errors(runs[0][1])
    print(f"with pins, grown: size errors {pinned_sizes}, in strata {stratum_errors(more, runs[0][1])[0]:.1f}")
    mine = found["whet"]
    ratios = {
        "GroupShuffleSplit": round(mine.rows_per_s / found["GroupShuffleSplit"].rows_per_s, 1),
        "StratifiedGroupKFold": round(mine.rows_per_s / folds["StratifiedGroupKFold"].rows_per_s),
        "cpu_s": round(mine.cpu_s, 3),
        "size_error_rows": max(map(abs, mine.size_errors + pinned_sizes)),
        "stratum_error_rows": round(mine.stratum_error, 2),
        "held_out_moved_percent": round(mine.held_out_moved, 3),
        "held_out_moved_percent_with_pins": round(pins.held_out_moved, 3),
        "giant_size_error_rows": max(map(abs, with_one["whet"].size_errors)),
    }
    fractions = {"split": round(limit_seconds(corpus) / mine.cpu_s, 3)}
    machine = f"{platform.machine()}, one thread, numpy {np.__version__}"
    print(json.dumps({"ratios": ratios, "targets": TARGETS, "fraction_of_limit": fractions, "machine": machine}))


if __name__ == "__main__":
    main()
