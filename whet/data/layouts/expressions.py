"""Whether a text is nothing but an answer: a number, an expression in LaTeX or plain signs, a letter of a choice.

It tells answers from sentences and computes nothing; whether two answers are equal is decided by the rewards.
"""

import re

__all__ = ["boxed_in", "is_bare_answer", "unwrapped"]

_WRAPPED = (
    re.compile(r"\$\$(.+)\$\$", re.DOTALL),
    re.compile(r"\$([^$]+)\$", re.DOTALL),
    re.compile(r"\\\((.+)\\\)", re.DOTALL),
    re.compile(r"\\\[(.+)\\\]", re.DOTALL),
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
# A command with a name, and what is written in words inside an expression: units, choices, short remarks.
_WORDS_INSIDE = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox|operatorname)\s*\{[^{}]{0,40}\}")
_COMMAND = re.compile(r"\\[A-Za-z]+|\\[^A-Za-z]")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{(?:[pbvB]?matrix|array|cases|aligned)\}(?:\{[lcr|]*\})?")
_FUNCTIONS = re.compile(r"\b(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|pi|min|max|gcd|lcm|mod|infty|inf)\b")
_NUMBER = re.compile(r"[-+]?[0-9][0-9,]*(\.[0-9]+)?")
_CHOICE = re.compile(r"\(?[A-Z]\)?")
_SIGNS = re.compile(r"[\s0-9A-Za-z.,;:+\-*/^_=<>|!%°()\[\]{}&'√π∞±×÷·≤≥≠∪∩∈\\$€£]*")
_OPERAND, _MATHEMATICS = re.compile(r"[0-9A-Za-z√π∞]"), re.compile(r"[-0-9=^_+*/<>√π∞]")
_WORD = re.compile(r"[A-Za-z]{2,}")
_LONGEST = 400


def unwrapped(text: str) -> str:
    """The text without the dollars or the box around the whole of it: `$\\boxed{3}$` is `3`."""
    text = text.strip()
    while True:
        inside = next((match[1].strip() for form in _WRAPPED if (match := form.fullmatch(text))), None)
        box = _BOX.match(text)
        if inside is None and box is not None and _closing(text, box.end()) == len(text) - 1:
            inside = text[box.end() : -1].strip()
        if not inside:
            return text
        text = inside


def boxed_in(text: str) -> str | None:
    """What stands in the last `\\boxed{...}` of a worked solution, nested braces and all; None without one."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None
    end = _closing(text, boxes[-1].end())
    return (text[boxes[-1].end() : end].strip() or None) if end is not None else None


def _closing(text: str, start: int) -> int | None:
    """Where the brace is closed that stands before `start`."""
    depth = 1
    for mark in re.finditer(r"\\.|[{}]", text[start:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(mark.group(), 0)
        if depth == 0:
            return start + mark.start()
    return None


def is_bare_answer(text: str) -> bool:
    """Whether nothing but an answer is written: no sentence, no word outside of LaTeX's own and of `\\text{}`.

    >>> [is_bare_answer(text) for text in ("72", r"\\frac{1}{7}", "(C)", "x^2 + 1", "Because.", "two apples")]
    [True, True, True, True, False, False]
    """
    text = unwrapped(text)
    if _NUMBER.fullmatch(text) or _CHOICE.fullmatch(text):
        return True
    if not text or "\n" in text or len(text) > _LONGEST or not _is_balanced(text):
        return False
    bare = _ENVIRONMENT.sub("", _WORDS_INSIDE.sub("0", text))
    bare = _FUNCTIONS.sub("0", _COMMAND.sub("0", bare))
    is_mathematics = _OPERAND.search(bare) is not None and _MATHEMATICS.search(bare) is not None
    return is_mathematics and _SIGNS.fullmatch(bare) is not None and _WORD.search(bare) is None


def _is_balanced(text: str) -> bool:
    unescaped = re.sub(r"\\.", "", text)
    return unescaped.count("{") == unescaped.count("}")
