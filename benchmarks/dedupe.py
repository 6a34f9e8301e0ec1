"""Near duplicates and templates among planted rows, ours against rensa and datasketch: python benchmarks/dedupe.py

Word 3-grams, one thread, each tool in a process of its own, alternating. CPU seconds are those of the work, from
texts in memory to a cluster for each row. Memory is the peak above the texts.

Recall is the share of planted pairs of a true similarity that end in one cluster, precision the share of a tool's edges
with a true similarity of the threshold at least. True is what plain Python counts over the words as whet reads them.

rensa: RMinHash 128; 16 bands as they are (its cheapest way to clusters), and 32 bands, checked on the sketch with
one standard deviation of slack. datasketch: MinHashLSH 128, xxhash, checked on the sketch. Both get the words of
`re.findall(r"\\w+", text.lower())`.

The last line is JSON: `ratios` are ours / peer in rows per second (template view: measured / wanted), `targets` what is
asked for, `fraction_of_limit` the time of one sort of all word runs as a share of ours.
"""

import argparse
import json
import math
import platform
import random
import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import planted
from fresh import Arrays, Run, run_tools, worker

TARGETS = {"rensa 16": 2.0, "rensa 32": 2.5, "datasketch": 6.0}
MILLION_TARGETS = {"rensa 16": 2.5}
GROWTH_TARGET, MEMORY_TARGET_KB = 1.15, 2.5
TEMPLATE_TARGETS = {"template": 0.99, "wrapper": 0.99, "precision": 0.998, "gsm_hard": 1318, "rows_per_s": 30_000}
_PERMUTATIONS = 128
_DEVIATION = 0.04  # of a similarity of .7 that is estimated from 128 values
_CHECKED = 20_000  # pairs whose true similarity is counted, at most

Edges = tuple[np.ndarray, np.ndarray]


# The tools: texts and a threshold in, edges out.


def ours(texts: Sequence[str], threshold: float) -> Edges:
    from whet.data.pairs import near

    pairs = near.similar_pairs(texts, size=3, threshold=threshold)
    return pairs.first, pairs.second


def ours_stop(texts: Sequence[str], threshold: float) -> Edges:
    """Without the runs that many rows share; the threshold is the view's own."""
    from whet.data.alike.views import near

    pairs = near.uncommon_pairs(texts)
    return pairs.first, pairs.second


def ours_template(texts: Sequence[str], threshold: float) -> Edges:
    """Numbers and names masked; the threshold is the view's own."""
    from whet.data.alike.views import template
    from whet.data.texts import words

    pairs = template.masked_pairs(texts, list(words.names_of(texts)))
    return pairs.first, pairs.second


def runs_of_words(text: str, size: int) -> list[str]:
    """As the peers' users write it."""
    words = re.findall(r"\w+", text.lower())
    return list(map(" ".join, zip(*(words[start:] for start in range(size)), strict=False))) or [" ".join(words)]


def _rensa(texts: Sequence[str], bands: int) -> tuple[Iterator[tuple[int, int]], dict[int, Any]]:
    """Candidates i < j. The index flags the rows that share a bucket; only those become sketches of their own."""
    from rensa import RMinHash, RMinHashLSH

    sets = [runs_of_words(text, 3) for text in texts]
    index = RMinHashLSH(threshold=0.7, num_perm=_PERMUTATIONS, num_bands=bands)
    matrix = RMinHash.digest_matrix_from_token_sets(sets, num_perm=_PERMUTATIONS, seed=42)
    flags = index.insert_matrix_and_query_duplicate_flags(matrix)
    rows = [row for row, is_flagged in enumerate(flags) if is_flagged]
    sketches = RMinHash.from_token_sets([sets[row] for row in rows], num_perm=_PERMUTATIONS, seed=42)
    found = index.query_all(sketches)
    edges = ((row, other) for row, others in zip(rows, found, strict=True) for other in others if other > row)
    return edges, dict(zip(rows, sketches, strict=True))


