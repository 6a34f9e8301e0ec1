"""Corpora whose duplicates are known, because they were planted: what a tool finds of them is its recall.

`gen`: word problems from 40 sentence forms, hard for candidates because nearly every run of three words occurs in many
rows. `markov`: an order-2 chain over the questions of GSM8K, with pairs of chosen similarity. The traps are in
`planted_traps.py`. The same arguments give the same corpus.

    python benchmarks/planted.py --rows 100000      # what is in it
"""

import argparse
import gzip
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Literal, TypeVar, get_args

from whet.data.texts.canonical import shingles

__all__ = [
    "DATA",
    "GSM8K",
    "KINDS",
    "SEEN_BY_NEAR",
    "Corpus",
    "Pair",
    "Problem",
    "draw_problem",
    "gen",
    "jaccard",
    "maker",
    "markov",
    "question_rows",
    "render",
    "true_jaccards",
    "twin",
]

# The public data sets that some corpora are made of, beside the repository; `--data` names another folder.
DATA = Path(__file__).parents[2] / "shared" / "data"
GSM8K = DATA / "gsm8k" / "train.jsonl.gz"

# single: in no family. source: the row that the others of its family were made from. The rest say how they were made.
Kind = Literal[
    "single", "source", "exact", "appearance", "typo", "swap", "template", "nouns", "wrapper", "paraphrase", "edited"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
SEEN_BY_NEAR: tuple[Kind, ...] = ("exact", "appearance", "typo", "swap", "edited")
# How many of a thousand copies in `gen` are of each kind.
_SHARES: dict[Kind, int] = {
    "exact": 100,
    "appearance": 150,
    "typo": 270,
    "swap": 150,
    "template": 120,
    "nouns": 70,
    "wrapper": 70,
    "paraphrase": 70,
}


_Original = TypeVar("_Original")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Row `second` was made from row `first` (a family's source) in the way that `kind` says."""

    first: int
    second: int
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """`kind[i]` and `family[i]` belong to `texts[i]`; a row in no family has -1. `pairs` are all planted pairs."""

    texts: list[str]
    kind: list[Kind]
    family: list[int]
    pairs: list[Pair]


def jaccard(first: str, second: str) -> float:
    """The true similarity of two texts: sets of runs of three words, counted in plain Python."""
    a, b = set(shingles(first, 3)), set(shingles(second, 3))
    return len(a & b) / len(a | b) if a or b else 0.0


def true_jaccards(corpus: Corpus, pairs: Sequence[Pair]) -> list[float]:
    return [jaccard(corpus.texts[pair.first], corpus.texts[pair.second]) for pair in pairs]


# Each line of the file is a sentence form and another wording of it; those that end in a question mark close a problem.
# a b: people, x y z: things, p: a place, m n: numbers.
_LINES = Path(__file__).with_name("planted_forms.txt").read_text(encoding="utf-8").splitlines()
_NAMES = """Alice Ben Carla Derek Elena Frank Gloria Hassan Irene Jamal Katya Liam Mona Nadia Oscar Priya Quentin Rosa
Samir Tina Umar Vera Walter Xenia Yusuf Zoe Andre Bianca Cedric Dalia Emil Fatima Gavin Hilda Ivan Jasmine Karl Leila
Marcus Noemi Otto Paula Rafael Silvia Tomas Ursula Viktor Wanda Yara Zane""".split()
_THINGS = """apples oranges pencils marbles books stickers cookies stamps shells balloons cupcakes candles buttons coins
cards roses tulips bottles baskets blankets bracelets bricks brushes cakes chairs crayons cups dolls eggs erasers
feathers flags forks gloves hammers hats jackets keys kites ladders lemons magnets maps mirrors muffins mugs nails
necklaces paintings peaches pears pens pies pillows plates plums posters potatoes pumpkins puzzles ribbons rings
rocks ropes rugs sandwiches scarves shirts shovels spoons tickets tomatoes towels toys umbrellas vases wheels
whistles""".split()
_PLACES = """market library bakery museum workshop station factory school farm hotel garage theater stadium harbor
office clinic warehouse bookstore zoo park""".split()
_WRAPPERS = [
    ("Solve the following problem step by step and show your work.", ""),
    ("Here is a question for you, please answer it carefully:", ""),
    ("", "Write only the final answer as a number at the end."),
    ("Question of the day:", "Think about it before you reply."),
    ("You are a helpful tutor who explains mathematics to children.", ""),
    ("", "Please reason in small steps, then box the result."),
]
_SLOTS = "abxyzpmn"  # as they stand in a form; every sentence has numbers of its own
_LARGEST = 300
_STATEMENTS = 5


@dataclass(slots=True)
class Problem:
    """Which sentences, and what stands in their places."""

    forms: list[int]  # statements, then a question
    fill: list[str]  # two people, three things, a place
    numbers: list[tuple[int, int]]  # for each sentence


def _positional(form: str) -> str:
    return re.sub(r"\{(\w)\}", lambda slot: "{" + str(_SLOTS.index(slot[1])) + "}", form)


_FORMS = [tuple(map(_positional, line.split(" | "))) for line in _LINES]
_QUESTIONS = [place for place, (plain, _) in enumerate(_FORMS) if plain.endswith("?")]


def draw_problem(rng: random.Random) -> Problem:
    forms = [*rng.sample(range(len(_FORMS) - len(_QUESTIONS)), _STATEMENTS), rng.choice(_QUESTIONS)]
    return Problem(forms, _people(rng) + _nouns(rng), _numbers(rng, len(forms)))


def _people(rng: random.Random) -> list[str]:
    return rng.sample(_NAMES, 2)


def _nouns(rng: random.Random) -> list[str]:
    return [*rng.sample(_THINGS, 3), rng.choice(_PLACES)]


def _numbers(rng: random.Random, count: int) -> list[tuple[int, int]]:
    draw = rng.random
    return [(2 + int(draw() * _LARGEST), 2 + int(draw() * _LARGEST)) for _ in range(count)]


def _sentences(problem: Problem, *, wording: int = 0) -> list[str]:
    fill = problem.fill
    return [
        _FORMS[form][wording].format(*fill, m, n) for form, (m, n) in zip(problem.forms, problem.numbers, strict=True)
    ]


def render(problem: Problem) -> str:
    return " ".join(_sentences(problem))


def _appearance(text: str, rng: random.Random) -> str:
    """The same words in other characters: case, full-width digits, zero-width characters, curly quotes, spaces."""
    way = rng.randrange(6)
    if way == 0:
        return text.upper()
    if way == 1:
        return text.lower() if rng.random() < 0.5 else text.swapcase()
    if way == 2:
        return text.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    if way == 3:
        places = sorted(rng.sample(range(1, len(text)), 2), reverse=True)
        for place in places:
            text = text[:place] + rng.choice("\u200b\u200c\u2060\u00ad") + text[place:]
        return text
    if way == 4:
        quoted = f"\u201c{text}\u201d"
        return quoted.replace("'", "\u2019")
    return re.sub(" ", lambda _: rng.choice((" ", "  ", "\u00a0", "\n")), text)


def _typo(text: str, rng: random.Random, mistakes: int) -> str:
    """Letters of so many words dropped, doubled or exchanged; numbers stay."""
    tokens = text.split(" ")
    places = [place for place, token in enumerate(tokens) if len(token) > 3 and token.isalpha()]
    for place in rng.sample(places, min(mistakes, len(places))):
        token = tokens[place]
        at = rng.randrange(1, len(token) - 1)
        way = rng.randrange(3)
        middle = ("", token[at] * 2, token[at + 1] + token[at])[way]
        tokens[place] = token[:at] + middle + token[at + (2 if way == 2 else 1) :]
    return " ".join(tokens)


def _swap(problem: Problem, rng: random.Random) -> str:
    """Two neighbouring statements change places, or neighbouring words do, up to three times."""
    if rng.random() < 0.5:
        parts = _sentences(problem)
        at = rng.randrange(_STATEMENTS - 1)
        parts[at], parts[at + 1] = parts[at + 1], parts[at]
        return " ".join(parts)
    tokens = render(problem).split(" ")
    for at in rng.sample(range(len(tokens) - 1), rng.randint(1, 3)):
        tokens[at], tokens[at + 1] = tokens[at + 1], tokens[at]
    return " ".join(tokens)


def twin(problem: Problem, rng: random.Random, *, nouns: bool = False) -> Problem:
    """The same forms with other people and numbers, and with other things if `nouns`."""
    things = rng.sample(_THINGS, 3) if nouns else problem.fill[2:5]
    fill = [*_people(rng), *things, problem.fill[5]]
    return Problem(problem.forms, fill, _numbers(rng, len(problem.forms)))


def _wrapped(problem: Problem, rng: random.Random) -> str:
    before, after = rng.choice(_WRAPPERS)
    return f"{before} {render(twin(problem, rng))} {after}".strip()


_COPIES: dict[Kind, Callable[[Problem, random.Random], str]] = {
    "exact": lambda problem, rng: render(problem),
    "appearance": lambda problem, rng: _appearance(render(problem), rng),
    "typo": lambda problem, rng: _typo(render(problem), rng, rng.randint(1, 4)),
    "swap": _swap,
    "template": lambda problem, rng: render(twin(problem, rng)),
    "nouns": lambda problem, rng: render(twin(problem, rng, nouns=True)),
    "wrapper": _wrapped,
    "paraphrase": lambda problem, rng: " ".join(_sentences(problem, wording=1)),
}


def gen(rows: int, seed: int, *, in_families: float = 1 / 3) -> Corpus:
    """Word problems; the share `in_families` of the rows is in families of a source and one to three copies.

    `in_families=0` gives a clean corpus: whatever is merged in it is wrong.
    """
    rng = random.Random(seed)
    kinds, weights = list(_SHARES), list(_SHARES.values())

    def copies(problem: Problem) -> Iterator[tuple[Kind, str]]:
        while True:
            (kind,) = rng.choices(kinds, weights)
            yield kind, _COPIES[kind](problem, rng)

    return _grow(rows, rng, in_families, draw=lambda: draw_problem(rng), text=render, copies=copies)


def _grow(
    rows: int,
    rng: random.Random,
    in_families: float,
    *,
    draw: Callable[[], _Original],
    text: Callable[[_Original], str],
    copies: Callable[[_Original], Iterator[tuple[Kind, str]]],
) -> Corpus:
    made: list[tuple[str, Kind, int]] = []
    family = 0
    while len(made) < int(rows * in_families) - 1:
        original = draw()
        made.append((text(original), "source", family))
        source = copies(original)
        for _ in range(min(rng.choice((1, 2, 2, 3)), rows - len(made))):
            kind, copy = next(source)
            made.append((copy, kind, family))
        family += 1
    while len(made) < rows:
        made.append((text(draw()), "single", -1))
    rng.shuffle(made)
    source_of = {group: place for place, (_, kind, group) in enumerate(made) if kind == "source"}
    pairs = [
        Pair(first=source_of[group], second=place, kind=kind)
        for place, (_, kind, group) in enumerate(made)
        if kind not in ("single", "source")
    ]
    return Corpus(
        texts=[text for text, _, _ in made],
        kind=[kind for _, kind, _ in made],
        family=[group for _, _, group in made],
        pairs=pairs,
    )


def question_rows(path: Path, field: str = "question") -> list[str]:
    """One field of a file of JSON lines, compressed or not."""
    if not path.is_file():
        raise SystemExit(f"{path}: no such file; --data FOLDER names where the data sets lie, --corpus gen needs none")
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        return [json.loads(line)[field] for line in lines]


class _Chain:
    """The next word given the last two, as often as it follows them in the questions."""

    def __init__(self, questions: Sequence[str], rng: random.Random) -> None:
        self.rng = rng
        self.starts: list[tuple[str, str]] = []
        self.next: dict[tuple[str, str], list[str]] = defaultdict(list)
        seen: Counter[str] = Counter()
        for question in questions:
            tokens = question.split()
            self.starts.append((tokens[0], tokens[1]))
            seen.update(tokens[1:])
            for first, second, third in zip(tokens, tokens[1:], tokens[2:], strict=False):
                self.next[first, second].append(third)
        self.names = [word for word in _NAMES if len(word) > 2]
        titles = (word for word, count in seen.items() if count > 1 and word.istitle() and word.isalpha())
        self.is_name = {word for word in titles if word.lower() not in seen}

    def walk(self, length: int) -> list[str]:
        """So many words; where a question ends another begins."""
        draw, follow = self.rng.random, self.next
        tokens: list[str] = []
        first = second = ""
        while len(tokens) < length:
            choices = follow.get((first, second))
            if choices is None:
                first, second = self.starts[int(draw() * len(self.starts))]
                tokens += [first, second]
                continue
            first, second = second, choices[int(draw() * len(choices))]
            tokens.append(second)
        return tokens[:length]

    def edited(self, tokens: list[str], similarity: float) -> list[str]:
        """Words replaced, scattered or in one span, so many that the runs of three have about this similarity.

        Of n runs each side loses d, which leaves (n - d) / (n + d); a word stands in three runs, a span of k in k + 2.
        """
        runs = len(tokens) - 2
        lost = runs * (1 - similarity) / (1 + similarity)
        copy = list(tokens)
        if self.rng.random() < 0.5:
            span = max(1, round(lost) - 2)
            at = self.rng.randrange(max(1, len(copy) - span))
            copy[at : at + span] = self.walk(span)
            return copy
        for at in self.rng.sample(range(len(copy)), max(1, round(lost / 3))):
            copy[at] = self.walk(3)[2]
        return copy

    def twin(self, tokens: list[str]) -> list[str]:
        """Other numbers and names."""
        names: dict[str, str] = {}
        copy = []
        for token in tokens:
            if token in self.is_name:
                token = names.setdefault(token, self.rng.choice(self.names))
            copy.append(re.sub(r"\d+", lambda _: str(self.rng.randint(2, 99)), token))
        return copy


def markov(rows: int, seed: int, *, in_families: float = 1 / 3, data: Path = DATA) -> Corpus:
    """Order-2 text over GSM8K's training questions; copies are `edited` to a similarity of .5 to .95, or `template`."""
    rng = random.Random(seed)
    chain = _Chain(question_rows(data / GSM8K.relative_to(DATA)), rng)

    def copies(tokens: list[str]) -> Iterator[tuple[Kind, str]]:
        while True:
            if rng.random() < 0.2:
                yield "template", " ".join(chain.twin(tokens))
            else:
                yield "edited", " ".join(chain.edited(tokens, rng.uniform(0.5, 0.95)))

    return _grow(
        rows, rng, in_families, draw=lambda: chain.walk(rng.randint(50, 90)), text=lambda t: " ".join(t), copies=copies
    )


def maker(corpus: str, data: Path = DATA) -> Callable[[int, int], Corpus]:
    """`gen` or `markov` as a function of the number of rows and the seed; `data` is the folder of the data sets."""
    return {"gen": gen, "markov": partial(markov, data=data)}[corpus]


def _describe(corpus: Corpus) -> Iterator[str]:
    rows = [set(shingles(text, 3)) for text in corpus.texts]
    uses = Counter(run for row in rows for run in row)
    yield f"{len(rows):,} rows, {sum(kind != 'single' for kind in corpus.kind):,} in families"
    repeated = sum(count for count in uses.values() if count > 1) / sum(uses.values())
    yield f"{fmean(map(len, rows)):.1f} runs of 3 words a row, {repeated:.1%} in 2 rows or more"
    by_kind = defaultdict(list)
    for pair in corpus.pairs:
        by_kind[pair.kind].append(len(rows[pair.first] & rows[pair.second]) / len(rows[pair.first] | rows[pair.second]))
    for kind, values in sorted(by_kind.items()):
        above = [sum(value >= least for value in values) for least in (0.7, 0.8)]
        yield f"{kind:<12}{len(values):>8,} pairs, mean {fmean(values):.3f}, >= .7: {above[0]:,}, >= .8: {above[1]:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description="What is in a planted corpus")
    parser.add_argument("--corpus", choices=["gen", "markov"], default="gen")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets that markov is made from")
    arguments = parser.parse_args()
    began = time.process_time()
    corpus = maker(arguments.corpus, arguments.data)(arguments.rows, arguments.seed)
    print(f"made in {time.process_time() - began:.1f} s")
    print("\n".join(_describe(corpus)))
    print(corpus.texts[0])


if __name__ == "__main__":
    main()
