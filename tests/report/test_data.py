"""The data section of the page: drawn from the run's files alone, and whatever a row says is text."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.files import read_json
from whet.core.recipe import DataSettings
from whet.data.prepare import prepare
from whet.report.data import DataSection, read_data_section
from whet.report.page import write_report

HOSTILE = '</script><img src=x onerror="document.title=1">\x1b[2J\u202e {{ 7*7 }} <mark>'
ALICE = "Alice has 3 apples and then buys 2 more at the market. How many now?"
BEN = "Ben has 31 apples and then buys 20 more at the market. How many now?"
WORDS = [a + b for a in ("cl", "br", "st", "dr", "fl", "gr") for b in ("ock", "ain", "ove", "unt", "ell", "ash")]


def question(place: int) -> str:
    """Questions that share no run of three words."""
    one, two, three, four = (WORDS[(place * step + step) % len(WORDS)] for step in (1, 5, 7, 11))
    return f"The {one} {two} of {three} {four} {one} is {three}, so what is {two} {four}?"


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"prompt": question(place), "completion": f"It is {place}."} for place in range(30)]
    found += [
        {"prompt": ALICE, "completion": "5"},
        {"prompt": BEN, "completion": "51"},
        {"prompt": ALICE, "completion": "5"},
    ]
    found += [
        {"prompt": f"{HOSTILE} {ALICE}", "completion": HOSTILE},
        {"prompt": f"{HOSTILE} {BEN}", "completion": HOSTILE},
    ]
    sung = "Please say, what do they sing in the evening of a feast"
    found += [
        {"prompt": text, "completion": "songs"} for text in (sung, sung.partition(", ")[2], f"{sung} now\x1b\u202e<")
    ]
    found += [
        {"prompt": text, "completion": "so"} for text in ("Who sails on Fridays, and why?", "Tell a tale of frost.")
    ]
    return [
        *found,
        {"prompt": None, "completion": HOSTILE},
        {"prompt": 7, "completion": "1"},
        {"prompt": None, "completion": "1"},
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has prepared its data and nothing else; one of its rows is in a benchmark."""
    folder = tmp_path_factory.mktemp("report")
    source, benchmark = folder / "rows.jsonl", folder / "test.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    benchmark.write_text(json.dumps({"prompt": question(4), "completion": "It is 4."}) + "\n")
    settings = DataSettings(source=str(source), benchmarks=(str(benchmark),), max_rejected_share=0.2, paraphrase="off")
    prepare(settings, seed=0, out=folder / "run" / "data")
    return folder / "run"


def section(run: Path) -> DataSection:
    return read_data_section(run / "data", read_json(run / "data" / "manifest.json"))


def test_reasons_have_their_counts_and_their_first_place(run: Path) -> None:
    data = section(run)
    assert data.refused == (
        ("missing or null", 2, "rows.jsonl row 40, field prompt"),
        ("not text but int", 1, "rows.jsonl row 41, field prompt"),
    )
    unused = {reason: (count, place) for reason, count, place in data.unused}
    assert unused["in a benchmark (exact)"] == (1, "rows.jsonl row 4")
    assert unused["exact duplicate"][0] == 1
    assert data.in_benchmarks == (("rows.jsonl row 4", "(exact) test.jsonl row 0, 1.00"),)
    assert data.read == 43


def test_pairs_are_the_weakest_of_each_kind_marked_on_both_sides(run: Path) -> None:
    pairs = section(run).pairs
    assert list(pairs) == ["exact", "near", "template"]
    scores = [card.score for card in pairs["near"]]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]
    card = next(card for card in pairs["template"] if HOSTILE not in str(card.sides) and "Ben" in str(card.sides))
    marked = [[piece.text for piece in dict(side.texts)["prompt"] if piece.is_changed] for side in card.sides]
    assert marked == [["Alice", "3", "2"], ["Ben", "31", "20"]]
    assert card.sides[1].went_to.split(":")[0] in (*read_json(run / "data" / "manifest.json")["purposes"], "unused")


