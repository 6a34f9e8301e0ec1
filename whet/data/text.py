"""When two texts count as the same: canonical text, and the template that is left when names and numbers are masked."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

__all__ = ["canonical", "name_frequencies", "template_form"]

# Invisible characters that hide a copy: zero-width ones, word joiner, byte-order mark, soft hyphen.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufeff\u2060\u00ad"))
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d[\d.,/%]*")
_NUMBER_WORDS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half third
    quarter dozen twice thrice double triple""".split()
)
_NOT_NAMES = frozenset(
    """i monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december""".split()
)


def canonical(text: str) -> str:
    """What is left when only appearance differs: NFKC, invisible characters gone, quotes plain, case and spaces folded.

    >>> canonical("  Alice\u2019s \uff13 apples ")
    "alice's 3 apples"
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_INVISIBLE).translate(_QUOTES)
    return " ".join(text.casefold().split())


def name_frequencies(texts: Iterable[str]) -> dict[str, float]:
    """How often each capitalised word is also written in lower case: a ratio, so that it does not break as data grows.

    A word is taken for a name when at most 5 % of its uses are in lower case.
    """
    lower: Counter[str] = Counter()
    upper: Counter[str] = Counter()
    for text in texts:
        for word in _WORD.findall(text):
            (upper if word[0].isupper() else lower)[word.casefold()] += 1
    return {word: lower[word] / (lower[word] + count) for word, count in upper.items()}


def template_form(text: str, names: Mapping[str, float]) -> tuple[str, int]:
    """The text with numbers as `<num>` and names as `<name>`, and how many words stayed as they are.

    Two word problems with the same form differ only in names and numbers. Short forms say little: callers ask for
    enough unmasked words.

    >>> template_form("Alice has 3 apples and buys two more.", {"alice": 0.0})
    ('<name> has <num> apples and buys <num> more', 6)
    """
    text = unicodedata.normalize("NFKC", text).translate(_INVISIBLE).translate(_QUOTES)
    masked: list[str] = []
    for word in _WORD.findall(text):
        folded = word.casefold()
        base = folded.removesuffix("'s")
        if word[0].isdigit() or folded in _NUMBER_WORDS:
            kind = "<num>"
        elif word[0].isupper() and base not in _NOT_NAMES and names.get(folded, names.get(base, 1.0)) <= 0.05:
            kind = "<name>"
        else:
            kind = folded
        if not (kind in ("<num>", "<name>") and masked and masked[-1] == kind):
            masked.append(kind)
    plain = sum(word not in ("<num>", "<name>") for word in masked)
    return " ".join(masked), plain
