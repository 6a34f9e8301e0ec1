"""Sources in stated proportions: the scarcest whole, the others thinned by hash, nothing lost."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.core.errors import DataError
from whet.core.records import Conversation, Message, Origin, Prompt, Record
from whet.data.layouts import LAYOUTS
from whet.data.sources.mixing import mix
from whet.data.sources.read import Source


def source(name: str, count: int, *, start: int = 0) -> Source:
    records = []
    for row in range(start, start + count):
        messages = (Message(role="user", content=f"{name} {row}?"),)
        prompt = Prompt(messages=messages, origin=Origin(source=name, row=row))
        records.append(Conversation(prompt=prompt, completion="yes"))
    return Source(
        name=name, sha256=None, rows=count, layout=LAYOUTS[0], columns={}, records=tuple(records), rejected=()
    )


def counts(groups: Sequence[Sequence[Source]]) -> list[int]:
    return [sum(len(part.records) for part in group) for group in groups]


def test_the_scarcest_is_taken_whole() -> None:
    # 100/1, 90/3, 500/0.5: the second is the scarcest with 30 a unit, so 30, 90 and 15
    mixed = mix([[source("a", 100)], [source("b", 90)], [source("c", 500)]], [1, 3, 0.5], seed=0)
    assert counts(mixed) == [30, 90, 15]
    assert [len(part.thinned) for (part,) in mixed] == [70, 0, 485]
    assert [part.rows for (part,) in mixed] == [100, 90, 500]


def test_a_folder_is_thinned_as_one() -> None:
    folder = [source("a/1", 30), source("a/2", 10), source("a/3", 0)]
    ((*parts,), _) = mix([folder, [source("b", 20)]], [1, 1], seed=3)
    assert sum(len(part.records) for part in parts) == 20
    assert 0 < len(parts[1].records) < 10  # about a half of each file, not the first twenty


def test_the_choice_is_by_hash_and_keeps_the_order() -> None:
    def kept(seed: int, count: int) -> list[Record]:
        ((thinned,), _) = mix([[source("a", count)], [source("b", count // 2)]], [1, 1], seed=seed)
        assert sorted(thinned.records, key=lambda record: record.prompt.origin.row) == list(thinned.records)  # type: ignore[union-attr]
        return list(thinned.records)

    assert kept(0, 200) == kept(0, 200) != kept(1, 200)
    # Of the 100 that were kept of 200, 20 rows more (and 10 places more) replace few.
    old, new = kept(0, 200), kept(0, 220)
    assert len([record for record in old if record in new]) >= 90


def test_the_choice_does_not_depend_on_where_a_record_stands() -> None:
    ordered = source("a", 60)
    turned = replace(ordered, records=tuple(reversed(ordered.records)))
    ((one,), _), ((other,), _) = (mix([[part], [source("b", 30)]], [1, 1], seed=0) for part in (ordered, turned))
    assert one.records == tuple(reversed(other.records))


def test_weights_that_do_not_fit_are_one_line() -> None:
    with pytest.raises(DataError, match=r"data.weights has 2 numbers, but data.source has 1 names; give one for each"):
        mix([[source("a", 3)]], [1, 2], seed=0)
    with pytest.raises(DataError, match=r"data.weights: b gave no record; take it out of data.source"):
        mix([[source("a", 3)], [source("b", 0)]], [1, 2], seed=0)


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0.01, 100)), min_size=1, max_size=4), st.integers(0, 2**31))
def test_whatever_the_weights_all_is_accounted_for(groups: list[tuple[int, float]], seed: int) -> None:
    given_, weights = [[source(str(place), count)] for place, (count, _) in enumerate(groups)], [w for _, w in groups]
    mixed = mix(given_, weights, seed=seed)
    unit = min(count / weight for count, weight in groups)
    for (before,), (after,), weight in zip(given_, mixed, weights, strict=True):
        assert set(map(id, after.records)) | set(map(id, after.thinned)) == set(map(id, before.records))
        assert len(after.records) + len(after.thinned) == len(before.records)
        assert len(after.records) == max(1, int(unit * weight + 1e-6))
    assert any(not after.thinned for (after,) in mixed)
