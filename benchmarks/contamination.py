"""Which training rows are in the held-out rows: against datasketch and a dictionary: python benchmarks/contamination.py

A tenth of a planted corpus is held out, the rest is training. One thread, a process of its own for each tool,
alternating; CPU seconds from texts in memory to pairs.

- `whet near`: every pair with a similarity of the threshold at least, exact; compared with all pairs of few rows first
- `whet all rules`: exact, near, template and n-gram rules together; the strongest for each training row, so few pairs
- `whet and paraphrases`: the same with the paraphrase rule, which is looked for where no other hit
- `datasketch`: MinHashLSH 128 of the held-out side, asked for each training row, checked on the sketch
- `13-grams`: a dictionary of the held-out runs of 13 words, in plain Python

The last line is JSON: `ratios` are ours / peer in rows per second, `targets` what the project asks for.
"""

import argparse
import json
import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import planted
from dedupe import empty_index, minhashes, runs_of_words, sort_seconds
from fresh import Arrays, Run, run_tools, worker

TARGETS = {"whet near vs datasketch": 4.0, "whet all rules vs 13-grams": 1.0, "whet all rules rows/s": 30_000}
_COMPARED = (("whet near", "datasketch"), ("whet all rules", "13-grams"))
_OF_RECORDS = ("whet all rules", "whet and paraphrases")
_LONG_RUN = 13
_CHUNK = 8192
_FEW = 400  # held out, against eight times as many, in plain Python


def whet_near(held_out: Sequence[str], training: Sequence[str], threshold: float) -> Arrays:
    from whet.data.pairs import overlap

    found = overlap.overlaps(held_out, training, threshold)
    return {"held_out": found.held_out, "training": found.row}


def whet_all(held_out: Sequence[Any], training: Sequence[Any], threshold: float, *, paraphrase: str = "off") -> Arrays:
    """Records in, the strongest rule of each row that is hit out; the thresholds are the product's own."""
    from whet.data.contamination.benchmark import Benchmark

    sample = [record.messages[0].content for record in training[:20_000]]
    benchmark = Benchmark(held_out, sample, paraphrase=paraphrase)
    return _columns(
        (hit.benchmark_row, start + place)
        for start in range(0, len(training), _CHUNK)
        for place, hit in benchmark.hits(training[start : start + _CHUNK])
    )


def records(texts: Sequence[str]) -> list[Any]:
    from whet.core.records import Message, Origin, Prompt

    return [
        Prompt(messages=(Message(role="user", content=text),), origin=Origin(source="b", row=row))
        for row, text in enumerate(texts)
    ]


def datasketch(held_out: Sequence[str], training: Sequence[str], threshold: float) -> Arrays:
    index = empty_index(threshold)
    sketches = list(minhashes(held_out))
    for row, sketch in enumerate(sketches):
        index.insert(row, sketch, check_duplication=False)
    return _columns(
        (other, row)
        for row, sketch in enumerate(minhashes(training))
        for other in index.query(sketch)
        if sketch.jaccard(sketches[other]) >= threshold
    )


def long_runs(held_out: Sequence[str], training: Sequence[str], threshold: float) -> Arrays:
    rows_with: dict[str, set[int]] = defaultdict(set)
    for row, text in enumerate(held_out):
        for run in runs_of_words(text, _LONG_RUN):
            rows_with[run].add(row)
    none: set[int] = set()
    return _columns(
        (other, row)
        for row, text in enumerate(training)
        for other in none.union(*(rows_with.get(run, none) for run in runs_of_words(text, _LONG_RUN)))
    )


TOOLS: dict[str, Callable[[Sequence[Any], Sequence[Any], float], Arrays]] = {
    "whet near": whet_near,
    "whet all rules": whet_all,
    "whet and paraphrases": partial(whet_all, paraphrase="words"),
    "datasketch": datasketch,
    "13-grams": long_runs,
}


def _columns(pairs: Iterable[tuple[int, int]]) -> Arrays:
    flat = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return {"held_out": flat[:, 0], "training": flat[:, 1]}


def pairs_of(found: Arrays) -> set[tuple[int, int]]:
    return set(zip(found["held_out"].tolist(), found["training"].tolist(), strict=True))


def every_pair(held_out: Sequence[str], training: Sequence[str], threshold: float) -> set[tuple[int, int]]:
    """Brute force, in plain Python."""
    left = [set(planted.shingles(text, 3)) for text in held_out]
    right = [set(planted.shingles(text, 3)) for text in training]
    return {
        (row, other)
        for other, runs in enumerate(right)
        for row, held in enumerate(left)
        if held and len(held & runs) >= threshold * len(held | runs) - 1e-9
    }