def rensa_16(texts: Sequence[str], threshold: float) -> Edges:
    return _columns(_rensa(texts, 16)[0])


def rensa_32(texts: Sequence[str], threshold: float) -> Edges:
    edges, sketch = _rensa(texts, 32)
    return _columns((a, b) for a, b in edges if sketch[a].jaccard(sketch[b]) >= threshold - _DEVIATION)


def minhashes(texts: Sequence[str]) -> Iterator[Any]:
    """A datasketch sketch of each text."""
    import xxhash
    from datasketch import MinHash

    sets = ([run.encode() for run in runs_of_words(text, 3)] for text in texts)
    yield from MinHash.generator(sets, num_perm=_PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)


def empty_index(threshold: float) -> Any:
    from datasketch import MinHashLSH

    return MinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS)


def datasketch_lsh(texts: Sequence[str], threshold: float) -> Edges:
    index = empty_index(threshold)
    sketches: list[Any] = []
    edges = []
    for row, sketch in enumerate(minhashes(texts)):
        edges += [(other, row) for other in index.query(sketch) if sketch.jaccard(sketches[other]) >= threshold]
        index.insert(row, sketch, check_duplication=False)
        sketches.append(sketch)
    return _columns(edges)


TOOLS: dict[str, Callable[[Sequence[str], float], Edges]] = {
    "whet": ours,
    "rensa 16": rensa_16,
    "rensa 32": rensa_32,
    "datasketch": datasketch_lsh,
    "whet stop": ours_stop,
    "whet template": ours_template,
}


def _columns(edges: Iterable[tuple[int, int]]) -> Edges:
    flat = np.array(list(edges), dtype=np.int64).reshape(-1, 2)
    return flat[:, 0], flat[:, 1]


def clusters(rows: int, edges: Edges) -> list[int]:
    """The first row of each row's cluster."""
    parent = list(range(rows))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for first, second in zip(edges[0].tolist(), edges[1].tolist(), strict=True):
        a, b = find(first), find(second)
        if a != b:
            parent[max(a, b)] = min(a, b)
    return [find(row) if above != row else row for row, above in enumerate(parent)]


def work(tool: str, folder: Path, threshold: float) -> None:
    def run(texts: Sequence[str]) -> Arrays:
        edges = TOOLS[tool](texts, threshold)
        return {"first": edges[0], "second": edges[1], "cluster": np.array(clusters(len(texts), edges))}

    worker(folder, ["texts"], run, {"texts": ["one two three four five", "one two three four six", "seven eight nine"]})


# The judgement.


def recall(cluster: np.ndarray, pairs: Sequence[planted.Pair]) -> float:
    return float(np.mean([cluster[pair.first] == cluster[pair.second] for pair in pairs])) if pairs else math.nan


def true_pairs(corpus: planted.Corpus) -> list[tuple[planted.Pair, float]]:
    """Planted pairs that a near-duplicate tool can see, each with its true similarity; a sample of many."""
    pairs = [pair for pair in corpus.pairs if pair.kind in planted.SEEN_BY_NEAR]
    pairs = random.Random(0).sample(pairs, min(_CHECKED, len(pairs)))
    return list(zip(pairs, planted.true_jaccards(corpus, pairs), strict=True))


def precision(edges: Arrays, corpus: planted.Corpus, threshold: float) -> float:
    """The share of a tool's edges with a true similarity of at least the threshold; a sample of many."""
    every = list(zip(edges["first"].tolist(), edges["second"].tolist(), strict=True))
    some = random.Random(0).sample(every, min(_CHECKED, len(every)))
    similar = [planted.jaccard(corpus.texts[a], corpus.texts[b]) >= threshold - 1e-9 for a, b in some]
    return float(np.mean(similar)) if similar else 1.0


def family_precision(edges: Arrays, corpus: planted.Corpus) -> float:
    """The share of edges that stay inside a family."""
    family = np.array(corpus.family)
    first, second = family[edges["first"]], family[edges["second"]]
    return float(((first == second) & (first >= 0)).mean()) if len(first) else 1.0


