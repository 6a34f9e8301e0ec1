"""What the reward model learns from when nobody ranked anything: rankings made from a demonstration."""

import random
import re
from dataclasses import replace

from whet.core.records import Conversation, Prompt, Ranking

__all__ = ["has_own_ranking", "ranking_of", "without_ranking"]

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_OWN = ("completions", "ranks")


def without_ranking(prompt: Prompt) -> Prompt:
    """The prompt without its row's own ranked completions: they are answers, which no reward function must be shown."""
    if not any(name in prompt.columns for name in _OWN):
        return prompt
    return replace(prompt, columns={name: value for name, value in prompt.columns.items() if name not in _OWN})


def has_own_ranking(prompt: Prompt) -> bool:
    """Whether the row brought ranked completions along."""
    return all(prompt.columns.get(name) is not None for name in _OWN)


def ranking_of(row: Conversation, *, seed: int) -> Ranking | None:
    """The row's own `completions` and `ranks`, else a ranking derived from its completion; None when neither works.

    Derived: the demonstration > its answer alone, when it reasons > the same with another number > its words shuffled.
    A demonstration that does not end in the known answer is no model to rank others by, and gives none.
    """
    prompt = without_ranking(row.prompt)
    if has_own_ranking(row.prompt):
        completions, ranks = (row.prompt.columns[name] for name in _OWN)
        return Ranking(prompt=prompt, completions=tuple(completions), ranks=tuple(ranks))
    if not _gives(row.completion, row.prompt.answer):
        return None
    texts = tuple(dict.fromkeys(_derived(row, random.Random(seed))))
    if len(texts) < 2:
        return None
    return Ranking(prompt=prompt, completions=texts, ranks=tuple(range(len(texts))))


def _gives(completion: str, answer: str | None) -> bool:
    """Whether the completion's last number or tagged answer is the known one; True when none is known."""
    if answer is None:
        return True
    tagged = _TAGGED.findall(completion)
    if tagged:
        return _same(tagged[-1].strip(), answer)
    numbers = _NUMBER.findall(completion)
    return _same(numbers[-1], answer) if numbers else answer in completion


def _same(given: str, answer: str) -> bool:
    return given.replace(",", "") == answer.replace(",", "")


def _derived(row: Conversation, chance: random.Random) -> list[str]:
    texts = [row.completion]
    if "<think>" in row.completion and row.prompt.answer is not None:
        texts.append(f"<answer>{row.prompt.answer}</answer>")
    wrong = _with_another_number(row.completion, chance)
    if wrong is not None:
        texts.append(wrong)
    words = row.completion.split()
    chance.shuffle(words)
    if " ".join(words) == " ".join(row.completion.split()):  # few words may come out as they were
        words = [*words[1:], *words[:1]]
    return [*texts, " ".join(words)]


def _with_another_number(completion: str, chance: random.Random) -> str | None:
    """The completion with its last number, the answer, off by a little or by a factor of ten."""
    matches = list(_TAGGED.finditer(completion)) or list(_NUMBER.finditer(completion))
    if not matches:
        return None
    last = matches[-1]
    number = _NUMBER.search(last.group())
    if number is None:
        return None
    text = number.group().replace(",", "")
    value = int(text.partition(".")[0])
    change = chance.choice((-10, -2, -1, 1, 2, 10)) if value == 0 or chance.random() < 0.8 else value * 9
    other = f"{value + change}{''.join(text.partition('.')[1:])}"
    start = last.start() + number.start()
    return completion[:start] + other + completion[start + len(number.group()) :]
