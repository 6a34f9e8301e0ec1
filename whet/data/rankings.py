"""What the reward model learns from when nobody ranked anything: rankings made from a demonstration."""

import random
import re

from whet.core.records import Conversation, Ranking

__all__ = ["ranking_of"]

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_NUMBER = re.compile(r"-?\d[\d,]*")


def ranking_of(row: Conversation, *, seed: int) -> Ranking | None:
    """The row's own `completions` and `ranks`, else a ranking derived from its completion; None when neither works.

    Derived: the demonstration > its answer alone, when it reasons > the same with another number > its words shuffled.
    """
    completions, ranks = row.prompt.columns.get("completions"), row.prompt.columns.get("ranks")
    if completions is not None and ranks is not None:
        return Ranking(prompt=row.prompt, completions=tuple(completions), ranks=tuple(ranks))
    answer = row.prompt.answer
    if answer is None:
        return None
    chance = random.Random(seed)
    texts = [row.completion]
    if "<think>" in row.completion:
        texts.append(f"<answer>{answer}</answer>")
    wrong = _with_another_number(row.completion, chance)
    if wrong is not None:
        texts.append(wrong)
    words = row.completion.split()
    chance.shuffle(words)
    texts.append(" ".join(words))
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < 2:
        return None
    return Ranking(prompt=row.prompt, completions=tuple(distinct), ranks=tuple(range(len(distinct))))


def _with_another_number(completion: str, chance: random.Random) -> str | None:
    """The completion with its last number, the answer, off by a little or by a factor of ten."""
    matches = list(_TAGGED.finditer(completion)) or list(_NUMBER.finditer(completion))
    if not matches:
        return None
    last = matches[-1]
    number = _NUMBER.search(last.group())
    if number is None:
        return None
    value = int(number.group().replace(",", ""))
    other = value + chance.choice((-10, -2, -1, 1, 2, 10)) if chance.random() < 0.8 else value * 10
    start = last.start() + number.start()
    return completion[:start] + str(other) + completion[start + len(number.group()) :]
