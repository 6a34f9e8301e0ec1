"""When two texts count as the same: canonical text, its words, and the template left when names and numbers are masked.

What is here defines every view and is plain Python; `whet.data.texts.words` computes the same words in numpy, fast.
"""

import re
import unicodedata
from collections.abc import Mapping

__all__ = [
    "FEWEST_PLAIN_WORDS",
    "LOWER_SHARE",
    "NOT_NAMES",
    "NUMBER_WORDS",
    "Masker",
    "canonical",
    "numbers_in",
    "shingles",
    "spelt",
    "word_spans",
    "word_text",
    "words",
]

# A word is taken for a name when at most this share of its uses is in lower case: a ratio, so that it does not break as
# the data grows.
LOWER_SHARE = 0.05
# A template with fewer plain words says too little: "<num> + <num>" would join all of arithmetic.
FEWEST_PLAIN_WORDS = 6
NUMBER_WORDS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half third
    quarter dozen twice thrice double triple""".split()
)
NOT_NAMES = frozenset(
    """i monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december""".split()
)
# Invisible characters that hide a copy: zero-width ones, word joiner, byte-order mark, soft hyphen.
_INVISIBLE = "\u200b\u200c\u200d\ufeff\u2060\u00ad"
# What the flat form of `whet.data.texts.words` uses itself.
_RESERVED = str.maketrans("\x00\x01", "  ")
_TYPOGRAPHY = {
    **dict.fromkeys(_INVISIBLE, ""),
    **dict.fromkeys("\u2018\u2019", "'"),
    **dict.fromkeys("\u201c\u201d", '"'),
    **dict.fromkeys("\u2010\u2013\u2014\u2212", "-"),
    "\u00d7": "*",
    "\u00f7": "/",
    "\u2044": "/",
}
_TYPOGRAPHIC = re.compile(f"[{''.join(_TYPOGRAPHY)}]")
# Cyrillic and Greek letters that look like Latin ones, folded only where Latin stands beside them.
_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТУХІЈЅавекмнорстухіјѕԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχ",
    "ABEKMHOPCTYXIJSabekmhopctyxijsdqwABEZHIKMNOPTYXaiknopux",
)
_LOOK_ALIKE = re.compile(f"[{''.join(map(chr, _LOOK_ALIKES))}]")
_LATIN = re.compile(r"[A-Za-z]")
_LETTERS = re.compile(r"[^\W\d_]+")
# Scripts that put no spaces between words: every character is a word.
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")
_UNSPACED_SOME = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
# Letters, digits, or a sign of arithmetic; a minus or a slash only beside a number, so that no hyphen is one.
_WORD = re.compile(r"\x01?[a-zA-Z\x80-\U0010ffff]+|[0-9]+|[+*=<>^%]|(?<=[0-9])[-/]|(?<=[0-9] )[-/]|[-/](?= ?[0-9])")
_NUMBER = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")


def _latin(text: str) -> str:
    """Look-alike letters as Latin ones: in words that also hold Latin letters, and alone in mostly Latin rows."""
    if not _LOOK_ALIKE.search(text):
        return text
    latin = len(_LATIN.findall(text))
    mostly = 2 * latin > sum(map(str.isalpha, text))

    def fold(match: re.Match[str]) -> str:
        word = match.group()
        mixed = _LATIN.search(word) is not None or (mostly and len(word.translate(_LOOK_ALIKES)) == 1)
        return word.translate(_LOOK_ALIKES) if mixed else word

    return _LETTERS.sub(fold, text)


def _plain(text: str) -> str:
    if text.isascii():
        return text
    # Before and after: an invisible character keeps an accent from its letter, and full-width signs become typography.
    text = unicodedata.normalize("NFKC", _plain_typography(text))
    return text if text.isascii() else _latin(_plain_typography(text))


def _plain_typography(text: str) -> str:
    """Faster than str.translate, which looks every character up."""
    for mark in set(_TYPOGRAPHIC.findall(text)):
        text = text.replace(mark, _TYPOGRAPHY[mark])
    return text


def canonical(text: str) -> str:
    """What is left when only appearance differs: NFKC, nothing invisible, plain quotes, folded case and spaces.

    Letters of other scripts that look like Latin ones count as these where Latin stands beside them.

    >>> canonical("  Alice\u2019s \uff13 apples ")
    "alice's 3 apples"
    """
    return " ".join(_plain(text).casefold().split())


def word_text(text: str) -> str:
    """The text with everything but ASCII reduced to folded letters; U+0001 stands before a word with a capital.

    Digits of every script become 0-9, characters of scripts without spaces stand alone, symbols become spaces. An ASCII
    text is returned as it is.
    """
    if text.isascii():
        return text.translate(_RESERVED) if "\x00" in text or "\x01" in text else text
    text = _plain(text).translate(_RESERVED)
    if text.isascii():
        return text
    if _UNSPACED_SOME.search(text):
        text = _UNSPACED.sub(r" \1 ", text)
    text = "".join(mark if mark.isascii() else _reduced(mark) for mark in text)
    return re.sub(r"[a-zA-Z\x80-\U0010ffff]+", _folded, text)


def _reduced(mark: str) -> str:
    if mark.isalpha():
        return mark
    digit = unicodedata.decimal(mark, None)
    if digit is not None:
        return str(digit)
    # Vowel signs and accents are part of their word; everything else parts words.
    return mark if unicodedata.category(mark)[0] in "MN" else " "


def _folded(match: re.Match[str]) -> str:
    word = match.group()
    if word.isascii():
        return word
    return ("\x01" if word[0].isupper() else "") + word.casefold()


def words(text: str) -> list[str]:
    """The words, numbers and signs of arithmetic of a text, folded; other punctuation parts words.

    >>> words("Bob's 1,000 - 3 well-known files")
    ['bob', 's', '1', '000', '-', '3', 'well', 'known', 'files']
    """
    return [word.removeprefix("\x01").lower() for word in _WORD.findall(word_text(text))]


def spelt(text: str) -> str:
    """The text as `word_text` gives it, but with capitals for its marks: an ASCII text whose words are all there is."""
    return re.sub("\x01(.)", lambda match: _capital(match.group(1)), word_text(text))


def _capital(letter: str) -> str:
    return capital if len(capital := letter.upper()) == 1 else letter


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text that `spelt` gave begin and end.

    >>> word_spans("3 apples")
    [(0, 1), (2, 8)]
    """
    return [match.span() for match in _WORD.finditer(text)]


