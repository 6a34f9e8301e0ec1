r"""What a completion gives as its answer. Several answers side by side are none of them; the last one counts otherwise.

<answer>x</answer>    the last one outside the thinking; where there is such a tag nothing else counts
\boxed{x}  #### x     whichever stands last
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from whet.rewards.answers.quantity import LONGEST, quantity_in
from whet.rewards.answers.spelling import canonical, unwrapped

__all__ = ["ParsedAnswer", "parse_answer"]


# How far from an answer an alternative to it is looked for, and how many are listed.
_NEAR = 80
_MOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAnswer:
    """The answer that a completion gives; `text` is None when none was found, which is not the same as a wrong one."""

    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """One marked answer and where the whole mark stands; `answer` is None for one that is never closed."""

    start: int
    end: int
    answer: str | None


def parse_answer(completion: str) -> ParsedAnswer:
    """The last answer that the completion marks, outside its thinking.

    None where there is no mark, or the last is empty, never closed, or longer than 200 characters: what was said before
    it was taken back. Different answers that only "or", "and" or nothing parts are one text, "5; 4", and no number.

    >>> parse_answer("<think>3+2=5</think><answer>5</answer>").text, parse_answer("It is 5.").text
    ('5', None)
    >>> parse_answer(r"So \\boxed{4}. No: \\boxed{\\frac{1}{2}}").text, parse_answer(r"\\boxed{4} or \\boxed{5}").text
    ('\\\\frac{1}{2}', '5; 4')
    """
    outside = _without_thinking(completion)
    text = _answer(outside, _tags(outside) or _marks(outside))
    return ParsedAnswer(text=text if text and len(text) <= LONGEST else None)


# ---- thinking

_THINK = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


def _without_thinking(completion: str) -> str:
    """What stands before a `</think>` that was never opened is thinking too: the prompt opened it."""
    before, closing, rest = completion.partition("</think>")
    if closing and "<think>" not in before:
        completion = rest
    return _THINK.sub("", completion)


# ---- marks, each in one pass over the text

_ANSWER_TAG = re.compile(r"</?answer>")
_BOX = re.compile(r"\\f?box(?:ed)?\s*\{")
_BRACES = re.compile(rf"{_BOX.pattern}|\\.|[{{}}]", re.DOTALL)
_GSM8K = re.compile(r"####[ \t]*([^\n]+)")


def _tags(text: str) -> list[_Mark]:
    """Every `<answer>` with what stands before the next tag, where that closes it."""
    found = list(_ANSWER_TAG.finditer(text))
    marks = []
    for place, tag in enumerate(found):
        after = found[place + 1] if place + 1 < len(found) else None
        if tag[0] == "<answer>" and (after is None or after[0] == "</answer>"):
            inner = None if after is None else text[tag.end() : after.start()]
            marks.append(_Mark(start=tag.start(), end=len(text) if after is None else after.end(), answer=inner))
    return [mark if mark.answer is None else _unmarked(mark) for mark in marks]


def _unmarked(mark: _Mark) -> _Mark:
    """A box or another mark inside the tag is the answer of the tag."""
    inner = mark.answer or ""
    marks = _marks(inner) if "####" in inner or _BOX.search(inner) else []
    return _Mark(start=mark.start, end=mark.end, answer=_answer(inner, marks) if marks else inner)


def _marks(text: str) -> list[_Mark]:
    """The boxes and the last marks of GSM8K, in their order."""
    boxes = _boxes(text)
    lines = [line for line in _GSM8K.finditer(text) if not _BOX.search(line[1])]
    marks: list[_Mark] = []
    for line in reversed(lines):
        # A heading such as "#### Step 1" is no answer; words are one only where nothing follows and there is no box.
        is_answer = quantity_in(line[1]) is not None or (
            not boxes and line is lines[-1] and not text[line.end() :].strip()
        )
        marks += [_Mark(start=line.start(), end=line.end(), answer=line[1])] if is_answer else []
        if len(marks) > _MOST:
            break
    return sorted([*boxes, *marks], key=lambda mark: mark.start)


def _boxes(text: str) -> list[_Mark]:
    r"""Every `\boxed{...}` that is in no other, braces matched to any depth, and a last one that is not closed."""
    opened: list[re.Match[str]] = []
    marks: list[_Mark] = []
    for brace in _BRACES.finditer(text):
        if brace[0] == "}" and opened:
            opening = opened.pop()
            if len(opening[0]) > 1:
                while marks and marks[-1].start > opening.start():
                    marks.pop()
                inner = text[opening.end() : brace.start()]
                marks.append(_Mark(start=opening.start(), end=brace.end(), answer=inner))
        elif brace[0][-1] == "{" and brace[0] != r"\{":
            opened.append(brace)
    unclosed = next((brace for brace in reversed(opened) if len(brace[0]) > 1), None)
    if unclosed is not None and (not marks or unclosed.start() > marks[-1].start):
        marks.append(_Mark(start=unclosed.start(), end=len(text), answer=None))
    return marks


# ---- one answer or several

_OR = r"(?:or|and/or|maybe|perhaps|possibly|alternatively)"
_NOTHING = r"[\s$*_.,;:/&()\[\]\\-]*"
_JOINED = re.compile(rf"{_NOTHING}(?:\b(?:and|also|either|else|then|{_OR})\b{_NOTHING})*", re.IGNORECASE)
_ENDS_JOINED = re.compile(rf"(?:\b(?:and|{_OR})|/){_NOTHING}$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?]\s|\n")
_OTHER = r"(\$?[-+]?\.?[0-9][0-9.,/]*|\\[dt]?frac ?\{[^{}]*\}\{[^{}]*\}|\b[A-Z]\b)"
_BEHIND = re.compile(rf"[\s$*_()\]}}.,;:\\-]*\b(?i:{_OR})\b[\s$*(\\a-z]{{0,30}}?{_OTHER}")
_BEFORE = re.compile(rf"{_OTHER}[\s$*_)\]}}.,;\\-]*(?:\b(?i:{_OR})\b[\s$*(\\]*)+$")


def _answer(text: str, marks: Sequence[_Mark]) -> str | None:
    """The last marked answer, with every other that stands beside it as an alternative."""
    if not marks or (last := marks[-1].answer) is None:
        return None
    last = unwrapped(last)
    earlier = _joined_to_the_last(text, marks)
    answers = dict.fromkeys(unwrapped(mark.answer or "") for mark in reversed(earlier))
    first = earlier[0] if earlier else marks[-1]
    behind = _BEHIND.match(text[marks[-1].end : marks[-1].end + _NEAR])
    before = _BEFORE.search(text[max(0, first.start - _NEAR) : first.start])
    answers |= dict.fromkeys(found[1] for found in (before, behind) if found)
    return "; ".join([last, *(other for other in answers if not _is_same(other, last))])


def _joined_to_the_last(text: str, marks: Sequence[_Mark]) -> list[_Mark]:
    """The marks before the last that only "and", "or" or nothing parts from it, the nearest of them, in order."""
    place = len(marks) - 1
    while place > max(0, len(marks) - 1 - _MOST):
        between = text[marks[place - 1].end : marks[place].start]
        is_joined = _ENDS_JOINED.search(between[-_NEAR:]) and not _SENTENCE_END.search(between)
        if not (is_joined or _JOINED.fullmatch(between)):
            break
        place -= 1
    return list(marks[place:-1])


def _is_same(one: str, other: str) -> bool:
    left, right = quantity_in(one.rstrip(".,")), quantity_in(other)
    if left is not None and right is not None:
        return left.value == right.value
    return canonical(one) == canonical(other)
