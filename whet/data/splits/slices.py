"""The long tail and the out-of-distribution rows of a corpus whose rows do not say so themselves.

The long tail is what stands out by a measure of its own: rare words, a form of its own among forms that recur, an
extreme length, a rare source. Every measure has to be both extreme among the rows and far from their middle, so a
corpus whose rows are all alike has no long tail. Each such row says why.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import Record, prompt_in
from whet.data.space.shelf import chosen
from whet.data.texts.canonical import FEWEST_PLAIN_WORDS
from whet.data.texts.row_texts import RowTexts
from whet.data.texts.words import WordTable, mixed, template_words, word_tables

__all__ = ["find_slices"]

# W word, R row
Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
# Of all rows at most this share is long tail, and at most the second by one measure.
_MOST, _MOST_BY_ONE = 0.1, 0.04
# So many robust standard deviations from the median are far: for a normal distribution one row in 43.
_FAR = 2.0
_RARE_SOURCE = 0.02
# A form is common when so many rows have it, and forms say something when the common ones have most of the rows.
_COMMON_FORM, _MOSTLY = 3, 0.5
# Of fewer rows nothing can be said to be rare.
_FEWEST_ROWS = 50
_WORDS_AT_ONCE = 1 << 20


def find_slices(records: Sequence[Record], texts: RowTexts, settings: DataSettings) -> list[tuple[str, str]]:
    """For each row its slice and the reason, "" where it is the row's own or the ordinary one.

    Where no row brings a slice and `long_tail` is auto, ordinary rows become `in_distribution`.
    """
    own = [prompt_in(record).slice for record in records]
    unseen = _unseen(records, settings.out_of_distribution)
    found = [(slice_, "") for slice_ in own]
    if settings.long_tail == "auto" and all(slice_ == "all" for slice_ in own):
        rows = [row for row in range(len(records)) if row not in unseen]
        found = [("in_distribution", "")] * len(records)
        for row, reason in _long_tail(chosen(records, rows), texts.taken(rows)).items():
            found[rows[row]] = ("long_tail", reason)
    for row, reason in unseen.items():
        if own[row] == "all":
            found[row] = ("out_of_distribution", reason)
    return found


def _unseen(records: Sequence[Record], marks: Sequence[str]) -> dict[int, str]:
    """Rows of the sources, or with the `column=value`, that are named; a name that no row has is an error."""
    found: dict[int, str] = {}
    for mark in marks:
        column, equals, value = mark.partition("=")
        name = mark.rstrip("/").rpartition("/")[2]
        rows = [
            row
            for row, record in enumerate(records)
            if (source := prompt_in(record).origin.source) in (mark, name)
            or source.startswith((f"{mark}:", f"{name}/"))
            or (equals and _text(prompt_in(record).columns.get(column)) == value.strip())
        ]
        if not rows:
            sources = sorted({prompt_in(record).origin.source for record in records})
            raise DataError(
                f"data.out_of_distribution: no row is of {mark!r}; name a source ({', '.join(sources[:8])}) "
                "or column=value"
            )
        for row in rows:
            found.setdefault(row, mark)
    return found


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).strip()


def _long_tail(records: Sequence[Record], texts: RowTexts) -> dict[int, str]:
    """Row -> reason, the measures one after the other until a tenth of the rows is marked."""
    count = len(records)
    if count < _FEWEST_ROWS:
        return {}
    asked = texts.asked
    lengths = np.log1p(texts.words_R.astype(np.float64))
    measures = {
        "rare source": _rare_sources([prompt_in(record).origin.source for record in records]),
        "long": _beyond(lengths),
        "short": _beyond(-lengths),
        "rare words": _beyond(_mean_rarity(asked)),
        "rare form": _rare_forms(asked),
    }
    hashes = np.array([int(id_, 16) for id_ in texts.id], dtype=np.uint64)
    found: dict[int, str] = {}
    for reason, score in measures.items():
        most = min(int(_MOST_BY_ONE * count), int(_MOST * count) - len(found))
        order = np.lexsort((hashes, -score))
        far = [row for row in order[score[order] > 0].tolist() if row not in found]
        found |= dict.fromkeys(far[:most], reason)
    return found


def _beyond(measure: Floats) -> Floats:
    """How far each is above the median beyond _FAR robust standard deviations, at most 0 for all others.

    The deviation is 1.4826 x the median distance from the median, as of a normal distribution, and at least a
    twentieth of the median: rows of all but one length are not extreme.
    """
    middle = float(np.median(measure))
    spread = max(1.4826 * float(np.median(np.abs(measure - middle))), 0.05 * abs(middle), 1e-6)
    # Rounded, because logarithms differ in the last bit from one machine to another.
    return np.round((measure - middle) / spread - _FAR, 6)


def _mean_rarity(texts: Sequence[str]) -> Floats:
    """The mean inverse document frequency, log(rows / rows with the word), of each row's words; 0 without words."""
    word, uses = _rows_with_each_word(texts)
    rarity = np.log(len(texts) / uses)
    means: list[Floats] = []
    for words, count_R in map(_words_by_row, word_tables(texts)):
        row_W = np.repeat(np.arange(len(count_R)), count_R)
        total = np.bincount(row_W, weights=rarity[np.searchsorted(word, words)], minlength=len(count_R))
        means.append(total / np.maximum(1, count_R))
    return np.concatenate(means)