def shingles(text: str, size: int) -> list[tuple[str, ...]]:
    """Every run of `size` words, in order; a shorter text is one run, an empty one has none.

    >>> shingles("Is 3 + 4 a sum?", 3)
    [('is', '3', '+'), ('3', '+', '4'), ('+', '4', 'a'), ('4', 'a', 'sum')]
    """
    found = words(text)
    if len(found) < size:
        return [tuple(found)] if found else []
    return list(zip(*(found[start:] for start in range(size)), strict=False))


def numbers_in(text: str) -> tuple[str, ...]:
    """The numbers of a text in digits, in order, without thousands commas and trailing zeros.

    >>> numbers_in("1,000 apples at $2.50, 3 left")
    ('1000', '2.5', '3')
    """
    found = (number.replace(",", "") for number in _NUMBER.findall(_plain(text)))
    return tuple((number.rstrip("0").rstrip(".") if "." in number else number).lstrip("0") or "0" for number in found)


class Masker:
    """Masks numbers and names, so that two word problems that differ in nothing else become the same text.

    >>> Masker({"alice": 0.0}).form("Alice has 3 apples and buys two more.")
    ('<name> has <num> apples and buys <num> more', 5)
    """

    def __init__(self, names: Mapping[str, float]) -> None:
        """`names`: the words that count as names, as `whet.data.texts.words.names_of` gives them."""
        self._names = names

    def form(self, text: str) -> tuple[str, int]:
        """The text with `<num>` and `<name>`, runs of them collapsed, and how many words stayed as they are.

        Short forms say little: callers ask for enough unmasked words.
        """
        masked: list[str] = []
        plain = 0
        for word in _WORD.findall(word_text(text)):
            mask = self._mask(word)
            if not mask:
                plain += 1
            if not mask or masked[-1:] != [mask]:
                masked.append(mask or word.removeprefix("\x01").lower())
        return " ".join(masked), plain

    def _mask(self, word: str) -> str:
        folded = word.removeprefix("\x01").lower()
        if word[0].isdigit() or folded in NUMBER_WORDS:
            return "<num>"
        is_capital = word[0] == "\x01" or word[0].isupper()
        return "<name>" if is_capital and folded in self._names and folded not in NOT_NAMES else ""
