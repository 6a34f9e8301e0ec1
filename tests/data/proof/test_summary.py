"""What `whet data split` and `check` print."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from whet.core.files import read_json_lines
from whet.core.recipe import DataSettings
from whet.core.terminal import Page
from whet.data.manifest import read_manifest
from whet.data.prepare import prepare
from whet.data.proof.check import Proof, check
from whet.data.proof.summary import example_line, show_proof, show_split

WORDS = [a + b for a in ("cl", "br", "st", "dr", "fl", "gr") for b in ("ock", "ain", "ove", "unt", "ell", "ash")]
HOSTILE = "\x1b[31m[bold]\u202e"


def row(place: int) -> dict[str, Any]:
    """Questions that share no run of three words."""
    one, two, three, four = (WORDS[(place * step + step) % len(WORDS)] for step in (1, 5, 7, 11))
    question = f"The {one} {two} of {three} {four} {one} is {three}, so what is {two} {four}?"
    return {"problem": question, "solution": f"Think. #### {place}", "day": f"2024-01-{1 + place % 28:02}"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("summary")
    rows = [row(place) for place in range(36)]
    rows += [
        row(3),
        {**row(0), "problem": None},
        {**row(0), "problem": None},
        {**row(0), "problem": f"a <|x|> {HOSTILE}"},
    ]
    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in rows))
    columns = {"question": "problem", "answer": "solution"}
    settings = DataSettings(
        source=str(source), columns=columns, time="day", stratify=("length",), paraphrase="off", max_rejected_share=0.1
    )
    prepare(settings, seed=0, out=folder / "data")
    return folder / "data"


def shown(data: Path, manifest: dict[str, Any] | None = None) -> str:
    page = Page(Console(file=io.StringIO(), markup=False, highlight=False, emoji=False, width=80, _environ={}))
    show_split(page, manifest or read_manifest(data), list(read_json_lines(data / "rejected.jsonl")), out=Path("d"))
    assert isinstance(page.console.file, io.StringIO)
    return page.console.file.getvalue()


def test_what_changes_nothing_and_what_was_not_read_is_told(data: Path) -> None:
    assert "  beside the rows, for rewards: day\n" in shown(data)
    manifest = read_manifest(data)
    source = manifest["sources"][0] | {"told": {"key 7 of a turn": 7}, "left_out": ["Test.jsonl"]}
    assert "\n  not read, by their names: Test.jsonl\n" in shown(data, manifest | {"sources": [source]})
    assert "\n  7 rows have key 7 of a turn\n" in shown(data, manifest | {"sources": [source]})


def test_what_split_prints(data: Path) -> None:
    text = shown(data)
    manifest = read_manifest(data)
    assert text.startswith(
        "rows.jsonl: 40 rows, read as question and answer (question from problem, answer from solution)\n"
    )
    assert "  │ prompt      The " in text
    assert "  │ completion  <think>Think.</think><answer>0</answer>\n  │ answer      0\n" in text
    for purpose, entry in manifest["purposes"].items():
        line = next(line for line in text.splitlines() if line.startswith(f"{purpose} "))
        assert line.split()[1:4] == [str(entry[key]) for key in ("rows", "requested", "clusters")]
    assert (
        "\nrefused    2 of 40 rows (5.0%)\n           2  missing or null, first: rows.jsonl row 37, field problem\n"
        in text
    )
    assert "1  exact duplicate\n" in text
    assert "\njoined by  exact 1\n" in text
    assert "none in two purposes; the largest, their lowest similarity and longest chain:\n" in text
    assert "  2 rows, 1.00, 1; exact 1\n" in text
    assert "\ntime       day: training until 2024-" in text
    assert "\nstrata     length: at most " in text
    assert "\ntokens     1 row holds text like control tokens, kept as text: <|x|> 1\n" in text
    assert text.endswith("d/manifest.json  prove it: whet data check; look at it: whet data view\n")
    assert len(text.splitlines()) <= 40


def test_what_a_source_says_is_text(data: Path) -> None:
    manifest = read_manifest(data)
    manifest["sources"][0] |= {
        "name": HOSTILE,
        "example": {"prompt": HOSTILE, "completion": HOSTILE, "answer": HOSTILE},
    }
    manifest["rejected"]["reasons"] = {HOSTILE: 1}
    manifest["unused"]["reasons"] = {HOSTILE: 1}
    manifest["edges"] = {HOSTILE: 1}
    text = shown(data, manifest)
    assert not {char for char in text if char != "\n" and not char.isprintable()}
    assert "  │ prompt      \\x1b[31m[bold]\\u202e\n" in text
    assert example_line(manifest["sources"][0]) == "\\x1b[31m[bold]\\u202e -> \\x1b[31m[bold]\\u202e"


def test_many_sources_and_long_examples_keep_to_a_screen(data: Path) -> None:
    manifest = read_manifest(data)
    source = manifest["sources"][0]
    source["example"] = {"prompt": "word " * 900, "completion": "line\n" * 50, "answer": "1" * 400}
    others = [source | {"name": f"part-{number}.jsonl"} for number in range(30)]
    manifest["sources"] = [source, *others]
    manifest["unused"]["reasons"] = {f"reason {number}": number for number in range(1, 30)}
    manifest["beyond_limit"] = 1200
    manifest["views"]["near"]["capped"] = {"buckets": 3, "largest": 1204}
    text = shown(data, manifest)
    assert "\nand 28 more sources, 1,120 rows\n" in text
    assert "for 25 other reasons\n" in text
    assert "\nlimit      1,200 rows beyond data.limit left out\n" in text
    assert (
        "\ncapped     near: 3 groups, the largest of 1,204 rows, were too large to compare every pair of rows\n" in text
    )
    assert text.count("│ prompt") == 1
    assert len(text.splitlines()) <= 45
    assert all(len(line) <= 80 for line in text.splitlines() if "│" in line)


def test_an_example_in_one_line() -> None:
    source = {"example": {"prompt": "What is\n3+2?", "answer": "5", "completion": "<answer>5</answer>"}}
    assert example_line(source) == "What is 3+2? -> <answer>5</answer>"
    assert (
        example_line({"example": {"prompt": "Say it.", "answer": None, "chosen": "a", "rejected": "b"}})
        == "Say it. -> a"
    )
    assert example_line({"example": {"prompt": "", "answer": None, "completion": "A text."}}) == "A text."
    assert len(example_line({"example": {"prompt": "a" * 99, "completion": "b" * 99}}, width=40)) == 44


def proof_text(proof: Proof, *, quiet: bool = False) -> str:
    page = Page(Console(file=io.StringIO(), markup=False, highlight=False, emoji=False, width=80, _environ={}))
    show_proof(page, proof, quiet=quiet)
    assert isinstance(page.console.file, io.StringIO)
    return page.console.file.getvalue()


def test_what_check_prints(data: Path) -> None:
    proof = check(data)
    text = proof_text(proof)
    assert "exact          1 join found again, none between two purposes\n" in text
    assert "near           joins nothing\n" in text
    assert text.endswith(f"proven: {proof.rows} rows in {proof.clusters} clusters, 0 problems\n")
    assert proof_text(proof, quiet=True) == ""
    broken = Proof(rows=1, clusters=1, edges=proof.edges, problems=tuple(f"problem {n} {HOSTILE}" for n in range(25)))
    text = proof_text(broken)
    assert text.startswith("problem 0 \\x1b[31m[bold]\\u202e\n")
    assert "found again" not in text
    assert text.endswith("and 5 more\nNOT proven: 1 rows in 1 clusters, 25 problems\n")
