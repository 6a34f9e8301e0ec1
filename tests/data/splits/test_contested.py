"""One prompt with two known answers: who contradicts whom, what such rows still serve, and that it is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from whet.core.recipe import DataSettings, SizeSettings
from whet.core.records import Conversation, Message, Origin, Prompt, Record
from whet.core.terminal import Page
from whet.data.manifest import read_rows
from whet.data.prepare import prepare
from whet.data.proof.summary import show_split
from whet.data.splits.contested import find_contested, plain_answer
from whet.data.texts.row_texts import row_texts

FILLER = "red green blue old new small big round soft cold warm dry wet thin long short".split()


def asking(text: str, answer: str | None, row: int, system: str | None = None) -> Prompt:
    turns = (Message(role="system", content=system),) if system else ()
    turns = (*turns, Message(role="user", content=text))
    return Prompt(messages=turns, origin=Origin(source="a", row=row), answer=answer)


def contested(*prompts: Record) -> tuple[dict[int, int], int]:
    found = find_contested(prompts, row_texts(prompts))
    return dict(found.by), found.prompts


def test_each_names_the_first_that_says_otherwise() -> None:
    rows = [asking("2+3?", answer, row) for row, answer in enumerate(["5", "6", None, "5.0", "six"])]
    other = [asking("1+1?", "2", 5), asking("1+1?", "2.", 6), asking("9+9?", "18", 7)]
    assert contested(*rows, *other) == ({0: 1, 1: 0, 3: 1, 4: 0}, 1)
    spaced = Conversation(prompt=asking(" 1+1? ", "3", 8), completion="3")
    assert contested(*rows, *other, spaced) == ({0: 1, 1: 0, 3: 1, 4: 0, 5: 8, 6: 8, 8: 5}, 2)


def test_under_another_system_turn_another_answer_may_be_right() -> None:
    assert contested(asking("2+3?", "5", 0), asking("2+3?", "101", 1, "Answer in binary.")) == ({}, 0)
    same = [asking("2+3?", answer, row, "Answer in binary.") for row, answer in enumerate(["101", "11"])]
    assert contested(*same) == ({0: 1, 1: 0}, 1)


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ("1,200", "1200"),
        ("$1,200.50", "1200.5"),
        ("-3.0", "-3"),
        (" Paris. ", "paris"),
        ("1e3", "1000"),
        ("1/2", "1/2"),
        ("nan", "nan"),
        ("1e999999", "1e999999"),
        ("", ""),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_what_an_answer_says(answer: str, plain: str) -> None:
    assert plain_answer(answer) == plain


def prepared(tmp_path: Path, **sizes: float) -> dict[str, Any]:
    """Row 0 and 1 contradict each other, 2 and 3 do not; 16 others."""
    rows = [
        {"prompt": "How many legs has a horse?", "completion": "It has four, so 4.", "answer": "4"},
        {"prompt": "How many legs has a horse?", "completion": "Some say it is 5.", "answer": "5"},
        {"prompt": "How many eyes has a fly?", "completion": "Well, 5.", "answer": "5"},
        {"prompt": "How many eyes has a fly?", "completion": "I say 5.", "answer": "5.0"},
    ]
    rows += [
        {"prompt": f"Is {word} a colour?", "completion": f"No {n}.", "answer": f"{n}"} for n, word in enumerate(FILLER)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    every = dict.fromkeys(SizeSettings.model_fields, 0.0) | sizes
    settings = DataSettings(source=str(tmp_path / "rows.jsonl"), sizes=SizeSettings(**every), paraphrase="off")
    return prepare(settings, seed=0, out=tmp_path / "out")


@pytest.mark.parametrize("purpose", ["ft_test", "rl_train", "rl_test", "final", "rm_train", "rm_test"])
def test_nothing_is_scored_or_ranked_by_a_contested_answer(purpose: str, tmp_path: Path) -> None:
    manifest = prepared(tmp_path, **{purpose: 1.0})
    used = {row["row"] for row in manifest["rows"] if row["purpose"]}
    assert {0, 1}.isdisjoint(used)
    assert {2, 3} & used
    assert len(used) >= 17


def test_it_may_be_imitated_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = prepared(tmp_path, ft_train=1.0)
    assert {0, 1} <= {row.record.prompt.origin.row for row in read_rows(tmp_path / "out", "ft_train")}  # type: ignore[union-attr]
    assert manifest["splits"]["contested"] == {
        "prompts": 1,
        "rows": 2,
        "examples": [
            [{"source": "rows.jsonl", "row": 0, "answer": "4"}, {"source": "rows.jsonl", "row": 1, "answer": "5"}]
        ],
    }
    show_split(Page(), manifest, [], out=tmp_path / "out")
    said = " ".join(capsys.readouterr().out.split())
    assert "2 rows of 1 prompt have more than one known answer; none is believed" in said
    assert "rows.jsonl row 0 says 4 and rows.jsonl row 1 says 5" in said


def test_bare_prompts_serve_nothing(tmp_path: Path) -> None:
    rows = [{"prompt": "How many legs has a horse?", "answer": answer} for answer in ("4", "5")]
    rows += [{"prompt": f"Is {word} a colour?", "answer": "0"} for word in FILLER]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = DataSettings(source=str(tmp_path / "rows.jsonl"), paraphrase="off")
    manifest = prepare(settings, seed=0, out=tmp_path / "out")
    assert manifest["unused"]["reasons"]["its known answer is contradicted"] == 2
    assert manifest["rows"][1]["reason"] == "its known answer is contradicted by rows.jsonl row 0"
