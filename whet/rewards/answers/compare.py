"""Whether a given answer is the known one: yes, no, or beyond the rule."""

import re
import unicodedata
from dataclasses import dataclass

from whet.rewards.answers.extract import parse_answer
from whet.rewards.answers.quantity import LONGEST, Quantity, quantity_in
from whet.rewards.answers.spelling import canonical, unwrapped
from whet.rewards.answers.words import NUMBER_WORDS
from whet.rewards.unscorable import Unscorable

__all__ = ["Expression", "Judged", "Words", "judge", "known_answer", "read_answer", "same_answer"]

# A longer text is no name or choice but a sentence, and another sentence may say the same.
_MOST_WORDS = 5
_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A name or a choice, such as "new york" or "b": in lower case, without its final point."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """Whatever is neither a number nor a few words. Only the same text is surely the same answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A completion's answer beside the known one; `given` is None where it gives none."""

    given: str | None
    known: str
    is_same: bool


def judge(completion: str, answer: object) -> Judged:
    """What the completion answers and whether it is right; raises `Unscorable` where nobody can tell by rule."""
    known, given = known_answer(str(answer)), parse_answer(completion).text
    if not known:
        raise Unscorable(f"the known answer {str(answer)[:_SHOWN]!r} holds no answer that can be read")
    is_same = False if given is None else same_answer(given, known)
    if is_same is None:
        shown = f"{str(given)[:_SHOWN]!r} is the known answer {known[:_SHOWN]!r}"
        raise Unscorable(f"nobody can tell by rule whether {shown}")
    return Judged(given=given, known=known, is_same=is_same)


def known_answer(text: str) -> str:
    r"""A known answer without what it is written in: `\boxed{3}` and a whole solution that ends in `#### 3` are 3.

    Empty when it marks an answer that cannot be found.
    """
    has_mark = "<answer>" in text or "####" in text or re.search(r"\\f?box(?:ed)?\s*\{", text)
    return (parse_answer(text).text or "") if has_mark else text.strip()


def same_answer(given: str, known: str) -> bool | None:
    r"""Equal as exact numbers or as words; None where the rule cannot tell.

    It cannot tell where the known answer is neither a number nor a few words and the given text is another, where both
    have units, or names as in "x = 5", and these differ, and where one is a percentage and the other its share of one.

    >>> same_answer("1,000.0", "1000"), same_answer("New  york.", "New York"), same_answer("0.33", "1/3")
    (True, True, False)
    >>> same_answer(r"\sqrt{3}/2", r"\frac{\sqrt3}{2}"), same_answer("5 km", "5 miles"), same_answer("5 or 6", "5")
    (None, None, False)
    """
    if not known or len(known) > LONGEST:
        return None
    left, right = read_answer(given), read_answer(known)
    match left, right:
        case Quantity(), Quantity():
            return _same_quantity(left, right)
        case _, Expression():
            return True if left == right else None
        case _:
            return left == right


def _same_quantity(given: Quantity, known: Quantity) -> bool | None:
    for one, other in ((given.unit, known.unit), (given.of, known.of)):
        if one and other and one != other:
            return None
    if given.value == known.value:
        return True
    percent, share = (given, known) if given.unit == "%" else (known, given)
    is_its_share = percent.unit == "%" and share.unit is None and percent.value == 100 * share.value
    return None if is_its_share else False


def read_answer(text: str) -> Quantity | Words | Expression:
    r"""What kind of answer a text is.

    >>> read_answer(r"\text{New York}."), read_answer(r"\frac{\sqrt3}{2}")
    (Words(text='new york'), Expression(text='\\frac{\\sqrt{3}}{2}'))
    """
    if quantity := quantity_in(text):
        return quantity
    plain = " ".join(unwrapped(text).split()).rstrip(".").casefold()
    return Words(text=plain) if _is_words(plain) else Expression(text=canonical(unwrapped(text)))


def _is_words(text: str) -> bool:
    """A few words of letters, none a number; a single letter among others is a factor or the name of a choice."""
    parts = re.split(r"[ -]", text)
    letters = re.sub(r"[ '\u2019.-]", "", text)
    return (
        bool(letters)
        and all(unicodedata.category(letter)[0] in "LM" for letter in letters)
        and text.count(" ") < _MOST_WORDS
        and (len(parts) == 1 or all(len(part) > 1 for part in parts))
        and not NUMBER_WORDS.intersection(parts)
    )