def _rows_with_each_word(texts: Sequence[str]) -> tuple[Hashes, Floats]:
    """Every word, sorted, and how many rows have it; summed up on the way, so memory holds the different words."""
    word, uses = np.zeros(0, dtype=np.uint64), np.zeros(0)
    pending: list[Hashes] = []
    for words, _ in map(_words_by_row, word_tables(texts)):
        pending.append(words)
        if sum(map(len, pending)) > _WORDS_AT_ONCE + len(word):
            word, uses = _counted_too(word, uses, pending)
            pending = []
    return _counted_too(word, uses, pending)


def _counted_too(word: Hashes, uses: Floats, more: Sequence[Hashes]) -> tuple[Hashes, Floats]:
    everything = np.concatenate([word, *more])
    weights = np.concatenate([uses, np.ones(len(everything) - len(word))])
    different, place = np.unique(everything, return_inverse=True)
    summed: Floats = np.bincount(place, weights=weights, minlength=len(different)).astype(np.float64)
    return different, summed


def _words_by_row(table: WordTable) -> tuple[Hashes, Integers]:
    """Each row's different words, numbers left out, row after row; and how many each row has."""
    row_W = np.repeat(np.arange(table.rows), table.count_R)[~table.is_digits_W]
    word_W = table.word_W[~table.is_digits_W]
    _, first = np.unique(word_W ^ mixed(row_W.astype(np.uint64)), return_index=True)
    first.sort()
    return word_W[first], np.bincount(row_W[first], minlength=table.rows)


def _rare_forms(texts: Sequence[str]) -> Floats:
    """1 for rows whose text with names and numbers masked is no other row's, if most rows share theirs; else 0.

    Every word with a capital is masked: what is a name need not be known to see that a form recurs.
    """
    forms, says_enough = [], []
    for table in word_tables(texts):
        masked, plain_R = template_words(table, np.unique(table.word_W[table.is_capital_W]))
        place = np.arange(len(masked.word_W)) - np.repeat(masked.start_R[:-1], masked.count_R)
        hashes = np.append(mixed(masked.word_W ^ mixed(place.astype(np.uint64))), np.uint64(0))
        sums = np.add.reduceat(hashes, masked.start_R[:-1])
        forms.append(np.where(masked.count_R > 0, sums, np.uint64(0)))
        says_enough.append(plain_R >= FEWEST_PLAIN_WORDS)
    counts = np.concatenate(says_enough)
    _, form, uses = np.unique(np.concatenate(forms), return_inverse=True, return_counts=True)
    rows_alike = np.where(counts, uses[form], 0)
    if np.count_nonzero(rows_alike >= _COMMON_FORM) < max(1.0, _MOSTLY * np.count_nonzero(counts)):
        return np.zeros(len(texts))
    return np.where(rows_alike == 1, 1.0, 0.0)


def _rare_sources(sources: Sequence[str]) -> Floats:
    """Above 0 for rows of a source with less than 2 % of all rows, the more the rarer."""
    uses = Counter(sources)
    return np.array([max(0.0, _RARE_SOURCE - uses[source] / len(sources)) for source in sources])
