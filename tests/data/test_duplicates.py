"""Which rows count as the same, view by view."""

from pathlib import Path

import pytest

from whet.core.recipe import DataSettings
from whet.core.records import Comparison, Conversation, Message, Origin, Prompt, prompt_in
from whet.data.duplicates import EDGE_FINDERS, asked, find_edges, names_of, row_texts
from whet.data.sources import read_sources

REAL = Path(__file__).parents[3] / "shared" / "data"


def prompt(text: str, *, system: str | None = None, answer: str | None = None) -> Prompt:
    turns = (Message(role="system", content=system),) if system else ()
    return Prompt(
        messages=(*turns, Message(role="user", content=text)), origin=Origin(source="a", row=0), answer=answer
    )


def edges(records: list[Prompt | Conversation | Comparison]) -> list[tuple[str, int, int]]:
    names = names_of([asked(record) for record in records])
    return [(edge.kind, edge.first, edge.second) for edge in find_edges(row_texts(records, names))]


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


def test_edges_name_their_kind_in_the_table_and_carry_evidence() -> None:
    rows = [prompt("What is 3+2?"), prompt("What is 3+2?")]
    found = list(find_edges(row_texts(rows, {})))
    assert {edge.kind for edge in found} <= set(EDGE_FINDERS)
    assert [edge.kind for edge in found] == ["exact", "shared_prompt", "near"]
    assert [edge.evidence for edge in found[1:]] == ["what is 3+2?", "what is 3 2"]
    assert all(edge.score == 1.0 for edge in found)
    assert list(EDGE_FINDERS) == ["exact", "shared_prompt", "near", "template"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_number_changed_questions_find_their_originals() -> None:
    test, hard = (
        [record for source in read_sources(str(REAL / name), DataSettings(), seed=0) for record in source.records]
        for name in ("gsm8k/test.jsonl", "gsm_hard/gsmhardv2.jsonl.gz")
    )
    # Names are learnt from a corpus of the size that is usual, not from the two files that are compared.
    train = read_sources(str(REAL / "gsm8k/train.jsonl.gz"), DataSettings(), seed=0)[0].records
    names = names_of([prompt_in(record).text for record in (*train, *test, *hard)])
    templates = {row.template for row in row_texts(test, names)}
    assert sum(row.template in templates for row in row_texts(hard, names)) >= 1318
