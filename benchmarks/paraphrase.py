"""Rephrased questions found in a pool, ours against scikit-learn: python benchmarks/rephrased.py

Queries are questions of the pool in other words, and 1,500 questions that rephrase none of it. Each tool gives every
query the question it would take and a score; sorted by score, precision is the share of right ones so far, and recall
how many of the rephrased questions are right before precision falls below 0.95. `at rule` is what the product's own
threshold takes. One thread, a process of its own for each tool, alternating; CPU seconds from texts to scores.

- `whet`: TF-IDF of words 1-2 times the agreement of the numbers; `whet cosine`: the same without the numbers
- `scikit-learn`: TfidfVectorizer, words 1-2, sublinear, cosines by a sparse product in blocks, the ten nearest by the
  same rule
- `encoder`: the sentence encoder that `--encoder` names, once

By default the rephrased questions are GSM8K's test questions, reworded by rules (`reworded` below), and the variants
the same with other numbers: easier than what people or models write. Files of `question` and `seed_question` give real
ones: `--rephrased FILE --variants FILE`. docs/LOG.md has figures for public sets, and how to make these files of them.

HumanEval, reworded by a model, is reported and has no target: for code no method is that precise.

The last line is JSON: `ratios` are what was measured, and the rows per second of ours over the peer's; `targets` what
is asked for; `fraction_of_limit` recall as a share of the rephrased questions whose best row is right at all.
"""

import argparse
import gzip
import json
import platform
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import planted
from fresh import Arrays, Run, run_tools, worker

TARGETS = {
    "rephrased: whet recall": 0.93,
    "variants: whet cosine recall": 0.95,
    "rephrased: whet rows/s": 4000,
    "rephrased: whet vs scikit-learn": 1.0,
    "rephrased: encoder recall": 0.96,
}
_UNRELATED, _OTHERS = 1500, 5000
_PRECISION = 0.95
_NEAREST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """`answer[i]` is the row of the pool that query i rephrases, -1 if none."""

    pool: list[str]
    queries: list[str]
    answer: list[int]


# The tools: a pool and queries in, the row that each query would take and its score out.


def whet(pool: Sequence[str], queries: Sequence[str], **_: Any) -> Arrays:
    from whet.data.pairs.rephrased import HELD_OUT, Questions

    rule = replace(HELD_OUT, enough=1e-9, near=2.0)
    return _best(Questions(pool, [], rule=rule).matches(queries), len(queries))


def whet_cosine(pool: Sequence[str], queries: Sequence[str], **_: Any) -> Arrays:
    from whet.data.pairs.rephrased import HELD_OUT, Questions

    rule = replace(HELD_OUT, score=lambda cosine, _agreement: cosine, enough=0.0, near=2.0)
    return _best(Questions(pool, [], rule=rule).matches(queries), len(queries))


def encoder(pool: Sequence[str], queries: Sequence[str], names: Sequence[str]) -> Arrays:
    from whet.data.pairs.embed import HELD_OUT, EncodedQuestions

    rule = replace(HELD_OUT, enough=0.0, near=2.0)
    return _best(EncodedQuestions(pool, [], names[0], rule=rule).matches(queries), len(queries))


def scikit_learn(pool: Sequence[str], queries: Sequence[str], **_: Any) -> Arrays:
    from sklearn.feature_extraction.text import TfidfVectorizer

    from whet.data.pairs.numbers import NumbersKnown

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    rows, asked = vectorizer.fit_transform(pool).T.tocsr(), vectorizer.transform(queries)
    known = NumbersKnown(pool)
    numbers, enough = known.sets(queries), np.log2(1 + len(pool)) - 1
    question, score = np.full(len(queries), -1), np.zeros(len(queries))
    for first in range(0, len(queries), 512):
        cosine = (asked[first : first + 512] @ rows).toarray()
        nearest = np.argpartition(-cosine, _NEAREST, axis=1)[:, :_NEAREST]
        a = np.repeat(np.arange(first, first + len(nearest)), _NEAREST)
        agreed = known.agreement(numbers, a, known.learnt, nearest.reshape(-1))
        agreement = agreed.jaccard * np.minimum(1, agreed.bits_256 / 256 / enough)
        scores = np.take_along_axis(cosine, nearest, 1) * agreement.reshape(nearest.shape)
        best = scores.argmax(axis=1)[:, None]
        question[first : first + 512] = np.take_along_axis(nearest, best, 1)[:, 0]
        score[first : first + 512] = np.take_along_axis(scores, best, 1)[:, 0]
    return {"question": question, "score": score}


def _best(matches: Any, queries: int) -> Arrays:
    question, score = np.full(queries, -1), np.zeros(queries)
    row, first = np.unique(matches.row, return_index=True)  # the highest score of a row comes first
    question[row], score[row] = matches.question[first], matches.score[first]
    return {"question": question, "score": score}


