"""Rows to purposes: what each can serve, which of several copies stays, and the reasons."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings, SizeSettings
from whet.core.records import (
    EVALUATION_PURPOSES,
    PURPOSES,
    TRAINING_PURPOSES,
    Conversation,
    Message,
    Origin,
    Prompt,
    Purpose,
    Record,
    prompt_in,
)
from whet.data.alike.clusters import join
from whet.data.alike.views import find
from whet.data.manifest import FORMAT
from whet.data.splits.assign import Assignment, assign
from whet.data.splits.pins import indices
from whet.data.splits.places import RowPlace
from whet.data.texts.row_texts import asked, row_texts

COLOURS = "red green blue old new small big round soft cold warm dry wet thin long short".split()


def prompt(text: str, row: int, *, answer: str | None = None, slice_: str = "all") -> Prompt:
    turns = (Message(role="user", content=text),)
    return Prompt(messages=turns, origin=Origin(source="a", row=row), answer=answer, slice=slice_)


def filler(count: int, *, start: int = 100) -> list[Record]:
    texts = [f"Why would anybody buy {a} and {b} lamps for a house?" for a in COLOURS for b in COLOURS if a < b]
    return [
        Conversation(prompt=prompt(text, start + n), completion=f"It is {n}.") for n, text in enumerate(texts[:count])
    ]


def assigned(records: Sequence[Record], sizes: SizeSettings | None = None, **given: Any) -> Assignment:
    """`given` are settings, or what `assign` takes beside them."""
    beside = {name: given.pop(name) for name in ("pinned", "earlier", "excluded") if name in given}
    settings = DataSettings(sizes=sizes or SizeSettings(), paraphrase="off", **given)
    texts = row_texts(records)
    clusters = join(len(records), find(texts, settings))
    return assign(records, [False] * len(records), texts, clusters, settings, seed=0, **beside)


def purposes_of(assignment: Assignment) -> list[Purpose | None]:
    return [place.purpose for place in assignment.places]


def with_columns(records: Sequence[Record], name: str, values: Sequence[object]) -> list[Record]:
    return [
        replace(record, prompt=replace(record.prompt, columns={name: value}))
        for record, value in zip(records, values, strict=True)
        if isinstance(record, Conversation)
    ]


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
    bare = [prompt("What do 3 and 2 make?", row, answer=answer) for row, answer in enumerate(["5", "5.0"])]
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


SIBLINGS = "A keeper of bees sells {} jars of honey at the market in the morning. How many are left?"


def test_a_pinned_set_is_taken_whole_and_rows_like_it_go_nowhere_else() -> None:
    twice = [prompt(SIBLINGS.format(7), row, answer="7") for row in (0, 1)]  # copies of each other, kept as published
    near = Conversation(prompt=prompt(SIBLINGS.format(8), 2, answer="8"), completion="It is 8.")
    known = [
        replace(row, prompt=replace(row.prompt, answer=str(n)))
        for n, row in enumerate(filler(90))
        if isinstance(row, Conversation)
    ]
    pinned = indices(["final", "final", None, *[None] * 90])
    found = assigned([*twice, near, *known], pinned=pinned)
    assert [place.reason for place in found.places[:3]] == ["pinned", "pinned", "like a pinned row of final"]
    # The 90 others share the other ratios, .9 in all
    assert list(found.requested.values()) == [40, 5, 5, 15, 5, 15, 5, 2]
    assert [purposes_of(found).count(purpose) for purpose in PURPOSES] == [40, 5, 5, 15, 5, 15, 5, 2]
    assert found.report["pinned"] == {"rows": 2, "unused beside them": 1}


def test_a_pinned_set_that_cannot_serve_is_an_error() -> None:
    with pytest.raises(DataError, match=r"data\.pinned\.ft_test: none of its 1 rows can serve ft_test"):
        assigned([prompt("Who?", 0), *filler(20)], pinned=indices(["ft_test", *[None] * 20]))


def test_rows_keep_their_earlier_purposes_whatever_comes_beside_them() -> None:
    before = filler(80)
    first = assigned(before)
    earlier = {row.id: place.purpose for row, place in zip(before, first.places, strict=True) if place.purpose}
    # New rows before and after, and copies of old ones, some of which would be preferred for their ids
    copies = [Conversation(prompt=prompt(asked(before[n]) + " ", 200 + n), completion=f"It is {n}.") for n in range(9)]
    assert any(copy.id < row.id for copy, row in zip(copies, before[:9], strict=True))
    both = assigned([*copies, *before, *filler(110)[80:]], earlier=earlier)
    assert purposes_of(both)[9:89] == purposes_of(first)
    assert both.places[3].reason == "exact duplicate of a row 103"
    assert both.report["earlier"] == {"rows": 80, "unused": 0, "not here": 0}
    assert set(both.report["deviation"].values()) == {0}
    gone = assigned(before[1:], earlier=earlier)
    assert gone.report["earlier"]["not here"] == 1


def test_earlier_purposes_come_from_the_folder_in_the_settings(tmp_path: Path) -> None:
    rows = filler(40)
    manifest = {"format": FORMAT, "rows": [{"id": row.id, "purpose": "rl_test"} for row in rows[:6]]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    texts = row_texts(rows)
    settings = DataSettings(earlier=str(tmp_path))
    clusters = join(len(rows), find(texts, settings))
    places = assign(rows, [False] * len(rows), texts, clusters, settings, seed=0).places
    assert [place.purpose for place in places[:6]] == ["rl_test"] * 6
    assert {place.reason for place in places[:6]} == {"the same as earlier"}


def test_a_new_row_that_joins_training_and_evaluation_costs_the_training_row() -> None:
    parted = [
        Conversation(prompt=prompt(text, row), completion=f"It is {row}.")
        for row, text in enumerate(["one two three four five six seven", "nine ten eleven twelve and more words"])
    ]
    bridge = Conversation(prompt=prompt(asked(parted[0]), 2), completion="It is two.")
    rows: list[Record] = [*parted, bridge, *filler(60)]
    texts = row_texts(rows)
    clusters = replace(join(len(rows), find(texts, DataSettings(paraphrase="off"))), of_row=(0, 0, 0, *range(3, 63)))
    earlier: dict[str, Purpose] = {parted[0].id: "ft_train", parted[1].id: "ft_test"}
    found = assign(rows, [False] * 63, texts, clusters, DataSettings(), seed=0, earlier=earlier)
    assert [place.purpose for place in found.places[:3]] == [None, "ft_test", "ft_test"]
    assert found.places[0].reason == "its cluster has another purpose than earlier (ft_train then, ft_test now)"
    assert found.report["earlier"]["unused"] == 1


def test_training_ends_where_evaluation_begins() -> None:
    days = [f"2024-01-{1 + n % 28:02}" for n in range(100)]
    rows = with_columns(filler(100), "day", days)
    found = assigned(rows, time="day")
    trained = {day for day, place in zip(days, found.places, strict=True) if place.purpose in TRAINING_PURPOSES}
    evaluated = {day for day, place in zip(days, found.places, strict=True) if place.purpose in EVALUATION_PURPOSES}
    # 5 + 5 + 5 + 10 rows: the days from 28 down to 20, 3 rows each; two rows of the 20th are for training
    assert max(trained) == min(evaluated) == "2024-01-20"
    assert set(found.report["deviation"].values()) == {0}
    assert found.report["time"]["evaluation_from"] == found.report["time"]["training_until"] == "2024-01-20"


def test_rows_without_a_time_or_across_the_border_serve_nothing() -> None:
    siblings = [Conversation(prompt=prompt(SIBLINGS.format(n), n), completion=f"It is {n}.") for n in (0, 1)]
    rows = with_columns([*siblings, *filler(80)], "day", [1, 99, None, *range(3, 82)])
    found = assigned(rows, time="day")
    assert found.places[0].purpose in TRAINING_PURPOSES
    assert found.places[1].reason == "newer than evaluation begins"
    assert found.places[2].reason == "no time"
    assert found.report["time"]["unused"] == {
        "no time": 1, "newer than evaluation begins": 1, "older than evaluation begins": 0
    }  # fmt: skip
    assert sum(found.requested.values()) == 80
    assert set(found.report["deviation"].values()) == {0}


def test_unseen_rows_that_are_too_old_are_not_evaluated() -> None:
    rows = with_columns(filler(100), "day", range(100))
    rows[2] = replace(rows[2], prompt=replace(prompt_in(rows[2]), slice="out_of_distribution"))
    found = assigned(rows, time="day")
    assert found.places[2].reason == "older than evaluation begins"


def test_earlier_rows_move_the_border_out_of_their_way() -> None:
    rows = with_columns(filler(100), "day", range(100))
    earlier: dict[str, Purpose] = {rows[50].id: "final", rows[90].id: "ft_train"}
    found = assigned(rows, time="day", earlier=earlier)
    assert found.places[50].purpose == "final"
    assert found.places[90].purpose == "ft_train"
    new = [(day, place.purpose) for day, place in enumerate(found.places) if day not in (50, 90)]
    assert max(day for day, purpose in new if purpose in TRAINING_PURPOSES) <= 50
    assert min(day for day, purpose in new if purpose in EVALUATION_PURPOSES) > 90


def test_strata_are_balanced_and_reported() -> None:
    levels = ["hard" if n % 4 == 0 else "easy" for n in range(100)]
    found = assigned(with_columns(filler(100), "level", levels), stratify=("level",))
    assert found.report["strata"]["columns"] == ["level"]
    assert found.report["strata"]["rows"]["level=hard"]["ft_train"] == 10
    assert abs(found.report["strata"]["largest_deviation"]["rows"]) <= 1
    assert "strata" not in assigned(filler(30)).report


def test_excluded_rows_give_their_reason_and_their_copies_stay() -> None:
    rows = filler(30)
    copy = Conversation(prompt=prompt(asked(rows[0]) + " ", 300), completion="It is 0.")
    place = RowPlace(purpose=None, category="in a benchmark", detail="b.jsonl row 3")
    found = assigned([*rows, copy], excluded={0: place})
    assert found.places[0] == place
    assert found.places[30].purpose is not None


def test_the_report_names_the_largest_cluster_and_what_the_size_rule_placed() -> None:
    siblings = [Conversation(prompt=prompt(SIBLINGS.format(n), n), completion=f"It is {n}.") for n in range(30)]
    found = assigned([*siblings, *filler(70)])
    assert found.report["largest_cluster"] == {"rows": 30, "share": 0.3, "used": 30, "purpose": "ft_train"}
    assert found.report["clusters_by_size_rule"] == {"clusters": 1, "rows": 30}
    assert set(found.report["deviation"].values()) == {0}


def test_where_a_cluster_has_room_for_some_rows_the_earlier_ones_come_first() -> None:
    siblings = [Conversation(prompt=prompt(SIBLINGS.format(n), n), completion=f"It is {n}.") for n in range(6)]
    earlier: dict[str, Purpose] = {siblings[4].id: "ft_test", siblings[5].id: "ft_test"}
    sizes = SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | {"ft_train": 10.0, "ft_test": 3.0})
    found = assigned([*siblings, *filler(30)], sizes, earlier=earlier)
    assert purposes_of(found)[:6] == ["ft_test", None, None, None, "ft_test", "ft_test"]
    assert found.places[1].reason == "its cluster is larger than its purpose"
    assert found.places[0].reason == "cluster with a row 1 (near)"


def test_the_earlier_one_of_two_rows_with_one_prompt_stays_a_prompt() -> None:
    twice = [Conversation(prompt=prompt("What do 3 and 2 make?", row), completion=f"It is {row}.") for row in range(2)]
    found = assigned([*twice, *filler(18)], earlier={twice[1].id: "final"})
    assert [place.purpose for place in found.places[:2]] == [None, "final"]
    assert found.places[0].reason == "of no use where its cluster is (final)"


def test_pinned_rows_fill_no_slice_of_final() -> None:
    unseen = [
        prompt(f"Which of the {n} moons is the {word} one of them all?", n, slice_="out_of_distribution")
        for n, word in enumerate(COLOURS[:4])
    ]
    found = assigned([*unseen, *filler(80)], pinned=indices([*["final"] * 4, *[None] * 80]))
    assert purposes_of(found).count("final") == found.requested["final"] == 4
    trained = assigned([*unseen, *filler(80)], earlier={unseen[0].id: "rl_train"})
    assert trained.places[0].purpose is None
