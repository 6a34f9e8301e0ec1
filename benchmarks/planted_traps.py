"""Pairs of rows that fool tools for duplicates, 20 of each kind, each with the verdict wanted of every view.

`near`: the runs of words. `stop`: the same without runs that many rows share. `template`: names and numbers masked.
A view that is not named for a trap may say either.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from planted import draw_problem, gen, jaccard, render, twin

__all__ = ["PAIRS", "Trap", "Traps", "traps"]

PAIRS = 20
_GIANT = 400
# Runs of words count as shared by very many only in more than 50 rows; the few-shot block stands in so many more.
_MORE_ROWS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """`pairs` of rows, and for each view whether it should call them the same: {"near": True, "template": False}."""

    name: str
    pairs: list[tuple[int, int]]
    wanted: Mapping[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traps:
    """All traps in one corpus among `filler`, rows that resemble no other."""

    texts: list[str]
    traps: list[Trap]
    filler: list[int]


_SAME = {"near": True, "stop": True, "template": True}
_OTHER = {"near": False, "stop": False, "template": False}
_TWINS = {"near": False, "stop": False, "template": True}

_HEADER = """You are a careful assistant who solves problems for students. Read the whole task before you begin, write
down what is known and what is asked, and then work towards the result in small steps that a child could follow. Never
skip a step, never guess, and say when something is missing from the text. Keep the units beside the values, and check
your result by going through the steps once more from the end to the beginning. When everything is settled, close with
one line that holds nothing but the answer."""
_SHOTS = """Example one: Lena picks berries for an hour and fills three bowls, each with the same amount, then eats
one bowl on the way home; two bowls remain for her mother, so the answer is two. Example two: a train leaves the city
with forty people, a dozen get off in the first village and five get on, nobody leaves after that; thirty three people
arrive, so the answer is thirty three. Example three: a baker makes buns in trays of six and has four trays in the
oven, but one tray burns because the telephone rings; eighteen buns can be sold, so the answer is eighteen. The next
one is for you to solve."""
_ARITHMETIC = (
    "Compute the sum of {m} and {n}.",
    "What is {m} times {n}?",
    "Subtract {m} from {n} and give the difference.",
    "Divide {m} by {n}, rounding down.",
    "Add {m} to the product of {n} and {k}.",
)
_SHORT = (
    "2+2",
    "3+5",
    "Hi",
    "Hello there",
    "Yes",
    "No",
    "Thank you",
    "Paris",
    "London",
    "Tell a joke",
    "Sing a song",
    "7",
    "12",
    "True",
    "False",
    "Go on",
    "Why?",
    "How many?",
    "Count to 10",
    "Count to 20",
)
_CHINESE = (
    "小明昨天从图书馆借来{m}本故事书",
    "妈妈在超市花{n}元买回一袋新鲜苹果",
    "工厂每小时能够生产{m}台洗衣机",
    "李老师把{n}支铅笔平均分给全班同学",
    "农场里养着{m}只白色的绵羊和几头牛",
    "爷爷每天清晨沿着河边散步{n}公里",
    "火车站今天一共开出{m}列开往北京的列车",
    "王叔叔的果园里种着{n}棵高大的桃树",
    "游泳池长{m}米而且宽度正好是它的一半",
    "姐姐用{n}张彩纸折成许多漂亮的小鸟",
)
_LOOK_ALIKES = str.maketrans("aeopcxy", "аеорсху")


class _Builder:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.texts: list[str] = []
        self.traps: list[Trap] = []
        self._problems = iter(gen(2000, seed + 1, in_families=0).texts)

    def problem(self, sentences: int | None = None) -> str:
        text = next(self._problems)
        return text if sentences is None else ". ".join(text.split(". ")[:sentences]) + "."

    def row(self, text: str) -> int:
        self.texts.append(text)
        return len(self.texts) - 1

    def add(self, name: str, wanted: Mapping[str, bool], pair: Callable[[int], tuple[str, str]]) -> None:
        made = [pair(number) for number in range(PAIRS)]
        pairs = [(self.row(first), self.row(second)) for first, second in made]
        self.traps.append(Trap(name=name, pairs=pairs, wanted=wanted))

    def altered(self, name: str, wanted: Mapping[str, bool], alter: Callable[[str], str]) -> None:
        """Pairs of a problem and the same after `alter`."""

        def pair(_: int) -> tuple[str, str]:
            text = self.problem()
            return text, alter(text)

        self.add(name, wanted, pair)


def traps(seed: int = 0, *, filler: int = 1500) -> Traps:
    build = _Builder(seed)
    rng = build.rng
    build.altered("full-width digits", _SAME, _full_width)
    build.altered("zero-width inside words", _SAME, lambda text: _in_words(text, rng, 0.2, _zero_width))
    build.altered("Cyrillic look-alikes", _SAME, lambda text: _in_words(text, rng, 0.3, _look_alike))
    build.add("numbers differ, arithmetic", {"near": False, "stop": False}, lambda number: _arithmetic(number, rng))
    build.add("short rows, different", _OTHER, lambda number: (_SHORT[number], _SHORT[(number + 1) % PAIRS]))
    build.add("short rows, same", {"near": True}, lambda number: _short_same(number))
    header = " ".join(_HEADER.split())
    task = {"near": False, "stop": False, "template": False}
    build.add(
        "96-word header, other task",
        task,
        lambda _: (f"{header} {build.problem(3)}", f"{header} {build.problem(3)}"),
    )
    shots = " ".join(_SHOTS.split())
    build.add(
        "3-shot block, other question",
        task,
        lambda _: (f"{shots} {build.problem(3)}", f"{shots} {build.problem(3)}"),
    )
    for _ in range(_MORE_ROWS):
        build.row(f"{shots} {build.problem(3)}")
    build.altered("same question, header or not", {"stop": True}, lambda text: f"{header} {text}")
    build.add("options shuffled", {"near": True}, lambda _: _options(build.problem(), rng))
    build.add("Chinese, one particle more", {"near": True}, lambda _: _chinese_particle(rng))
    build.add("Chinese, unrelated", {"near": False, "stop": False}, lambda _: _chinese_unrelated(rng))
    _add_chains(build)
    build.altered("negation added", {"near": False, "stop": False, "template": False}, lambda text: _negated(text, rng))
    _add_giant(build)
    build.add("names and numbers changed", _TWINS, lambda _: _twins(rng))
    rows = [build.row(text) for text in gen(filler, seed + 2, in_families=0).texts]
    return Traps(texts=build.texts, traps=build.traps, filler=rows)


def _full_width(text: str) -> str:
    return text.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})


def _zero_width(word: str) -> str:
    return word[:2] + "\u200b" + word[2:]


def _look_alike(word: str) -> str:
    """All but the first two letters, so that the word still holds Latin ones."""
    return word[:2] + word[2:].translate(_LOOK_ALIKES)


def _in_words(text: str, rng: random.Random, share: float, alter: Callable[[str], str]) -> str:
    tokens = text.split(" ")
    return " ".join(alter(word) if len(word) > 3 and rng.random() < share else word for word in tokens)


def _arithmetic(number: int, rng: random.Random) -> tuple[str, str]:
    form = _ARITHMETIC[number % len(_ARITHMETIC)]
    first, second = ([rng.randint(11, 9999) for _ in range(3)] for _ in range(2))
    return tuple(form.format(m=m, n=n, k=k) for m, n, k in (first, second))  # type: ignore[return-value]


def _short_same(number: int) -> tuple[str, str]:
    text = f"{_SHORT[number]} {number}"
    return text, f"  {text.upper()} "


def _options(question: str, rng: random.Random) -> tuple[str, str]:
    values = [str(value) for value in rng.sample(range(10, 999), 4)]
    shuffled = values[1:] + values[:1]
    letters = "ABCD"

    def listed(options: Sequence[str]) -> str:
        return " ".join(f"{letter}) {value}" for letter, value in zip(letters, options, strict=True))

    return f"{question} {listed(values)}", f"{question} {listed(shuffled)}"


def _chinese(forms: Sequence[str], rng: random.Random) -> str:
    return ",".join(form.format(m=rng.randint(11, 99), n=rng.randint(11, 99)) for form in forms) + "。"


def _chinese_particle(rng: random.Random) -> tuple[str, str]:
    text = _chinese(rng.sample(_CHINESE, 3), rng)
    place = text.index(",")
    return text, text[:place] + "了" + text[place:]


def _chinese_unrelated(rng: random.Random) -> tuple[str, str]:
    forms = rng.sample(_CHINESE, 6)
    return _chinese(forms[:3], rng), _chinese(forms[3:], rng)


def _negated(text: str, rng: random.Random) -> str:
    """A statement becomes its contrary by one word."""
    sentences = text.split(". ")
    words = sentences[rng.randrange(len(sentences) - 1)].split(" ")
    negated = [*words[:2], "not", *words[2:]]
    return text.replace(" ".join(words), " ".join(negated), 1)


def _twins(rng: random.Random) -> tuple[str, str]:
    problem = draw_problem(rng)
    return render(problem), render(twin(problem, rng))


def _add_chains(build: _Builder) -> None:
    """Windows that move over a longer text: neighbours are alike, the ends are not."""
    pairs = []
    for _ in range(PAIRS):
        words = f"{build.problem()} {build.problem()}".split(" ")
        windows = [" ".join(words[start : start + 70]) for start in range(0, 51, 10)]
        assert min(jaccard(first, second) for first, second in pairwise(windows)) >= 0.7
        assert jaccard(windows[0], windows[-1]) < 0.3
        rows = [build.row(text) for text in windows]
        pairs.append((rows[0], rows[-1]))
    build.traps.append(Trap(name="chain ends, J < .3", pairs=pairs, wanted={"near": False, "stop": False}))


def _add_giant(build: _Builder) -> None:
    problem = draw_problem(build.rng)
    rows = [build.row(render(twin(problem, build.rng))) for _ in range(_GIANT)]
    chosen = build.rng.sample(rows, 2 * PAIRS)
    pairs = [(min(pair), max(pair)) for pair in zip(chosen[:PAIRS], chosen[PAIRS:], strict=True)]
    build.traps.append(Trap(name=f"template of {_GIANT} rows", pairs=pairs, wanted=_TWINS))