def check_against_every_pair(corpus: planted.Corpus, threshold: float) -> int:
    """How many pairs both find among few rows; they must be the same."""
    held_out, training = corpus.texts[:_FEW], corpus.texts[_FEW : 9 * _FEW]
    wanted = every_pair(held_out, training, threshold)
    found = pairs_of(whet_near(held_out, training, threshold))
    if found != wanted:
        raise SystemExit(f"near rule: {len(found - wanted)} pairs too many, {len(wanted - found)} missing")
    return len(wanted)


def work(tool: str, folder: Path, threshold: float) -> None:
    def run(held_out: Sequence[str], training: Sequence[str]) -> Arrays:
        return TOOLS[tool](held_out, training, threshold)

    few = ["one two three four five", "one two three four six", "seven eight nine"]
    worker(
        folder,
        ["held_out", "training"],
        run,
        {"held_out": few, "training": few},
        records if tool in _OF_RECORDS else list,
    )


def table(runs: dict[str, Run], corpus: planted.Corpus, held_out: int, threshold: float) -> None:
    """Recall is of the training rows with a planted twin, of a true similarity of the threshold, on the other side."""
    across = [pair for pair in corpus.pairs if (pair.first < held_out) != (pair.second < held_out)]
    values = planted.true_jaccards(corpus, across)
    ends = [sorted((pair.first, pair.second)) for pair, value in zip(across, values, strict=True) if value >= threshold]
    known = {second - held_out for _, second in ends}
    head = f"{'CPU s':>9}{'min':>8}{'max':>8}{'rows/s':>10}{'pairs':>11}{'rows hit':>10}{'recall':>9}{'MB':>7}"
    print(
        f"{held_out:,} held out, {len(corpus.texts) - held_out:,} training, {len(known):,} of them with a planted twin"
    )
    print(f"{'tool':<22}{head}{'kB/row':>8}")
    for tool, run in runs.items():
        hit, rows = set(run.found["training"].tolist()), len(corpus.texts)
        cells = f"{run.seconds:>9.2f}{min(run.cpu_s):>8.2f}{max(run.cpu_s):>8.2f}{rows / run.seconds:>10,.0f}"
        cells += f"{len(run.found['training']):>11,}{len(hit):>10,}{len(known & hit) / len(known):>9.4f}"
        print(f"{tool:<22}{cells}{run.kb / 1024:>7.0f}{run.kb / rows:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--corpus", choices=["gen", "markov"], default="gen")
    parser.add_argument("--threshold", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tools", default=",".join(TOOLS), help="comma-separated")
    parser.add_argument("--data", type=Path, default=planted.DATA, help="folder of the public data sets")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.folder, arguments.threshold)
        return
    make = planted.maker(arguments.corpus, arguments.data)
    found = check_against_every_pair(make(9 * _FEW, arguments.seed), arguments.threshold)
    print(f"equal to brute force on {_FEW:,} x {8 * _FEW:,} rows: {found} pairs")
    corpus = make(arguments.rows, arguments.seed)
    held_out = arguments.rows // 10
    texts = {"held_out": corpus.texts[:held_out], "training": corpus.texts[held_out:]}
    runs = run_tools(
        __file__, arguments.tools.split(","), texts, threshold=arguments.threshold, rounds=arguments.rounds
    )
    table(runs, corpus, held_out, arguments.threshold)
    ratios: dict[str, Any] = {
        f"{ours} vs {peer}": round(runs[peer].seconds / runs[ours].seconds, 2)
        for ours, peer in _COMPARED
        if ours in runs and peer in runs
    }
    if "whet all rules" in runs and arguments.corpus == "markov":
        ratios["whet all rules rows/s"] = round(len(corpus.texts) / runs["whet all rules"].seconds)
    machine = f"{platform.machine()}, 1 thread, Python {platform.python_version()}, numpy {np.__version__}"
    limit = {
        tool: round(sort_seconds(corpus) / run.seconds, 3) for tool, run in runs.items() if tool in dict(_COMPARED)
    }
    result = {"ratios": ratios, "targets": {name: TARGETS[name] for name in ratios}, "fraction_of_limit": limit}
    print(json.dumps(result | {"machine": machine}))


if __name__ == "__main__":
    main()
