"""Which rows count as the same, view by view."""

from pathlib import Path

import numpy as np
import pytest

from whet.core.recipe import DataSettings
from whet.core.records import Comparison, Conversation, Message, Origin, Prompt
from whet.data.alike.clusters import join
from whet.data.alike.views import VIEWS, find
from whet.data.alike.views.template import masked_pairs
from whet.data.pairs.near import unite
from whet.data.sources.read import read_sources
from whet.data.texts.row_texts import asked, row_texts
from whet.data.texts.words import names_of

REAL = Path(__file__).parents[4] / "shared" / "data"


def prompt(text: str, *, system: str | None = None, answer: str | None = None) -> Prompt:
    turns = (Message(role="system", content=system),) if system else ()
    return Prompt(
        messages=(*turns, Message(role="user", content=text)), origin=Origin(source="a", row=0), answer=answer
    )


def edges(records: list[Prompt | Conversation | Comparison]) -> list[tuple[str, int, int]]:
    """What joins the rows by each view alone, but for the stop view, which sees most of what the near view sees."""
    views = [view for view in find(row_texts(records), DataSettings(paraphrase="off")) if view.kind != "stop"]
    return [(view.kind, first, second) for view in views for first, second, _ in view.pairs]


def test_exact_needs_the_same_completion_and_shared_prompt_does_not() -> None:
    rows = [
        Conversation(prompt=prompt("What is 3+2?"), completion="5"),
        Conversation(prompt=prompt("what  is \uff13+2?"), completion="5"),
        Conversation(prompt=prompt("What is 3+2?"), completion="six"),
        Conversation(prompt=prompt("What is 3+3?"), completion="5"),
    ]
    found = [edge for edge in edges([*rows]) if edge[0] in ("exact", "shared_prompt")]
    assert found == [("exact", 0, 1), ("shared_prompt", 0, 1), ("shared_prompt", 0, 2)]


def test_another_system_turn_makes_no_other_question() -> None:
    assert ("shared_prompt", 0, 1) in edges([prompt("What is 3+2?"), prompt("What is 3+2?", system="Be brief.")])


def test_template_joins_other_names_and_numbers_only() -> None:
    rows = [
        prompt("Alice has 3 apples and buys 2 more at the market. How many now?"),
        prompt("Bob has 40 apples and buys twelve more at the market. How many now?"),
        prompt("Bob has 40 pears and buys twelve more at the market. How many now?"),
    ]
    assert edges([*rows]) == [("template", 0, 1)]


def test_near_keeps_numbers_and_needs_most_runs() -> None:
    text = "A train leaves the old station at nine in the morning and drives for 3 hours to the sea."
    rows = [prompt(text), prompt(f"{text} How far?"), prompt(text.replace("3", "5").replace("nine", "six"))]
    # 19 words: 17 runs; two words more make 2 more of 19. Two numbers changed: 12 of 22 runs.
    assert edges([*rows]) == [("near", 0, 1), ("template", 0, 2), ("template", 0, 1)]


def test_near_sees_the_signs_of_arithmetic() -> None:
    assert edges([prompt("What is 3 + 2?"), prompt("What is 3 * 2?"), prompt("What is 3 - 2?")]) == []


def test_a_shared_header_neither_joins_nor_hides_rows() -> None:
    header = " ".join(f"rule{number}" for number in range(96))
    questions = [f"q{number} " + " ".join(f"w{number}x{place}" for place in range(11)) for number in range(80)]
    rows = row_texts([prompt(f"{header}. {question}") for question in questions] + [prompt(questions[0])])
    near, stop = (VIEWS[kind](rows, DataSettings()).pairs for kind in ("near", "stop"))
    # 94 runs of the header against 12 of the question: all alike by the plain view, the bare question by none
    assert {(0, 80), (0, 1)} & {(first, second) for first, second, _ in near} == {(0, 1)}
    assert [(first, second) for first, second, _ in stop] == [(0, 80)]


def test_rows_of_one_document_stay_together() -> None:
    rows = [
        Prompt(messages=prompt(text).messages, origin=Origin(source="a", row=row), columns={"book": book})
        for row, (text, book) in enumerate([("one", "x"), ("two", "y"), ("three", "x"), ("four", None)])
    ]
    assert list(VIEWS["group"](row_texts(rows, "book"), DataSettings()).pairs) == [(0, 2, 1.0)]


def test_short_templates_join_nothing() -> None:
    assert edges([prompt("What is 3 + 2?"), prompt("What is 4 + 9?")]) == []


def test_preferences_are_compared_by_prompt_and_texts_by_text() -> None:
    rows = [
        Comparison(prompt=prompt("What is 3+2?"), chosen="5", rejected="6"),
        Conversation(prompt=prompt("What is 3+2?"), completion="5"),
        Conversation(prompt=Prompt(messages=(), origin=Origin(source="a", row=0)), completion="What is 3+2?"),
        Conversation(prompt=Prompt(messages=(), origin=Origin(source="a", row=1)), completion="Once"),
    ]
    found = [edge for edge in edges([*rows]) if edge[0] == "shared_prompt"]
    assert found == [("shared_prompt", 0, 1), ("shared_prompt", 0, 2)]


def test_joins_name_their_view_and_carry_evidence() -> None:
    text = "A train leaves the old station at nine and drives for 3 hours to the sea."
    rows = row_texts([prompt("What is 3+2?"), prompt("What is 3+2?"), prompt(text), prompt(text + " How far?")])
    clusters = join(len(rows), find(rows, DataSettings()))
    assert [(edge.kind, edge.score) for edge in clusters.joins] == [("exact", 1.0), ("near", pytest.approx(14 / 16))]
    assert [edge.evidence for edge in clusters.joins] == ["what is 3+2?", "0.88 of their runs of 3 words"]
    assert set(clusters.views) == set(VIEWS)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_number_changed_questions_find_their_originals() -> None:
    test, hard = (
        [record for source in read_sources(str(REAL / name), DataSettings(), seed=0) for record in source.records]
        for name in ("gsm8k/test.jsonl", "gsm_hard/gsmhardv2.jsonl.gz")
    )
    # Names are learnt from a corpus of the size that is usual, not from the two files that are compared.
    train = read_sources(str(REAL / "gsm8k/train.jsonl.gz"), DataSettings(), seed=0)[0].records
    texts = [asked(record) for record in (*test, *hard, *train)]
    pairs = masked_pairs(texts, list(names_of(texts)))
    labels = np.arange(len(texts))
    unite(labels, pairs.first, pairs.second)
    originals = set(labels[: len(test)].tolist())
    assert sum(label in originals for label in labels[len(test) : len(test) + len(hard)].tolist()) >= 1318
