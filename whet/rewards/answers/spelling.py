"""One spelling for what is written in several: spaces and fonts of LaTeX, and what is wrapped around an answer."""

import re

__all__ = ["FONTS", "canonical", "unwrapped"]

FONTS = (
    r"\\(?:text|textbf|textit|textrm|textnormal|textup|mbox|hbox|mathrm|mathbf|mathit|mathsf|mathtt|operatorname)\*?"
)
_FONT = re.compile(rf"{FONTS}\s*(?=\{{)")
_IN_FONT = re.compile(rf"{FONTS}\s*\{{([^{{}}]*)\}}")
_LETTER_IN_PARENTHESES = re.compile(r"\(\s*([A-Za-z])\s*\)")
# What stands around a whole answer, opening and closing; longer ones first.
_AROUND = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("__", "__"), ("*", "*"), ("`", "`"))
_MOST_LAYERS = 12
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def unwrapped(text: str) -> str:
    r"""Without the layers around a whole answer: math and bold marks, boxes, fonts, braces, a final point.

    >>> unwrapped(r"**$\boxed{\text{(B)}}$**."), unwrapped(r"\text{a} \text{b}")
    ('B', '\\text{a} \\text{b}')
    """
    for _ in range(_MOST_LAYERS):
        inner = _one_layer_less(text.strip())
        if inner == text:
            break
        text = inner
    return text


def _one_layer_less(text: str) -> str:
    if text.endswith(".") and not text.endswith(".."):
        return text[:-1]
    for opening, closing in _AROUND:
        inner = text[len(opening) : len(text) - len(closing)]
        is_around = text.startswith(opening) and text.endswith(closing) and len(text) > len(opening) + len(closing)
        # "$1$ and $2$" is not one thing in dollars, and the dollar of "\$" is money
        if is_around and opening not in inner and closing not in inner and not inner.endswith("\\"):
            return inner
    for prefix in (_FONT.match(text), re.match(r"\\f?box(?:ed)?\s*(?=\{)", text), re.match(r"(?=\{)", text)):
        if prefix is not None and text.endswith("}") and _closes_at_the_end(text, prefix.end()):
            return text[prefix.end() + 1 : -1]
    letter = _LETTER_IN_PARENTHESES.fullmatch(text)
    return letter[1] if letter else text.removeprefix("\\displaystyle")


def _closes_at_the_end(text: str, start: int) -> bool:
    """Whether the brace at `start` is closed by the last character and not before."""
    depth = 0
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.end() == len(text)
    return False


# Different ways to write the same symbol.
_SAME = {
    r"\dfrac": r"\frac",
    r"\tfrac": r"\frac",
    r"\cfrac": r"\frac",
    r"\leq": r"\le",
    r"\geq": r"\ge",
    r"\neq": r"\ne",
    r"\lt": "<",
    r"\gt": ">",
    r"\left": "",
    r"\right": "",
    r"\displaystyle": "",
    r"\quad": " ",
    r"\qquad": " ",
    r"\!": "",
    r"\,": " ",
    r"\;": " ",
    r"\:": " ",
    r"\ ": " ",
    "~": " ",
    "\u2212": "-",
    "\u00a0": " ",
    "\u2009": " ",
    "\u202f": " ",
}
_COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)|[~\u2212\u00a0\u2009\u202f]", re.DOTALL)
_SHORT_ARGUMENT = re.compile(r"(\\frac|\\sqrt)\s*([0-9A-Za-z])(?![A-Za-z])")
_SECOND_ARGUMENT = re.compile(r"(\\frac\{[^{}]*\})\s*([0-9A-Za-z])")
_SINGLE_IN_BRACES = re.compile(r"([\^_])\{([0-9A-Za-z])\}")


def canonical(text: str) -> str:
    r"""An expression in one spelling; two that are equal here are the same expression, letter case included.

    Only spaces that part nothing are dropped: "1 2" stays apart from "12", "a -2" from "a-2".

    >>> canonical(r"\dfrac{\sqrt3}{2}") == canonical(r"\frac{\sqrt{3}} {2}"), canonical("x ^ {2}") == canonical("x^2")
    (True, True)
    """
    text = _COMMAND.sub(lambda found: _SAME.get(found[0], found[0]), text)
    text = _IN_FONT.sub(r"\1", text)
    text = _SHORT_ARGUMENT.sub(r"\1{\2}", text)
    text = _SECOND_ARGUMENT.sub(r"\1{\2}", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" ([-+*/]) | (?=\\)", lambda found: found[1] or "", text)
    text = re.sub(r" ?([][,;:=<>(){}^_|]) ?", r"\1", text)
    text = re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", text)
    return _SINGLE_IN_BRACES.sub(r"\1\2", text).strip()
