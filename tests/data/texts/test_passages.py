"""Which passages very many texts share, and what is left of a text without them."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.data.texts import passages as passages_module
from whet.data.texts.canonical import shingles, word_spans, words
from whet.data.texts.passages import learn, most_texts, own_words

HEADER = """You read short notes of customers. Say whether the writer of the note below is content or not, in one word,
in lower case, and do not explain the word. If you are not sure, choose the more likely of the two."""
SHOTS = """Question: Ann has 3 plums and eats 1 of them, how many are left?
Answer: 2

Question: Is 7 odd?
Answer: yes

"""


def sentences(count: int, length: int, *, seed: int = 0) -> list[str]:
    """Different ones, of 200 words that stand in no header."""
    rng = random.Random(seed)
    names = [a + b for a in "bcdfghklmnprstvwz" for b in ("ile", "oru", "ank", "esto", "umi", "ady", "iro", "ona")]
    return [" ".join(rng.choices(names, k=length)) for _ in range(count)]


def own(texts: Sequence[str]) -> list[list[str]]:
    return [words(text) for text in own_words(texts, learn(texts))]


# The same in plain Python, from the definition


def plain_own(texts: Sequence[str]) -> list[list[str]]:
    texts_with = Counter(run for text in texts for run in set(shingles(text, 3)) if len(run) == 3)
    most = most_texts(len(texts))
    # a run counts where it stands in 16 words one after the other, all of common runs, in so many texts
    long: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        runs = [run for run in shingles(text, 3) if len(run) == 3]
        long.update(
            {run for stretch in _maximal([texts_with[run] > most for run in runs], 14) for run in runs[stretch]}
        )
    return [_plain_cut(words(text), long, most) for text in texts]


def _maximal(flags: Sequence[bool], least: int) -> list[slice]:
    found, first = [], 0
    for place in range(len(flags) + 1):
        if place == len(flags) or not flags[place]:
            if place - first >= least:
                found.append(slice(first, place))
            first = place + 1
    return found


def _plain_cut(text: list[str], texts_with: Counter[tuple[str, ...]], most: int) -> list[str]:
    runs = list(zip(text, text[1:], text[2:], strict=False))
    uses = [texts_with[run] if texts_with[run] > most else 0 for run in runs]
    passages, covered = [], set()
    for stretch in _maximal([use > 0 for use in uses], 1):
        cuts = [stretch.start]
        for place in range(stretch.start + 1, stretch.stop):
            left, right = uses[stretch.start : place], uses[place : stretch.stop]
            if 2 * min(*left, uses[place]) < min(left) or 2 * min(*right, uses[place - 1]) < min(right):
                cuts.append(place)
        parts = [(a, b + 2) for a, b in zip(cuts, [*cuts[1:], stretch.stop], strict=True) if b + 2 - a >= 16]
        passages += parts
        for first, end in parts or [(stretch.start, stretch.stop + 2)]:
            covered |= set(range(first, end))
    if len(text) - len(covered) < 3:
        return text
    inside = {place for first, end in passages for place in range(first, end)}
    return [word for place, word in enumerate(text) if place not in inside]


CORPORA = {
    "none": sentences(40, 12),
    "one header": [f"{HEADER}\n{text}" for text in sentences(40, 10)],
    "of some": [f"{HEADER}\n{text}" for text in sentences(20, 10)] + sentences(60, 30, seed=1),
    "before and behind": [f"{HEADER} {text}. {SHOTS}" for text in sentences(30, 6)],
    "two of them": [f"{(HEADER, SHOTS)[place % 2]} {text}" for place, text in enumerate(sentences(50, 9))],
    "one in another": [
        f"{HEADER} {(SHOTS, SHOTS[::-1])[place % 2]} {text}" for place, text in enumerate(sentences(60, 4))
    ],
    "edited": [
        HEADER.replace(word, "x") + " " + text for word, text in zip(HEADER.split(), sentences(37, 8), strict=False)
    ],
    "few words": [f"{HEADER} {text}" for text in sentences(30, 2)],
    "few words, often": [f"{HEADER} {text}" for text in sentences(400, 3)],
    "no own words": [HEADER] * 3 + [f"{HEADER} {text}" for text in sentences(30, 12)],
    "long repeats": ["na " * 60 + text for text in sentences(30, 10)],
    "other scripts": [f"{HEADER} \u00c9mile \u5c0f\u660e\u67093 {text} \u0662\u0663" for text in sentences(30, 5)],
    "empty ones": ["", " ", "a", "b c", *(f"{HEADER} {text}" for text in sentences(12, 7))],
}


@pytest.mark.parametrize("name", CORPORA)
def test_what_is_left_out_is_what_the_definition_says(name: str) -> None:
    texts = list(dict.fromkeys(CORPORA[name]))
    assert own(texts) == plain_own(texts)


@settings(max_examples=60)
@given(st.lists(st.text(alphabet="ab 1\u00e9\n-", max_size=60), max_size=30, unique=True), st.randoms())
def test_any_texts_keep_what_the_definition_says(texts: list[str], chance: random.Random) -> None:
    header = " ".join(chance.choices("abcdefgh", k=20))
    texts = [chance.choice([text, f"{header} {text}", f"{text} {header}"]) for text in texts]
    texts = list(dict.fromkeys(texts))
    assert own(texts) == plain_own(texts)


def test_sixteen_notes_below_one_instruction_are_the_notes() -> None:
    notes = sentences(16, 10)
    assert own([f"{HEADER}\n{note}" for note in notes]) == [note.split() for note in notes]
    # 9 texts are very many, 8 are not
    below = [f"{HEADER}\n{note}" for note in notes]
    assert own(below[:9]) == [note.split() for note in notes[:9]]
    assert own(below[:8]) == [words(text) for text in below[:8]]
    others = [f"{SHOTS}{note}" for note in sentences(8, 10, seed=1)]
    assert own(below[:9] + others) == [note.split() for note in notes[:9]] + [words(text) for text in others]


def test_a_passage_of_fifteen_words_stays() -> None:
    notes = sentences(16, 10)
    for count, is_left_out in ((15, False), (16, True)):
        header = " ".join(words(HEADER)[:count])
        kept = own([f"{header} {note}" for note in notes])
        assert kept == [([] if is_left_out else header.split()) + note.split() for note in notes]


def test_a_text_of_fewer_than_three_own_words_is_whole() -> None:
    notes = sentences(16, 10)
    short = f"{HEADER} aaa bbb"
    assert own([short, *(f"{HEADER} {note}" for note in notes)])[0] == words(short)
    assert own([f"{short} ccc", *(f"{HEADER} {note}" for note in notes)])[0] == ["aaa", "bbb", "ccc"]


def test_a_word_that_many_own_texts_begin_with_is_no_part_of_the_passage() -> None:
    # "the two i" stands in 60 texts, which is common, but less than half of the 300 that have "of the two"
    notes = [f"i {note}" if place % 5 == 0 else f"x{note}" for place, note in enumerate(sentences(300, 2))]
    notes = [note if note.startswith("i ") else f"{note} so" for note in notes]
    assert own([f"{HEADER}\n{note}" for note in notes]) == [note.split() for note in notes]


def test_what_stood_apart_stays_apart() -> None:
    texts = [f"{note} {place}{HEADER[:-1]}{place}" for place, note in enumerate(sentences(16, 2))]
    assert own(texts) == [[*note.split(), str(place), str(place)] for place, note in enumerate(sentences(16, 2))]


def test_what_is_learnt_holds_for_other_texts() -> None:
    learnt = learn([f"{HEADER}\n{note}" for note in sentences(20, 8)])
    assert [words(text) for text in learnt.own([f"{HEADER} a new note here", HEADER, "a new note"])] == [
        ["a", "new", "note", "here"],
        words(HEADER),
        ["a", "new", "note"],
    ]


def test_passages_are_told_with_the_rows_that_lack_them() -> None:
    texts = [f"{HEADER}\n{note}" for note in sentences(20, 8)] + [
        f"{note} {SHOTS}" for note in sentences(12, 8, seed=1)
    ]
    left = own_words(texts, learn(texts))
    first, second = left.passages(5)
    assert (first.rows, first.words, second.rows) == (20, len(words(HEADER)), 12)
    assert (left.cut, words(first.text)) == (32, words(HEADER))
    assert words(second.text) == words(SHOTS)


def test_rows_are_taken_in_any_order() -> None:
    texts = [f"{HEADER}\n{note}" for note in sentences(20, 8)] + ["a short one"]
    left = own_words(texts, learn(texts))
    assert left.at([20, 3, 3])[:] == [texts[20], left[3], left[3]]
    assert left.at([5, 4, 3]).at([2, 0])[:] == [left[3], left[5]]
    assert (len(left.at([1, 2])), left[-1]) == (2, "a short one")


def test_counting_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = list(dict.fromkeys(CORPORA["one in another"]))
    whole = own(texts)
    monkeypatch.setattr(passages_module, "_PENDING", 3)
    assert own(texts) == whole


def test_the_words_of_a_passage_stand_where_they_are_said_to() -> None:
    assert [HEADER[first:end] for first, end in word_spans(HEADER)[:3]] == ["You", "read", "short"]
