"""The exact answer: what the completion says, as a number or a text, against what is known. Nothing is evaluated."""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

__all__ = ["ParsedAnswer", "answer", "as_number", "parse_answer"]

_TAG = re.compile(r"<answer>((?:(?!<answer>).)*?)</answer>", re.DOTALL)
_THINK = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_GSM8K = re.compile(r"####\s*([^\n]+)")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?")
# Longer answers are no numbers, and unbounded digits are a way to stall a grader.
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAnswer:
    """The answer that a completion gives; `text` is None when none was found, which is not the same as a wrong one."""

    text: str | None

    @property
    def is_found(self) -> bool:
        return self.text is not None


def parse_answer(completion: str) -> ParsedAnswer:
    """The last `<answer>...</answer>` outside `<think>`; without any tag the last `#### x`, then the last `\\boxed{x}`.

    An empty or overlong answer counts as none.
    """
    outside = _THINK.sub("", completion)
    for pattern in (_TAG, _GSM8K, _BOXED):
        found = pattern.findall(outside)
        if found:
            text = found[-1].strip()
            return ParsedAnswer(text=text if 0 < len(text) <= _LONGEST else None)
    return ParsedAnswer(text=None)


def as_number(text: str) -> Fraction | None:
    """The exact value of a plain number; None for anything else.

    Thousands commas, a leading `+`, `$` or Unicode minus, a trailing `%`, point or unit-free dot are understood, and a
    fraction of two plain numbers. Only ASCII digits count.

    >>> as_number("$1,200.50"), as_number("-3/4"), as_number("three")
    (Fraction(2401, 2), Fraction(-3, 4), None)
    """
    text = text.strip().replace("\\u2212", "-").replace("−", "-").replace("$", "").replace(" ", "")
    text = text.rstrip(".%") if len(text) > 1 else text
    numerator, slash, denominator = text.partition("/")
    values = [_plain_number(part) for part in ((numerator, denominator) if slash else (numerator,))]
    if any(value is None for value in values):
        return None
    if slash:
        return None if not values[1] else values[0] / values[1]  # type: ignore[operator]
    return values[0]


def _plain_number(text: str) -> Fraction | None:
    if not text.isascii() or not any(char.isdigit() for char in text) or not _NUMBER.fullmatch(text):
        return None
    return Fraction(Decimal(text.replace(",", "")))


def is_same_answer(given: str, known: str) -> bool:
    """Equal as exact numbers; where one is no number, equal as texts but for case, spaces and a final point."""
    left, right = as_number(given), as_number(known)
    if left is not None and right is not None:
        return left == right
    return _plain_text(given) == _plain_text(known)


def _plain_text(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".")


def answer(completion: str, *, answer: str | None = None, **columns: Any) -> float | None:
    """1.0 when the completion's answer equals the known one, else 0.0; None where no answer is known."""
    if answer is None:
        return None
    given = parse_answer(completion)
    return float(given.text is not None and is_same_answer(given.text, answer))