def largest(cluster: np.ndarray) -> int:
    return max(Counter(cluster.tolist()).values())


def sort_seconds(corpus: planted.Corpus) -> float:
    """The time of one sort of as many 64-bit values as the corpus has runs of words: every exact join needs one."""
    sample = corpus.texts[:2000]
    runs = round(statistics.fmean(len(planted.shingles(text, 3)) for text in sample) * len(corpus.texts))
    values = np.random.default_rng(0).integers(0, 2**63, runs)
    began = time.process_time()
    values.sort()
    return time.process_time() - began


def near_view(arguments: argparse.Namespace) -> dict[str, Any]:
    make = planted.maker(arguments.corpus, arguments.data)
    tools = [tool for tool in arguments.tools.split(",") if tool in TOOLS]
    corpus = make(arguments.rows, arguments.seed)
    runs = run_tools(__file__, tools, {"texts": corpus.texts}, threshold=arguments.threshold, rounds=arguments.rounds)
    table(runs, corpus, arguments.threshold)
    result: dict[str, Any] = {"ratios": {}, "targets": {}, "fraction_of_limit": {}}
    if "whet" in runs:
        result["ratios"] = ratios(runs, "")
        result["targets"] = {peer: TARGETS[peer] for peer in result["ratios"]}
        result["fraction_of_limit"] = {"near": round(sort_seconds(corpus) / runs["whet"].seconds, 3)}
        result["kb_per_row"] = {tool: round(run.kb / len(corpus.texts), 2) for tool, run in runs.items()}
    if arguments.million:
        kept = [tool for tool in tools if tool in ("whet", *MILLION_TARGETS)]
        million = make(10 * arguments.rows, arguments.seed)
        large = run_tools(__file__, kept, {"texts": million.texts}, threshold=arguments.threshold, rounds=1)
        table(large, million, arguments.threshold)
        more = ratios(large, " 1M")
        result["ratios"] |= more
        result["targets"] |= {f"{peer} 1M": target for peer, target in MILLION_TARGETS.items() if f"{peer} 1M" in more}
        growth = {tool: round(math.log10(run.seconds / runs[tool].seconds), 2) for tool, run in large.items()}
        print(f"growth exponents, {arguments.rows:,} -> {10 * arguments.rows:,} rows: {growth}, wanted {GROWTH_TARGET}")
        result["growth_exponent"] = growth
        result["kb_per_row"] |= {f"{tool} 1M": round(run.kb / len(million.texts), 2) for tool, run in large.items()}
    return result


def ratios(runs: dict[str, Run], suffix: str) -> dict[str, float]:
    return {
        f"{tool}{suffix}": round(run.seconds / runs["whet"].seconds, 2) for tool, run in runs.items() if tool != "whet"
    }


def table(runs: dict[str, Run], corpus: planted.Corpus, threshold: float) -> None:
    known = true_pairs(corpus)
    levels = sorted({threshold, 0.7, 0.8})
    heads = "".join(f"{f'recall {level:g}':>12}" for level in levels)
    head = f"{'CPU s':>9}{'min':>8}{'max':>8}{'rows/s':>10}{heads}{'precision':>11}{'in family':>11}"
    print(f"{len(corpus.texts):,} rows, threshold {threshold:g}, {len(known):,} planted pairs")
    print(f"{'tool':<14}{head}{'edges':>11}{'largest':>9}{'MB':>7}{'kB/row':>8}")
    for tool, run in runs.items():
        found, edges = run.found, len(run.found["first"])
        shares = [recall(found["cluster"], [pair for pair, value in known if value >= level]) for level in levels]
        cells = (
            f"{run.seconds:>9.2f}{min(run.cpu_s):>8.2f}{max(run.cpu_s):>8.2f}{len(corpus.texts) / run.seconds:>10,.0f}"
        )
        cells += "".join(f"{share:>12.4f}" for share in shares)
        cells += f"{precision(found, corpus, threshold):>11.4f}{family_precision(found, corpus):>11.4f}{edges:>11,}"
        cells += f"{largest(found['cluster']):>9}{run.kb / 1024:>7.0f}{run.kb / len(corpus.texts):>8.2f}"
        print(f"{tool:<14}{cells}")