TOOLS: dict[str, Callable[..., Arrays]] = {
    "whet": whet,
    "whet cosine": whet_cosine,
    "scikit-learn": scikit_learn,
    "encoder": encoder,
}


def work(tool: str, folder: Path) -> None:
    few = [f"a question with {number} in it" for number in range(30)]
    warm_up = {"pool": few, "queries": few}
    worker(folder, ["pool", "queries", "names"], TOOLS[tool], warm_up | {"names": _names(folder)})


def _names(folder: Path) -> list[str]:
    return [json.loads(line) for line in (folder / "names.jsonl").read_text(encoding="utf-8").splitlines()]


# Questions in other words, by rules.

_SYNONYMS = {
    "buys": "purchases", "bought": "purchased", "buy": "purchase", "gets": "receives", "got": "received",
    "gave": "handed", "gives": "hands", "makes": "produces", "made": "produced", "total": "altogether",
    "each": "apiece", "every": "each", "money": "cash", "big": "large", "small": "little", "children": "kids",
    "kids": "children", "friends": "pals", "dollars": "bucks", "costs": "is priced at", "cost": "price",
    "house": "home", "car": "vehicle", "cars": "vehicles", "store": "shop", "shop": "store", "needs": "requires",
    "wants": "would like", "has": "owns", "had": "owned", "have": "own", "sold": "parted with", "started": "began",
    "remaining": "left", "also": "in addition", "then": "afterwards", "day": "date", "many": "large a number of",
    "half": "50 percent", "twice": "two times", "if": "supposing", "how": "say how", "after": "following",
}  # fmt: skip
_SPELT = "zero one two three four five six seven eight nine ten eleven twelve".split()


def reworded(text: str, rng: random.Random) -> str:
    """Half of the words that have a synonym replaced, small numbers spelt or written out, the question put first."""
    sentences = re.split(r"(?<=[.?!])\s+", text.strip())
    if len(sentences) > 1 and rng.random() < 0.5:
        sentences = [sentences[-1], *sentences[:-1]]

    def word(match: re.Match[str]) -> str:
        found = match.group()
        if found.isdigit():
            return _SPELT[int(found)] if int(found) < len(_SPELT) and rng.random() < 0.5 else found
        if found.lower() in _SPELT[2:]:
            return str(_SPELT.index(found.lower())) if rng.random() < 0.5 else found
        return _SYNONYMS.get(found.lower(), found) if rng.random() < 0.5 else found

    return re.sub(r"(?<![\d.,])\d+(?![\d.,]*\d)|[A-Za-z]+", word, " ".join(sentences))


def renumbered(text: str, rng: random.Random) -> str:
    return re.sub(r"\d+", lambda _: str(rng.randint(2, 99)), text)


def rows_of(path: Path, *fields: str) -> list[tuple[str, ...]]:
    if not path.is_file():
        raise SystemExit(f"{path}: no such file")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return [tuple(json.loads(line)[field] for field in fields) for line in lines]


def task(pool: list[str], unrelated: list[str], pairs: Sequence[tuple[str, str]]) -> Task:
    """From pairs of a question and the text that it rephrases, without those whose text the pool does not have."""
    place = {text: row for row, text in enumerate(pool)}
    kept = [(question, place[seed]) for question, seed in pairs if seed in place and question.strip()]
    return Task(
        pool=pool,
        queries=[question for question, _ in kept] + unrelated,
        answer=[row for _, row in kept] + [-1] * len(unrelated),
    )


def tasks(arguments: argparse.Namespace) -> dict[str, Task]:
    test = [question for (question,) in rows_of(arguments.data / "gsm8k" / "test.jsonl", "question")]
    train = [question for (question,) in rows_of(arguments.data / "gsm8k" / "train.jsonl.gz", "question")]
    pool, unrelated = test + train[:_OTHERS], train[_OTHERS : _OTHERS + _UNRELATED]
    rng = random.Random(0)
    rephrased: list[Any] = [(reworded(text, rng), text) for text in test]
    variants: list[Any] = [(renumbered(reworded(text, rng), rng), text) for text in test]
    if arguments.rephrased:
        rephrased = [row for path in arguments.rephrased for row in rows_of(path, "question", "seed_question")]
    if arguments.variants:
        variants = [row for path in arguments.variants for row in rows_of(path, "question", "seed_question")]
    made = {"rephrased": task(pool, unrelated, rephrased), "variants": task(pool, unrelated, variants)}
    code = rows_of(arguments.data / "humaneval" / "HumanEval.jsonl.gz", "prompt", "canonical_solution")
    again = [text for (text,) in rows_of(arguments.data / "humaneval_rephrased" / "humaneval_python.jsonl", "text")]
    functions = [prompt + solution for prompt, solution in code]
    short = [text for (text,) in rows_of(arguments.data / "mbpp" / "mbpp_train.jsonl", "code")]
    made["code"] = task(functions + short[:192], short[192:], list(zip(again, functions, strict=True)))
    return made


