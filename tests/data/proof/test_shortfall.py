"""What a preparation says first when it fell short, and what it leaves unsaid."""

from pathlib import Path
from typing import Any

import pytest

from whet.core.recipe import DataSettings, SizeSettings
from whet.data.prepare import prepare
from whet.data.proof.shortfall import empty_purposes, shortfalls

SIZES = {"ft_train": 0.5, "ft_validation": 0, "ft_test": 0, "rm_train": 0, "rm_test": 0, "rl_train": 0.2, "final": 0.3}


def manifest(rows: list[tuple[str, str]], tmp_path: Path, **sizes: float) -> dict[str, Any]:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"prompt": "{prompt}", "completion": "{said}"}}\n' for prompt, said in rows))
    settings = DataSettings(source=str(path), sizes=SizeSettings(**{**SIZES, "rl_test": 0, **sizes}), paraphrase="off")
    return prepare(settings, seed=0, out=tmp_path / "out")


def test_nothing_is_said_where_all_is_as_asked_for(tmp_path: Path) -> None:
    rows = [(f"word{n} of kind{n} and sort{n} {n}", "yes") for n in range(20)]
    made = manifest(rows, tmp_path, rl_train=0, ft_train=0.7)
    assert (shortfalls(made), empty_purposes(made)) == ([], [])


def test_one_cluster_is_the_cause_when_it_holds_most_rows(tmp_path: Path) -> None:
    rows = [("Write a verse about the sea, please.", f"verse {n}") for n in range(18)] + [
        ("Sing.", "la"),
        ("Hum.", "m"),
    ]
    made = manifest(rows, tmp_path)
    assert empty_purposes(made) == ["final"]
    (line,) = shortfalls(made)
    (cluster,) = made["clusters"]["the largest"]
    asked = made["purposes"]["final"]["requested"]
    assert line == (
        f"final has no row, and {asked} were asked for: 18 of 20 rows are one cluster (shared_prompt 17), which is "
        f"never parted; see whet data view DIR --cluster {cluster['cluster']}"
    )


def test_rows_that_went_as_copies_are_said_first(tmp_path: Path) -> None:
    made = manifest([("What is this?", "A test.")] * 15 + [(f"Is it {n}?", "no") for n in range(5)], tmp_path)
    assert shortfalls(made)[-1] == (
        "14 of 20 rows went as copies (exact duplicate 14); look at them with whet data view DIR unused"
    )
    half = manifest([("What is this?", "A test.")] * 11 + [(f"Is it {n}?", "no") for n in range(9)], tmp_path)
    assert (half["unused"]["reasons"], shortfalls(half)) == ({"exact duplicate": 10}, [])


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows_are_few_rows(rows: int, tmp_path: Path) -> None:
    made = manifest([(f"Is it {n}?", "no") for n in range(rows)], tmp_path, ft_train=1, rl_train=0, final=0)
    assert made["purposes"]["ft_train"]["rows"] == rows
    made["purposes"]["final"]["requested"] = 2
    (line,) = shortfalls(made)
    assert line == f"final has no row, and 2 were asked for: there are {rows} rows in {rows} clusters"
