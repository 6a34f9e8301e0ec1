"""Which texts ask the same in other words, by their rare words and their numbers; nothing to download.

Likeness is the cosine of TF-IDF vectors of words and runs of two words; what counts as rephrased says
`rephrasing` beside it. The rules were tuned on GSM8K: its test questions rephrased by language models in three public
sets, against 1,500 training questions that rephrase none, and by reading what is joined inside the training set.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from whet.data.pairs.near import Pairs
from whet.data.pairs.numbers import NumbersKnown
from whet.data.pairs.rephrasing import Matches, Rule, distinct_texts, matches_of, pairs_of
from whet.data.pairs.tfidf import Index, TermWeights, terms_of

__all__ = ["HELD_OUT", "IN_CORPUS", "Questions", "rephrased_pairs"]

IN_CORPUS = Rule(least=0.15, score=np.multiply, enough=0.15, near=0.5, margin=0.25)
# Fewer pairs are looked at, so fewer are alike by chance.
HELD_OUT = replace(IN_CORPUS, enough=0.12)


def rephrased_pairs(texts: Sequence[str]) -> Pairs:
    """The pairs of texts that rephrase each other; one that repeats an earlier text is paired with that alone.

    The order of the texts changes nothing. Texts without words are like none.
    """
    distinct = distinct_texts(terms_of(texts))
    some = [texts[row] for row in distinct.rows.tolist()]
    weights, known = TermWeights(terms_of(some), least_rows=2), NumbersKnown(some)
    vectors = weights.vectors(terms_of(some))
    index = Index(vectors, weights, least=IN_CORPUS.least, asked=vectors)
    found = pairs_of(index.alike(vectors), known.learnt, known, IN_CORPUS)
    return distinct.pairs(found, method="tf-idf", capped=index.capped)


class Questions:
    """Held-out questions, ready to be asked which of them a text rephrases; memory for the held-out side alone."""

    def __init__(self, texts: Sequence[str], sample: Sequence[str], *, rule: Rule = HELD_OUT) -> None:
        """`sample` are texts of the stream: which words and numbers are common is learnt from them too."""
        self._rule = rule
        distinct = distinct_texts(terms_of(texts))
        self._number = distinct.rows
        some = [texts[row] for row in distinct.rows.tolist()]
        self._weights = TermWeights(chain(terms_of(some), terms_of(sample)), least_rows=1)
        self._known = NumbersKnown([*some, *sample])
        self._numbers = self._known.learnt.first(len(some))
        vectors, asked = self._weights.vectors(terms_of(some)), self._weights.vectors(terms_of(sample))
        self._index = Index(vectors, self._weights, least=rule.least, asked=asked)
        self.capped = self._index.capped

    def matches(self, texts: Sequence[str]) -> Matches:
        """The pairs of a text and the held-out question it rephrases, of equal questions the first.

        A text is judged by itself: which others are asked for along with it changes nothing.
        """
        vectors, numbers = self._weights.vectors(terms_of(texts)), self._known.sets(texts)
        found = matches_of(self._index.alike(vectors), numbers, self._numbers, self._known, self._rule)
        return Matches(row=found.row, question=self._number[found.question], score=found.score)