# The judgement.


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`nearest` is the share of rephrased questions whose row is right whatever its score."""

    nearest: float
    recall: float
    threshold: float
    rule_recall: float
    rule_precision: float


def judged(found: Arrays, answer: Sequence[int], enough: float) -> Judged:
    wanted = np.array(answer)
    rephrased = max(1, int((wanted >= 0).sum()))
    right = (found["question"] == wanted) & (wanted >= 0)
    order = np.lexsort((right, -found["score"]))  # of equal scores the wrong ones first
    order = order[found["question"][order] >= 0]
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(precision >= _PRECISION)
    taken = int(good[-1]) + 1 if len(good) else 0
    by_rule = (found["score"] >= enough) & (found["question"] >= 0)
    return Judged(
        nearest=float(right.sum()) / rephrased,
        recall=float(right[order][:taken].sum()) / rephrased,
        threshold=float(found["score"][order][taken - 1]) if taken else float("nan"),
        rule_recall=float((right & by_rule).sum()) / rephrased,
        rule_precision=float((right & by_rule).sum()) / max(1, int(by_rule.sum())),
    )


def table(name: str, runs: dict[str, Run], done: Task) -> dict[str, Judged]:
    from whet.data.pairs import embed, rephrased

    known = sum(row >= 0 for row in done.answer)
    print(f"{name}: {known:,} rephrased and {len(done.queries) - known:,} unrelated, pool of {len(done.pool):,}")
    head = f"{'CPU s':>8}{'rows/s':>9}{'nearest':>9}{f'recall at {_PRECISION}':>16}"
    head += f"{'from':>7}{'at rule':>9}{'precision':>11}"
    print(f"{'tool':<14}{head}")
    result = {}
    for tool, run in runs.items():
        enough = embed.HELD_OUT.enough if tool == "encoder" else rephrased.HELD_OUT.enough
        each = result[tool] = judged(run.found, done.answer, enough)
        cells = f"{run.seconds:>8.2f}{speed(run, done):>9,.0f}{each.nearest:>9.3f}{each.recall:>16.3f}"
        cells += f"{each.threshold:>7.2f}"
        if tool != "whet cosine":
            cells += f"{each.rule_recall:>9.3f}{each.rule_precision:>11.3f}"
        print(f"{tool:<14}{cells}")
    return result


def speed(run: Run, done: Task) -> float:
    return (len(done.pool) + len(done.queries)) / run.seconds


def inside_a_corpus(texts: Sequence[str]) -> str:
    from dedupe import clusters

    from whet.data.pairs.rephrased import rephrased_pairs

    pairs = rephrased_pairs(texts)
    sizes = Counter(clusters(len(texts), (pairs.first, pairs.second)))
    return (
        f"inside the pool: {len(pairs.first):,} pairs, {sum(size > 1 for size in sizes.values()):,} clusters, "
        f"the largest of {max(sizes.values())}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rephrased", type=Path, nargs="+", help="JSON lines of question and seed_question")
    parser.add_argument("--variants", type=Path, nargs="+", help="the same, with other numbers")
    parser.add_argument("--encoder", help="a folder or a hub id of sentence-transformers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=planted.DATA, help="folder of the public data sets")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threshold", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.folder)
        return
    quick = [tool for tool in TOOLS if tool != "encoder"]
    measured: dict[str, float] = {}
    limit: dict[str, float] = {}
    for name, done in tasks(arguments).items():
        texts = {"pool": done.pool, "queries": done.queries, "names": [arguments.encoder or ""]}
        runs = run_tools(__file__, quick, texts, threshold=0, rounds=arguments.rounds)
        if arguments.encoder:
            runs |= run_tools(__file__, ["encoder"], texts, threshold=0, rounds=1)
        for tool, each in table(name, runs, done).items():
            measured[f"{name}: {tool} recall"] = round(each.recall, 4)
            limit[f"{name}: {tool}"] = round(each.recall / max(each.nearest, 1e-9), 3)
        measured[f"{name}: whet rows/s"] = round(speed(runs["whet"], done))
        measured[f"{name}: whet vs scikit-learn"] = round(runs["scikit-learn"].seconds / runs["whet"].seconds, 2)
        if name == "rephrased":
            print(inside_a_corpus(done.pool))
    targets = {name: target for name, target in TARGETS.items() if name in measured}
    machine = f"{platform.machine()}, 1 thread, Python {platform.python_version()}, numpy {np.__version__}"
    print(json.dumps({"ratios": measured, "targets": targets, "fraction_of_limit": limit, "machine": machine}))


if __name__ == "__main__":
    main()
