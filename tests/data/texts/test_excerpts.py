"""Excerpts: the stretch of a long text that is like another."""

from whet.core.records import Comparison, Message, Origin, Prompt, texts_in
from whet.data.texts.excerpts import excerpt, stretch_like

QUESTION = "Alice walks nine miles along the old river path."


def test_the_stretch_is_found_in_whichever_text_has_it() -> None:
    long = "padding " * 200 + QUESTION + " tail" * 200
    found = stretch_like(["something else", long], QUESTION, most=120)
    assert QUESTION in found
    assert found.startswith("… padding")
    assert found.endswith("tail …")
    assert len(found) <= 124  # two marks beside at most 120 characters


def test_a_text_that_is_like_nothing_is_shown_from_its_start() -> None:
    assert stretch_like(["first words " * 30, "more"], QUESTION, most=40) == "first words first words first words …"
    assert stretch_like([], QUESTION, most=40) == ""
    assert stretch_like(["short"], "", most=40) == "short"


def test_an_excerpt_cuts_at_spaces_or_where_there_is_none() -> None:
    assert excerpt("one two three four", most=18) == "one two three four"
    assert excerpt("one two three four", most=15) == "one two three …"
    assert excerpt("x" * 50, begin=45, most=10) == "… " + "x" * 10


def test_every_text_of_a_row() -> None:
    turns = tuple(Message(role=role, content=role) for role in ("system", "user"))
    prompt = Prompt(messages=turns, origin=Origin(source="t", row=0))
    assert texts_in(prompt) == ["system", "user"]
    assert texts_in(Comparison(prompt=prompt, chosen="a", rejected="b")) == ["system", "user", "a", "b"]
