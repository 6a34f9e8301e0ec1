r"""Exact numbers as people write them, with their unit: right or unreadable, never another number.

-$1,200.50   3/4   \frac{3}{4}   1\frac{4}{5} and 1 4/5 (nine fifths)   5\text{ cm}   90^\circ   50%   x = 5
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from whet.rewards.answers.spelling import FONTS, unwrapped
from whet.rewards.answers.words import LETTERS, NOT_UNITS, UNITS

__all__ = ["LONGEST", "Quantity", "as_number", "quantity_in"]

# Longer answers are no numbers, and unbounded digits are a way to stall a grader.
LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """`Quantity(value=Fraction(5), unit="cm", of="x")` of "x = 5 cm"; None where nothing is said."""

    value: Fraction
    unit: str | None = None
    of: str | None = None


def as_number(text: str) -> Fraction | None:
    """The exact value, whatever its unit; None for what is no number.

    >>> as_number("$1,200.50"), as_number("-3/4"), as_number("5.0"), as_number("three"), as_number("1 2")
    (Fraction(2401, 2), Fraction(-3, 4), Fraction(5, 1), None, None)
    """
    found = quantity_in(text)
    return None if found is None else found.value


def quantity_in(text: str) -> Quantity | None:
    r"""The number that the whole text is, None when it is none or could be read in two ways.

    Understood: a sign (also the Unicode minus), thousands commas (also `{,}` and thin spaces), a currency sign on one
    side, a fraction of two numbers, a mixed number whose fraction is below one, and behind it a unit: by name, or any
    words in `\text{...}`. A percent sign is a unit: 50% is 50. Only ASCII digits count; an exponent, a power, an
    operation, a word such as "million", or more than 200 characters make it unreadable.

    >>> quantity_in(r"1\frac{4}{5}"), quantity_in(r"\frac{1}{2}3"), quantity_in(r"5\text{ cm}")
    (Quantity(value=Fraction(9, 5), unit=None, of=None), None, Quantity(value=Fraction(5, 1), unit='cm', of=None))
    """
    if len(text) > LONGEST:
        return None
    text = unwrapped(_plain(text))
    assigned = _ASSIGNED.match(text)
    head = _HEAD.match(unwrapped(text[assigned.end() :] if assigned else text))
    assert head is not None
    rest = head.string[head.end() :]
    number, value_of = next(
        ((found, value_of) for form, value_of in _FORMS if (found := form.match(rest))), (None, None)
    )
    if number is None or value_of is None:
        return None
    value, unit = value_of(*number.groups()), _unit(rest[number.end() :])
    before, sign, after = head.groups()
    currency = before or after
    if value is None or unit is None or (before and after) or (currency and unit not in ("", currency)):
        return None
    value = -value if sign == "-" else value
    return Quantity(value=value, unit=currency or unit or None, of=assigned[1] if assigned else None)


# ---- spelling

_THIN = "\u2009\u202f\u00a0"
_GROUPED = re.compile(rf"(?<=[0-9])(?:\{{,\}}|,?\\[,!] ?|[{_THIN}])(?=[0-9]{{3}})|(?<=[0-9]),\\! ?(?=[0-9]{{3}})")
_SPACE = re.compile(rf"\\[,;: ]|~|[{_THIN}\s]+")
_MATH = re.compile(r"(?<!\\)\$([^$]+)(?<!\\)\$")
_ASSIGNED = re.compile(r"([A-Za-z]) ?= ?")


def _plain(text: str) -> str:
    text = _GROUPED.sub(",", _MATH.sub(r" \1 ", text.replace("\u2212", "-")))
    return _SPACE.sub(" ", text.replace("\\!", "")).replace("\\$", "$").replace("\\%", "%")


# ---- number

_HEAD = re.compile(r" ?([$€£¥]?) ?([-+]?) ?([$€£¥]?) ?")
_DECIMAL = r"(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
# An argument of \frac is a number in braces, or a single digit.
_ARGUMENT = rf"(?:\{{ ?([-+]?) ?({_DECIMAL}) ?\}}|([0-9]))"
_FRAC = rf"\\[dtc]?frac ?{_ARGUMENT} ?{_ARGUMENT}"


def _number(digits: str, sign: str = "") -> Fraction:
    value = Fraction(digits.replace(",", ""))
    return -value if sign == "-" else value


def _ratio(above: Fraction, below: Fraction) -> Fraction | None:
    return above / below if below else None


def _mixed(whole: str, above: str, below: str) -> Fraction | None:
    """Only with a fraction below one: 2 7/5 could be a sum or a product."""
    return Fraction(whole) + Fraction(int(above), int(below)) if int(above) < int(below) else None


def _latex_mixed(whole: str, *argument: str | None) -> Fraction | None:
    sign, above, digit, sign_below, below, digit_below = argument
    parts = (above or digit or "", below or digit_below or "")
    return _mixed(whole, *parts) if not (sign or sign_below) and all(map(str.isdecimal, parts)) else None


def _latex_ratio(*argument: str | None) -> Fraction | None:
    sign, above, digit, sign_below, below, digit_below = argument
    return _ratio(_number(above or digit or "", sign or ""), _number(below or digit_below or "", sign_below or ""))


def _plain_ratio(above: str, sign: str, below: str) -> Fraction | None:
    return _ratio(_number(above), _number(below, sign))


# The first that matches decides; what is left behind it must be a unit.
_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Fraction | None]], ...] = (
    (re.compile(rf"([0-9]+) ?{_FRAC}"), _latex_mixed),
    (re.compile(_FRAC), _latex_ratio),
    (re.compile(r"([0-9]+) ([0-9]+)/([0-9]+)"), _mixed),
    (re.compile(rf"({_DECIMAL}) ?/ ?([-+]?) ?({_DECIMAL})"), _plain_ratio),
    (re.compile(rf"({_DECIMAL})"), _number),
)

# ---- unit

_FONT_GROUP = re.compile(rf"{FONTS} ?\{{([^{{}}]*)\}}")
_DEGREES = re.compile(r" ?(?:\^ ?\{? ?\\circ ?\}?|\\degree|°) ?([CF]?)")
_WORDS = re.compile(r"[A-Za-zµμΩ]+(?:\^\{?-?[0-9]\}?|[²³])?(?:[ /·*-]+[A-Za-zµμΩ]+(?:\^\{?-?[0-9]\}?|[²³])?)*")
_WORD = re.compile(r"([A-Za-zµμΩ]+)(?:\^\{?(-?[0-9])\}?|([²³]))?|/")
_POWERS = {"square": "2", "sq": "2", "cubic": "3", "²": "2", "³": "3"}


def _unit(text: str) -> str | None:
    """The empty text for nothing, a name for a unit, None for what is no unit and so changes the number."""
    text = text.strip()
    is_upright = bool(_FONT_GROUP.search(text))
    text = _FONT_GROUP.sub(lambda group: f" {group[1].strip()}", text).strip().removesuffix(".").strip()
    if text in ("", "%", "$", "€", "£", "¥"):
        return text
    if degrees := _DEGREES.fullmatch(text):
        return "°" + degrees[1]
    if not _WORDS.fullmatch(text):
        return None
    return _named(text, any_words=is_upright)


def _named(text: str, *, any_words: bool) -> str | None:
    """Words as a unit: "square inches" and "inch^2" are both "inch2"; names not in UNITS only with `any_words`."""
    unit, power = "", ""
    for word, exponent, raised in (found.groups() for found in _WORD.finditer(text.replace(" per ", "/"))):
        name = (word or "").casefold()
        if word is None:
            unit += "/"
        elif name in _POWERS:
            power = _POWERS[name]
        elif name in NOT_UNITS or (len(word) == 1 and word not in LETTERS) or not (any_words or name in UNITS):
            return None
        else:
            unit += f" {UNITS.get(name, name.removesuffix('s'))}{exponent or _POWERS.get(raised or '', power)}"
            power = ""
    return unit.strip() or None