def template_view(arguments: argparse.Namespace) -> dict[str, Any]:
    make = planted.maker(arguments.corpus, arguments.data)
    corpus = make(arguments.rows, arguments.seed)
    tool = "whet template"
    run = run_tools(__file__, [tool], {"texts": corpus.texts}, threshold=arguments.threshold, rounds=arguments.rounds)[
        tool
    ]
    cluster = run.found["cluster"]
    by_kind = defaultdict(list)
    for pair in corpus.pairs:
        by_kind[pair.kind].append(pair)
    measured: dict[str, float] = {kind: round(recall(cluster, pairs), 4) for kind, pairs in sorted(by_kind.items())}
    measured |= {"precision": round(family_precision(run.found, corpus), 5), "largest": largest(cluster)}
    measured["rows_per_s"] = round(len(corpus.texts) / run.seconds)
    measured["kb_per_row"] = round(run.kb / len(corpus.texts), 2)
    singles = [row for row, kind in enumerate(corpus.kind) if kind == "single"]
    chosen = random.Random(1)
    random_pairs = [chosen.sample(singles, 2) for _ in range(_CHECKED)]
    measured["random_merged"] = sum(int(cluster[a] == cluster[b]) for a, b in random_pairs)
    measured["gsm_hard"] = gsm_hard_found(arguments.threshold, arguments.data)
    print(f"template view, {len(corpus.texts):,} rows of {arguments.corpus}, {run.seconds:.2f} CPU s")
    for name, value in measured.items():
        print(f"{name:<16}{value:>12,g}{TEMPLATE_TARGETS.get(name, ''):>12}")
    return {
        "ratios": {
            name: round(measured[name] / target, 3) for name, target in TEMPLATE_TARGETS.items() if name in measured
        },
        "measured": measured,
        "targets": dict.fromkeys(TEMPLATE_TARGETS, 1.0),
        "fraction_of_limit": {"template": round(sort_seconds(corpus) / run.seconds, 3)},
    }


def gsm_hard_found(threshold: float, data: Path) -> int:
    """Rows of GSM-Hard (GSM8K's test questions with other numbers) joined to a row of GSM8K's test set, of 1,319."""
    test = planted.question_rows(data / "gsm8k" / "test.jsonl")
    hard = planted.question_rows(data / "gsm_hard" / "gsmhardv2.jsonl.gz", "input")
    train = planted.question_rows(data / "gsm8k" / "train.jsonl.gz")
    tool = "whet template"
    run = run_tools(__file__, [tool], {"texts": [*test, *hard, *train]}, threshold=threshold, rounds=1)[tool]
    cluster = run.found["cluster"].tolist()
    tested = set(cluster[: len(test)])
    return sum(place in tested for place in cluster[len(test) : len(test) + len(hard)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--corpus", choices=["gen", "markov"], default="gen")
    parser.add_argument("--view", choices=["near", "template"], default="near")
    parser.add_argument("--threshold", type=float, default=0.7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tools", default="whet,rensa 16,rensa 32,datasketch", help="comma-separated")
    parser.add_argument("--million", action="store_true", help="also ten times the rows, for the growth exponent")
    parser.add_argument("--data", type=Path, default=planted.DATA, help="folder of the public data sets")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.folder, arguments.threshold)
        return
    result = near_view(arguments) if arguments.view == "near" else template_view(arguments)
    machine = f"{platform.machine()}, 1 thread, Python {platform.python_version()}, numpy {np.__version__}"
    print(json.dumps(result | {"machine": machine}))


if __name__ == "__main__":
    main()
