"""Records in memory and records on disk: the same ones, and the same prepared files."""

import json
from datetime import date
from pathlib import Path

import pytest

from whet.core.recipe import DataSettings
from whet.core.records import Comparison, Conversation, Message, Origin, Prompt, Ranking, Record
from whet.data.prepare import prepare
from whet.data.space import scratch
from whet.data.space.shelf import Lazy, chained, chosen, renamed, resliced, shelved


def prompt(number: int, **fields: object) -> Prompt:
    turns = (
        Message(role="system", content="Be brief."),
        Message(role="assistant", content="Ask.", is_learned=number % 2 == 0),
        Message(role="user", content=f"What is {number} + 1? \u00e9"),
    )
    return Prompt(messages=turns, origin=Origin(source="a.jsonl", row=number), **fields)  # type: ignore[arg-type]


RECORDS: list[Record] = [
    prompt(0, answer="1", slice="long_tail", columns={"level": 2, "tags": ["x", None], "share": 0.1}),
    Conversation(prompt=prompt(1), completion="2\n\u2028"),
    Comparison(prompt=prompt(2), chosen="3", rejected="4", margin=0.5),
    Ranking(prompt=prompt(3), completions=("4", "5", "6"), ranks=(0, 1, 1)),
]


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "memory_share", lambda: 2000)


def test_what_is_on_disk_reads_as_it_was(no_memory: None) -> None:
    records = shelved(iter(RECORDS))
    assert isinstance(records, Lazy)
    assert list(records) == RECORDS
    assert [records[place] for place in (2, 0, -1)] == [RECORDS[2], RECORDS[0], RECORDS[3]]
    assert records[1:3] == RECORDS[1:3]
    with pytest.raises(IndexError):
        records[4]


def test_what_json_has_no_word_for_becomes_text(no_memory: None) -> None:
    (record, *_) = shelved([prompt(0, columns={"day": date(2024, 5, 1)})] * 3)
    assert isinstance(record, Prompt)
    assert record.columns == {"day": "2024-05-01"}


def test_few_records_stay_in_memory() -> None:
    assert shelved(RECORDS) == tuple(RECORDS)


@pytest.mark.parametrize("on_disk", [False, True])
def test_selections_are_the_same_in_memory_and_on_disk(monkeypatch: pytest.MonkeyPatch, on_disk: bool) -> None:
    if on_disk:
        monkeypatch.setattr(scratch, "memory_share", lambda: 2000)
    records = shelved(RECORDS)
    assert isinstance(records, Lazy) == on_disk
    assert list(chosen(records, [3, 1])) == [RECORDS[3], RECORDS[1]]
    both = chained([records, (), chosen(records, [2])])
    assert list(both) == [*RECORDS, RECORDS[2]]
    assert both[4] == RECORDS[2]
    sliced = resliced(records, ["all", "all", "odd", "all"])
    assert [getattr(record, "prompt", record).slice for record in sliced] == ["all", "all", "odd", "all"]
    assert [getattr(record, "prompt", record).origin.source for record in renamed(records, "b")] == ["b"] * 4
    assert list(records) == RECORDS


def test_prepared_files_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"prompt": f"How many {thing} are {n} boxes of {n + 3}?", "completion": f"{n * (n + 3)}", "answer": n, "day": n}
        for n in range(60)
        for thing in ("pears", "plums", "nails")
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:90]))
    pairs = [{"prompt": f"Which is more, {n} or {n + 1}?", "chosen": f"{n + 1}", "rejected": f"{n}"} for n in range(40)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    settings = DataSettings(
        source=(str(tmp_path / "a.jsonl"), str(tmp_path / "b" / "a.jsonl")),
        weights=(1.0, 1.0),
        preferences=str(tmp_path / "pairs.jsonl"),
        limit=150,
        time="day",
        stratify=("length",),
    )
    prepare(settings, seed=1, out=tmp_path / "memory")
    monkeypatch.setattr(scratch, "memory_share", lambda: 2000)
    prepare(settings, seed=1, out=tmp_path / "disk")
    files = sorted(path.name for path in (tmp_path / "memory").iterdir())
    assert "manifest.json" in files
    for name in files:
        assert (tmp_path / "memory" / name).read_bytes() == (tmp_path / "disk" / name).read_bytes(), name
