"""The exact answer: what the completion says, as a number or a text, against what is known. Nothing is evaluated."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

__all__ = ["ParsedAnswer", "answer", "as_number", "is_same_answer", "parse_answer"]

_TAG = re.compile(r"<answer>((?:(?!<answer>).)*?)</answer>", re.DOTALL)
_THINK = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_GSM8K = re.compile(r"####[ \t]*([^\n]+)")
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_MONEY = "[$€£¥]?"
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
_NUMBER = re.compile(rf"{_MONEY} ?([-+]?) ?{_MONEY}({_DIGITS}) ?(?:%|{_MONEY})\.?")
_FRACTION = re.compile(rf"([-+]?) ?({_DIGITS}) ?/ ?([-+]?)({_DIGITS})\.?")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
# One spelling of minus, of the spaces that group digits, and of what LaTeX escapes.
_SPELLINGS = {"\u2212": "-", "\u2009": ",", "\u202f": ",", "\u00a0": ",", "\\,": ",", "\\$": "$", "\\%": "%"}
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

    An empty or overlong answer counts as none, and so does a tag that is never closed. What stands before a `</think>`
    that was never opened is thinking too: the prompt opened it.

    >>> parse_answer("<think>3+2=5</think><answer>5</answer>").text, parse_answer("It is 5.").text
    ('5', None)
    """
    outside = _without_thinking(completion)
    patterns = (_TAG,) if "<answer>" in outside else (_GSM8K, _BOXED)
    for pattern in patterns:
        found = pattern.findall(outside)
        if found:
            text = found[-1].strip()
            return ParsedAnswer(text=text if 0 < len(text) <= _LONGEST else None)
    return ParsedAnswer(text=None)


def _without_thinking(completion: str) -> str:
    before, closing, rest = completion.partition("</think>")
    if closing and "<think>" not in before:
        completion = rest
    return _THINK.sub("", completion)


def as_number(text: str) -> Fraction | None:
    """The exact value of a plain number; None for anything else.

    Understood: a sign (also the Unicode minus), thousands commas or thin spaces, a currency sign before or after, a
    trailing `%` (dropped, so 50% is 50) or point, and a fraction of two numbers, also as `\\frac{a}{b}`. Only ASCII
    digits count; an exponent, a unit, a mixed number or more than 200 characters is no plain number.

    >>> as_number("$1,200.50"), as_number("-3/4"), as_number("5.0"), as_number("three"), as_number("1 2")
    (Fraction(2401, 2), Fraction(-3, 4), Fraction(5, 1), None, None)
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    for spelling, plain in _SPELLINGS.items():
        text = text.replace(spelling, plain)
    text = _LATEX_FRACTION.sub(r"\1/\2", text)
    if number := _NUMBER.fullmatch(text):
        return _value(*number.groups())
    if fraction := _FRACTION.fullmatch(text):
        sign, above, sign_below, below = fraction.groups()
        denominator = _value(sign_below, below)
        return _value(sign, above) / denominator if denominator else None
    return None


def _value(sign: str, digits: str) -> Fraction:
    value = Fraction(digits.replace(",", ""))
    return -value if sign == "-" else value


def is_same_answer(given: str, known: str) -> bool:
    """Equal as exact numbers; where one is no number, equal as texts but for case, spaces and a final point.

    >>> is_same_answer("1,000.0", "1000"), is_same_answer("New  york.", "New York"), is_same_answer("0.33", "1/3")
    (True, True, False)
    """
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
