"""The long tail and the unseen, found where rows do not say so themselves."""

from collections import Counter

import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.records import Message, Origin, Prompt, Record
from whet.data.splits.slices import find_slices
from whet.data.texts.row_texts import row_texts

THINGS = "apple pear plum lemon cookie muffin book pencil stamp coin".split()
SELLERS = "baker farmer teacher student driver painter".split()


def prompt(text: str, row: int, *, source: str = "main.jsonl", slice_: str = "all", **columns: object) -> Prompt:
    origin = Origin(source=source, row=row)
    return Prompt(messages=(Message(role="user", content=text),), origin=origin, slice=slice_, columns=columns)


def ordinary(count: int, **given: str) -> list[Record]:
    """Rows of equal length, of words that are about equally common, in forms that recur."""
    return [
        prompt(
            f"The {SELLERS[n % 6]} sells {n} of the {THINGS[n % 10]} on this market day and keeps what is left over", n,
            **given,
        )
        for n in range(count)
    ]  # fmt: skip


def slices(records: list[Record], **settings: object) -> list[tuple[str, str]]:
    return find_slices(records, row_texts(records), DataSettings(**settings))


def test_rows_that_are_all_alike_have_no_long_tail() -> None:
    assert Counter(slices(ordinary(300))) == {("in_distribution", ""): 300}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The farmer sells 7 of the zyzzyva on this quixotic day and keeps what obfuscates overt zest", "rare words"),
        ("The farmer sells 7 of the apple " + "on this market day and keeps what is left over " * 6, "long"),
        ("The farmer sells the plum", "short"),
        ("On this market day the farmer keeps what is left over and sells 7 of the apple", "rare form"),
    ],
)  # fmt: skip
def test_a_row_that_stands_out_says_how(text: str, reason: str) -> None:
    records = [*ordinary(300), prompt(text, 300)]
    found = slices(records)
    assert found[300] == ("long_tail", reason)
    assert Counter(found[:300]) == {("in_distribution", ""): 300}
    assert slices(records, long_tail="off") == [("all", "")] * 301


def test_rare_sources_are_a_long_tail_and_no_measure_takes_more_than_its_part() -> None:
    small = [prompt(f"The baker sells {n} of the pear on this market day and keeps what is left over", n, source="b")
             for n in range(5)]  # fmt: skip
    found = slices([*ordinary(295), *small])
    assert found[295:] == [("long_tail", "rare source")] * 5
    # 100 sources of three rows each are all rare: 4 % are marked
    many = [prompt(row.messages[0].content, row.origin.row, source=f"s{n % 100}")
            for n, row in enumerate(ordinary(300)) if isinstance(row, Prompt)]  # fmt: skip
    assert Counter(slices([*many])) == {("long_tail", "rare source"): 12, ("in_distribution", ""): 288}


def test_slices_that_rows_bring_stay() -> None:
    own = [prompt("short", 300, slice_="mine"), *ordinary(300)]
    assert slices(own) == [("mine", "")] + [("all", "")] * 300
    marked = slices([prompt("x", 0, slice_="mine", level="hard"), prompt("y", 1, level="hard")],
                    out_of_distribution=("level=hard",))  # fmt: skip
    assert marked == [("mine", ""), ("out_of_distribution", "level=hard")]


def test_unseen_rows_are_named_by_source_or_value() -> None:
    records = [*ordinary(300), prompt("What is this?", 0, source="hard.jsonl"), prompt("What is that?", 1, level=3.0)]
    found = slices(records, out_of_distribution=("sets/hard.jsonl", "level=3"))
    assert found[300:] == [
        ("out_of_distribution", "sets/hard.jsonl"),
        ("out_of_distribution", "level=3"),
    ]
    assert Counter(found[:300]) == {("in_distribution", ""): 300}


def test_a_name_that_marks_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match=r"no row is of 'level=9'; name a source \(main.jsonl\) or column=value"):
        slices(ordinary(3), out_of_distribution=("level=9",))


def test_of_few_rows_none_is_rare_and_empty_texts_are_no_trouble() -> None:
    assert Counter(slices([*ordinary(30), prompt("zyzzyva", 30)])) == {("in_distribution", ""): 31}
    assert len(slices([*ordinary(60), prompt("5", 60), prompt("!", 61)])) == 62
    assert slices([]) == []


def test_at_most_a_tenth_of_the_rows_is_long_tail() -> None:
    small = [prompt(row.messages[0].content, row.origin.row, source=f"s{n % 3}")
             for n, row in enumerate(ordinary(15)) if isinstance(row, Prompt)]  # fmt: skip
    long = [prompt(f"The farmer sells {n} of the apple " + "on this market day and keeps what is left over " * 6, n)
            for n in range(15)]  # fmt: skip
    short = [prompt(f"The farmer sells {n} of it", n) for n in range(15)]
    found = Counter(slices([*small, *long, *short, *ordinary(255)]))
    assert found == {
        ("long_tail", "rare source"): 12,
        ("long_tail", "long"): 12,
        ("long_tail", "short"): 6,
        ("in_distribution", ""): 270,
    }