def test_the_page_of_a_run_that_has_data_only(run: Path) -> None:
    page = write_report(run).read_text()
    text = re.sub(r"<[^>]+>", " ", page[page.index('id="data"') : page.index('id="provenance"')])
    for expected in (
        "read as prompt and completion",
        "What binds it",
        "Refused: 3 of 43 rows",
        "first: rows.jsonl row 40, field prompt",
        "Rows that a benchmark asks too",
        "(exact) test.jsonl row 0, 1.00",
        "Template: the weakest of ",
        "the same prompt but for names and numbers",
    ):
        assert expected in " ".join(text.split())
    assert "<mark>Ben</mark> has <mark>31</mark> apples" in page


def test_what_rows_say_is_text(run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(run, tmp_path / "run"))
    manifest = read_json(own / "data" / "manifest.json")
    manifest["sources"][0] |= {"name": HOSTILE, "mapping": HOSTILE, "columns": [HOSTILE], "stated": {HOSTILE: HOSTILE}}
    manifest["sources"][0]["example"] = {"prompt": HOSTILE, HOSTILE: HOSTILE}
    manifest["rejected"]["reasons"] = {HOSTILE: 2}
    manifest["unused"]["reasons"] |= {HOSTILE: 2}
    manifest["control_tokens"] = {"rows": 1, HOSTILE: 1}
    manifest["purposes"]["final"]["slices"] |= {HOSTILE: 1}
    manifest["splits"]["time"] = {
        "column": HOSTILE,
        "training_until": HOSTILE,
        "evaluation_from": HOSTILE,
        "unused": {},
    }
    manifest["views"][HOSTILE] = {"pairs": 1, "method": HOSTILE, "capped": {"buckets": 1, "largest": 9}}
    manifest["clusters"]["the largest"][0]["cluster"] = HOSTILE
    (own / "data" / "manifest.json").write_text(json.dumps(manifest))
    page = write_report(own).read_text()
    assert "<img src=x" not in page
    assert page.count("<mark>") == page.count("</mark>")
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in page
    assert "&lt;/script&gt;&lt;img src=x" in page


def test_a_damaged_file_costs_its_part_and_is_named(run: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(run, tmp_path / "run"))
    (own / "data" / "edges.parquet").write_bytes(b"no table")
    data = section(own)
    assert (data.pairs, data.refused[0][2]) == ({}, "rows.jsonl row 40, field prompt")
    assert data.note is not None
    assert data.note.startswith("edges.parquet cannot be read (")
    assert "edges.parquet cannot be read" in write_report(own).read_text()
    (own / "data" / "edges.parquet").unlink()
    assert section(own).note == "edges.parquet cannot be read (no such file), so no pair is shown"
    manifest = read_json(own / "data" / "manifest.json")
    del manifest["clusters"]
    (own / "data" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"manifest\.json: has no 'clusters'"):
        section(own)
    page = write_report(own).read_text()
    assert "data/manifest.json: has no &#39;clusters&#39;; it was damaged or edited" in page
    assert 'id="data"' not in page


def test_many_sources_and_reasons_are_summed_up(run: Path) -> None:
    manifest = read_json(run / "data" / "manifest.json")
    manifest["sources"] *= 9
    manifest["unused"]["reasons"] = {f"reason {number}": number for number in range(1, 31)}
    data = read_data_section(run / "data", manifest)
    assert (len(data.sources), len(data.more_sources), data.read) == (6, 3, 9 * 43)
    # the 12 largest are named, 1 + 2 + .. + 18 rows are left
    assert (len(data.unused), data.unused[-1]) == (13, ("18 other reasons", 171, ""))


def test_long_texts_are_shortened(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "long.jsonl"
    long = " ".join(f"{WORDS[n % 36]} {WORDS[(n * 7) % 36]}" for n in range(600))
    lines = [{"prompt": f"{name} {long}", "completion": "x" * 5000} for name in ("Alice", "Ben")]
    lines += [{"prompt": question(place), "completion": "no"} for place in range(20)]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    prepare(DataSettings(source=str(source), paraphrase="off"), seed=0, out=tmp_path / "run" / "data")
    (card, *_) = next(iter(section(tmp_path / "run").pairs.values()))
    texts = {label: "".join(piece.text for piece in pieces) for label, pieces in card.sides[0].texts}
    assert texts["prompt"].startswith("Alice ")
    assert len(texts["prompt"]) < 400
    assert texts["completion"] == "x" * 900 + " … and 4,100 more characters"
