"""Rows to purposes: what each can serve, which of several copies stays, and the reasons."""

from collections.abc import Sequence

from whet.core.recipe import DataSettings, SizeSettings
from whet.core.records import PURPOSES, Conversation, Message, Origin, Prompt, Record, prompt_in
from whet.data.assign import Assignment, assign
from whet.data.clusters import join
from whet.data.duplicates import asked, find, row_texts

COLOURS = "red green blue old new small big round soft cold warm dry wet thin long short".split()


def prompt(text: str, row: int, *, answer: str | None = None, slice_: str = "all") -> Prompt:
    turns = (Message(role="user", content=text),)
    return Prompt(messages=turns, origin=Origin(source="a", row=row), answer=answer, slice=slice_)


def filler(count: int, *, start: int = 100) -> list[Record]:
    texts = [f"Why would anybody buy {a} and {b} lamps for a house?" for a in COLOURS for b in COLOURS if a < b]
    return [
        Conversation(prompt=prompt(text, start + n), completion=f"It is {n}.") for n, text in enumerate(texts[:count])
    ]


def assigned(records: Sequence[Record], sizes: SizeSettings | None = None) -> Assignment:
    texts = row_texts(records)
    clusters = join(len(records), find(texts, DataSettings(paraphrase="off")))
    return assign(records, [False] * len(records), texts, clusters, DataSettings(sizes=sizes or SizeSettings()), seed=0)


def only(**sizes: float) -> SizeSettings:
    return SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | sizes)


def test_of_copies_one_with_an_answer_stays_whatever_the_order() -> None:
    bare = Conversation(prompt=prompt("What do 3 and 2 make?", 0), completion="It is 5.")
    known = Conversation(prompt=prompt("What do 3 and 2 make? ", 1, answer="5"), completion="It is 5.")
    for records in ([bare, known], [known, bare]):
        places = assigned([*records, *filler(20)], only(ft_train=1.0)).places
        dropped = records[[place.category for place in places[:2]].index("exact duplicate")]
        assert dropped is bare
        assert {place.reason for place in places[:2] if place.purpose is None} == {"exact duplicate of a row 1"}


def test_of_equal_copies_the_smallest_id_stays() -> None:
    copies: list[Record] = [
        Conversation(prompt=prompt(text, row), completion="It is 5.")
        for row, text in enumerate(["What do 3 and 2 make?", "WHAT do 3 and 2 make?", "what DO 3 and 2 make?"])
    ]
    places = assigned([*copies, *filler(20)], only(ft_train=1.0)).places[:3]
    (kept,) = [record for record, place in zip(copies, places, strict=True) if place.purpose is not None]
    assert kept.id == min(record.id for record in copies)


def test_prompts_stand_once_where_prompts_count_and_with_every_completion_elsewhere() -> None:
    twice = [Conversation(prompt=prompt("What do 3 and 2 make?", row), completion=f"It is {row}.") for row in range(2)]
    as_prompts = assigned([*twice, *filler(18)], only(rl_train=1.0)).places[:2]
    assert [place.purpose for place in as_prompts] == ["rl_train", None]
    assert as_prompts[1].reason == "of no use where its cluster is (rl_train)"
    assert [place.purpose for place in assigned([*twice, *filler(18)], only(ft_train=1.0)).places[:2]] == [
        "ft_train"
    ] * 2
    bare = [prompt("What do 3 and 2 make?", row, answer=str(row)) for row in range(2)]
    (second,) = assigned([*bare, *filler(0)], only(rl_train=1.0)).places[1:]
    assert second.reason == "the same prompt as a row 0"


def test_rows_that_resemble_unseen_ones_serve_nothing() -> None:
    text = "The old collector of stamps and coins keeps {} of them in a wooden box. How many are there?"
    unseen = prompt(text.format(900), 0, answer="900", slice_="out_of_distribution")
    seen = prompt(text.format(3), 1, answer="3", slice_="in_distribution")
    answered = [
        Conversation(prompt=prompt(asked(record), 100 + n, answer="5"), completion="It is 5.")
        for n, record in enumerate(filler(80))
    ]
    places = assigned([unseen, seen, *answered]).places
    assert places[0].purpose == "final"
    assert places[1].reason == "its cluster is out of distribution"


def test_siblings_name_the_row_that_they_stay_with() -> None:
    text = "A keeper of bees sells {} jars of honey at the market in the morning. How many are left?"
    # 19 words, one of them another: 14 of 20 runs are shared
    siblings = [Conversation(prompt=prompt(text.format(n), n), completion=f"It is {n} by count.") for n in range(3)]
    places = assigned([*siblings, *filler(60)]).places[:3]
    assert len({place.purpose for place in places}) == 1
    assert places[0].category in ("hash", "fills the size", "size rule")
    assert [place.reason for place in places[1:]] == ["cluster with a row 0 (near)"] * 2


def test_plain_text_serves_fine_tuning_only() -> None:
    texts: list[Record] = [
        Conversation(prompt=Prompt(messages=(), origin=prompt_in(record).origin), completion=asked(record))
        for record in filler(50)
    ]
    assert {place.purpose for place in assigned(texts).places} == {"ft_train", "ft_validation", "ft_test"}
