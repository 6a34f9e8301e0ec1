"""When two texts count as the same: canonical text, the template left when names and numbers are masked, shingles."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

__all__ = ["Masker", "canonical", "name_frequencies", "shingles", "words"]

# Invisible characters that hide a copy: zero-width ones, word joiner, byte-order mark, soft hyphen.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufeff\u2060\u00ad"))
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d[\d.,/%]*")
_MASK_RUN = re.compile(r"(<num>|<name>)(?: \1)+")
_NUMBER_WORDS = frozenset(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half third
    quarter dozen twice thrice double triple""".split()
)
_NOT_NAMES = frozenset(
    """i monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december""".split()
)
# A word is taken for a name when at most this share of its uses is in lower case.
_LOWER_SHARE = 0.05


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text).translate(_INVISIBLE).translate(_QUOTES)


def canonical(text: str) -> str:
    """What is left when only appearance differs: NFKC, invisible characters gone, quotes plain, case and spaces folded.

    >>> canonical("  Alice\u2019s \uff13 apples ")
    "alice's 3 apples"
    """
    return " ".join(_plain(text).casefold().split())


def words(text: str) -> list[str]:
    """The words and numbers of the canonical text, without punctuation."""
    return _WORD.findall(canonical(text))


def shingles(text: str, size: int) -> list[tuple[str, ...]]:
    """Every run of `size` words of the canonical text, in order; a shorter text is one run, an empty one has none.

    >>> shingles("Is 3 + 4 a sum?", 3)
    [('is', '3', '4'), ('3', '4', 'a'), ('4', 'a', 'sum')]
    """
    found = words(text)
    if len(found) < size:
        return [tuple(found)] if found else []
    return list(zip(*(found[start:] for start in range(size)), strict=False))


def name_frequencies(texts: Iterable[str]) -> dict[str, float]:
    """For every word that is written with a capital: the share of its uses in lower case.

    A ratio, so that it does not break as the data grows.

    >>> name_frequencies(["Alice saw Bill.", "The bill of Alice"])
    {'alice': 0.0, 'bill': 0.5, 'the': 0.0}
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_WORD.findall(_plain(text)))
    lower: Counter[str] = Counter()
    upper: Counter[str] = Counter()
    for word, count in counts.items():
        (upper if word[0].isupper() else lower)[word.casefold()] += count
    return {word: lower[word] / (lower[word] + count) for word, count in upper.items()}


class Masker:
    """Masks numbers and names, so that two word problems that differ in nothing else become the same text.

    >>> Masker({"alice": 0.0}).form("Alice has 3 apples and buys two more.")
    ('<name> has <num> apples and buys <num> more', 5)
    """

    def __init__(self, names: Mapping[str, float]) -> None:
        """`names` as `name_frequencies` gives them; a word that is not in it is no name."""
        self._names = names
        self._masks: dict[str, str] = {}

    def form(self, text: str) -> tuple[str, int]:
        """The text with `<num>` and `<name>`, runs of them collapsed, and how many words stayed as they are.

        Short forms say little: callers ask for enough unmasked words.
        """
        masks, found = self._masks, _WORD.findall(_plain(text))
        try:
            masked = [masks[word] for word in found]
        except KeyError:
            for word in found:
                if word not in masks:
                    masks[word] = self._mask(word)
            masked = [masks[word] for word in found]
        plain = len(masked) - masked.count("<num>") - masked.count("<name>")
        return _MASK_RUN.sub(r"\1", " ".join(masked)), plain

    def _mask(self, word: str) -> str:
        folded = word.casefold()
        base = folded.removesuffix("'s")
        if word[0].isdigit() or folded in _NUMBER_WORDS:
            return "<num>"
        lower_share = self._names.get(folded, self._names.get(base, 1.0))
        if word[0].isupper() and base not in _NOT_NAMES and lower_share <= _LOWER_SHARE:
            return "<name>"
        return folded
