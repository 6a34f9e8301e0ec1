"""What holds for any corpus and any settings: preparation is proven, accounted for, and the same again."""

import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.errors import DataError
from whet.core.files import read_json_lines
from whet.core.recipe import DataSettings, SizeSettings
from whet.core.records import PURPOSES, Comparison, Conversation, Prompt, Ranking
from whet.data.manifest import read_rows
from whet.data.prepare import prepare
from whet.data.proof.check import check

WORDS = "apple river Stone cloud Tiger piano maple ocean candle mirror garden rocket 3 17 how many has 256".split()
# Ratios that leave purposes out, or rows over.
RATIOS = [
    SizeSettings(),
    SizeSettings(**dict.fromkeys(PURPOSES, 0.125)),
    SizeSettings(**dict.fromkeys(PURPOSES, 0.02)),
    SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | {"ft_train": 0.5, "final": 0.5}),
    SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | {"ft_train": 3, "rl_test": 2, "final": 1}),
]
BAD: list[Any] = [
    None,
    5,
    [],
    {"prompt": None},
    {"prompt": "?", "completion": " "},
    {"prompt": ["x"], "completion": "y"},
]

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)


@st.composite
def corpora(draw: st.DrawFn, layout: str) -> list[Any]:
    """Rows of few words, so that many are the same or nearly so, and some that must be refused."""
    rows = []
    for _ in range(draw(st.integers(4, 40))):
        prompt, answer = draw(texts), draw(texts)
        row: dict[str, Any] = {"prompt": prompt, "author": draw(st.sampled_from(["a", "b", "c", None, 7]))}
        row |= {"day": draw(st.sampled_from(["2024-01-01", "2024-01-09", "2025-03-01", "soon", None]))}
        if layout == "demonstrations":
            row |= {"completion": answer, "answer": draw(st.sampled_from([None, "3", 4.5, 7]))}
            row |= {"slice": draw(st.sampled_from(["all", "all", "long_tail", "out_of_distribution"]))}
        elif layout == "preferences":
            row |= {"chosen": answer, "rejected": f"{answer} {draw(texts)}"}
        elif layout == "rankings":
            row |= {"completions": [answer, f"{answer} x", "y"], "ranks": draw(st.permutations([0, 1, 1]))}
        rows.append(row)
    for place in draw(st.lists(st.integers(0, len(rows) - 1), max_size=2)):
        rows.insert(place, draw(st.sampled_from(BAD)))
    return rows


chosen_settings = st.fixed_dictionaries(
    {
        "sizes": st.sampled_from(RATIOS),
        "group": st.sampled_from([None, "author"]),
        "time": st.sampled_from([None, "day"]),
        "stratify": st.sampled_from([(), ("length",), ("author", "length")]),
        "long_tail": st.sampled_from(["auto", "off"]),
        "near_duplicates": st.sampled_from(["drop", "keep"]),
        "paraphrase": st.sampled_from(["off", "words"]),
        "limit": st.sampled_from([None, None, 3, 20]),
        "max_rejected_share": st.just(1.0),
    }
)
# What the stages can learn from, or ask.
KINDS = {
    "ft": (Conversation,),
    "rm": (Conversation, Comparison, Ranking),
    "rl": (Conversation, Prompt),
    "fi": (Conversation, Prompt),
}


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def lines(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("layout", ["demonstrations", "preferences", "rankings", "prompts"])
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_any_corpus_is_prepared_and_proven(layout: str, data: st.DataObject) -> None:
    rows, chosen = data.draw(corpora(layout)), data.draw(chosen_settings)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        how = DataSettings(source=lines(folder / "rows.jsonl", rows), **chosen)
        try:
            manifest = prepare(how, seed=1, out=folder / "out")
        except DataError:
            assert not (folder / "out" / "manifest.json").exists()
            return
        assert check(folder / "out").problems == ()
        accounted(folder / "out", manifest, len(rows))
        parted(folder / "out")
        prepare(how, seed=1, out=folder / "again")
        for file in (folder / "out").iterdir():
            assert file.read_bytes() == (folder / "again" / file.name).read_bytes()


def accounted(out: Path, manifest: Any, count: int) -> None:
    """Every row that was read is in one file, or refused, or beyond the limit."""
    refused = {row["row"] for row in read_json_lines(out / "rejected.jsonl")}
    there = Counter(
        row.record.origin.row if isinstance(row.record, Prompt) else row.record.prompt.origin.row
        for purpose in (*PURPOSES, "unused")
        for row in read_rows(out, purpose)
    )
    assert not refused & there.keys()
    assert set(there.values()) <= {1}
    assert len(refused) + len(there) + manifest["beyond_limit"] == count


def parted(out: Path) -> None:
    """No cluster and no prompt is in two purposes, and every file holds what its stage can use."""
    where: dict[str, str] = {}
    for purpose in PURPOSES:
        for row in read_rows(out, purpose):
            assert isinstance(row.record, KINDS[purpose[:2]])
            prompt = row.record if isinstance(row.record, Prompt) else row.record.prompt
            for key in (row.cluster, " ".join(prompt.text.casefold().split())):
                assert where.setdefault(key, purpose) == purpose


def distinct(number: int) -> dict[str, str]:
    letters = random.Random(number)
    words = ["".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(8)]
    return {"prompt": " ".join(words[:6]), "completion": " ".join(words[6:])}


def purposes_of(manifest: Any) -> dict[str, str | None]:
    return {row["id"]: row["purpose"] for row in manifest["rows"]}


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(count=st.integers(60, 150), added=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_rows_that_are_added_move_few_and_none_with_the_earlier_folder(count: int, added: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [distinct(number) for number in range(count + added)]
        few = DataSettings(source=lines(folder / "few.jsonl", rows[:count]), paraphrase="off", long_tail="off")
        more = few.model_copy(update={"source": lines(folder / "more.jsonl", rows)})
        before = purposes_of(prepare(few, seed=seed, out=folder / "few"))
        after = purposes_of(prepare(more, seed=seed, out=folder / "more"))
        # Each of the seven borders between purposes shifts by at most the rows that were added, and one of rounding.
        assert sum(after[id_] != purpose for id_, purpose in before.items()) <= 7 * (added + 1)
        kept = more.model_copy(update={"earlier": str(folder / "few")})
        again = purposes_of(prepare(kept, seed=seed + 1, out=folder / "kept"))
        assert {id_: again[id_] for id_, purpose in before.items() if purpose} == {
            id_: purpose for id_, purpose in before.items() if purpose
        }
        assert check(folder / "kept").is_proven
