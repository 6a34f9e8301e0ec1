"""Rows, clusters and traces of prepared data."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.data.manifest import read_manifest, read_rows
from whet.data.prepare import prepare
from whet.data.view import Piece, as_text, cluster_view, purpose_view, trace

ALICE = "Alice has 3 apples and then buys 2 more at the market. How many now?"
BEN = "Ben has 31 apples and then buys 20 more at the market. How many now?"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    colours = "red green blue old new small big round soft cold warm dry wet thin long short".split()
    rows: list[dict[str, Any]] = [
        {"prompt": f"Why would anybody buy such a {colour} lamp for the house?", "completion": f"It is {colour}."}
        for colour in colours
    ]
    rows += [
        {"prompt": ALICE, "completion": "5"},
        {"prompt": BEN, "completion": "51"},
        {"prompt": ALICE, "completion": "5"},
    ]
    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare(DataSettings(source=str(source)), seed=0, out=folder / "data")
    return folder / "data"


def test_rows_of_a_purpose_with_their_reasons(data: Path) -> None:
    views = purpose_view(data, "ft_train", count=3)
    assert len(views) == 3
    assert all(view.purpose == "ft_train" and view.completions and view.reason for view in views)
    with pytest.raises(DataError, match="no purpose 'ft_tain'; did you mean 'ft_train'"):
        purpose_view(data, "ft_tain", count=3)


def test_a_cluster_side_by_side_marks_what_differs(data: Path) -> None:
    cluster = next(row["cluster"] for row in read_manifest(data)["rows"] if row["row"] == 17)
    first, *others = cluster_view(data, cluster)
    assert "".join(piece.text for piece in first.prompt) == ALICE
    assert len(others) == 2
    sibling = next(view for view in others if view.row == 17)
    assert [piece.text for piece in sibling.prompt if piece.is_changed] == ["Ben", "31", "20"]
    assert "".join(piece.text for piece in sibling.prompt) == BEN
    copy = next(view for view in (first, *others) if view.purpose is None)
    assert copy.reason.startswith("exact duplicate of rows.jsonl row ")
    with pytest.raises(DataError, match="no cluster 'nowhere'"):
        cluster_view(data, "nowhere")


def test_text_for_the_terminal_marks_and_cleans(data: Path) -> None:
    (view,) = purpose_view(data, "ft_train", count=1)
    changed = (Piece(text="red ", is_changed=False), Piece(text="\x1b[31mlamp\u202e", is_changed=True))
    text = as_text(replace(view, prompt=changed, completions=("It is.",), answer="5"))
    assert "  prompt      red [\ufffd[31mlamp\ufffd]\n  completion  It is.\n  answer      5" in text
    assert text.startswith(f"{view.id}  rows.jsonl row {view.row}  ft_train: ")


def test_trace_by_id_and_by_text(data: Path) -> None:
    stored = read_rows(data, "ft_train")[0]
    (by_id,) = trace(data, stored.id)
    assert (by_id.kind, by_id.view.purpose) == ("id", "ft_train")
    found = trace(data, ALICE.upper())
    # the kept copy, the dropped copy, the sibling
    assert [(hit.kind, hit.view.row) for hit in found] == [("exact", 16), ("exact", 18), ("template", 17)]
    near = trace(data, "Why would anybody buy such a golden lamp for the house?")
    assert {hit.kind for hit in near} <= {"template", "near"}
    assert len(near) == 5
    assert near[0].score >= 0.5
    assert trace(data, "Nothing like this was ever asked here before.") == []
    assert trace(data, "0" * 16) == []
