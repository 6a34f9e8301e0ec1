"""Rows, clusters, pairs and refused rows of prepared data, and how the terminal shows them."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from whet.core.difference import Piece
from whet.core.errors import DataError
from whet.core.recipe import DataSettings
from whet.core.terminal import Page
from whet.data.look.view import RowView, cluster_view, joined, pair_views, purpose_view, rejected_rows, unused_views
from whet.data.look.view_text import show_cluster, show_pairs, show_rejected, show_rows, show_unused
from whet.data.manifest import read_manifest
from whet.data.prepare import prepare

ALICE = "Alice has 3 apples and then buys 2 more at the market. How many now?"
# 10 words, 8 runs of 3; a word more makes 9 of them, two more make 10
SPOON = "Where did that captain hide all his spoons last winter"
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
        {"prompt": None, "completion": "nothing"},
        {"prompt": f"{SPOON}?", "completion": "at home"},
        {"prompt": f"{SPOON} again, please?", "completion": "at home again"},
        {"prompt": "Please say, what do they sing in the evening of a feast", "completion": "songs"},
        {"prompt": "What do they sing in the evening of a feast", "completion": "old songs"},
        {"prompt": "Please say, what do they sing in the evening of a feast now", "completion": "new songs"},
    ]
    source = folder / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare(DataSettings(source=str(source), max_rejected_share=0.1), seed=0, out=folder / "data")
    return folder / "data"


def terminal(width: int = 80, *, colour: bool = True) -> Page:
    """A page on a terminal of this width, its output kept."""
    console = Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        color_system="truecolor" if colour else None,
        markup=False,
        highlight=False,
        emoji=False,
        _environ={},
    )
    return Page(console)


def file_page() -> Page:
    return Page(Console(file=io.StringIO(), markup=False, highlight=False, emoji=False, width=80, _environ={}))


def written(page: Page) -> str:
    assert isinstance(page.console.file, io.StringIO)
    return page.console.file.getvalue()


def changed(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece.text for piece in pieces if piece.is_changed]


def apples(data: Path) -> str:
    return next(row["cluster"] for row in read_manifest(data)["rows"] if row["row"] == 17)


def test_rows_of_a_purpose_with_their_reasons(data: Path) -> None:
    views = purpose_view(data, "ft_train", count=3)
    assert len(views) == 3
    assert all(view.purpose == "ft_train" and view.completions and view.reason for view in views)
    listed = {(row["source"], row["row"]): row for row in read_manifest(data)["rows"]}
    assert all(listed[view.source, view.row]["reason"] == view.reason for view in views)
    with pytest.raises(DataError, match="no purpose 'ft_tain'; did you mean 'ft_train'"):
        purpose_view(data, "ft_tain", count=3)


def test_a_cluster_marks_what_differs_from_its_first_row(data: Path) -> None:
    cluster = cluster_view(data, apples(data)[:6])
    assert (cluster.id, cluster.size, cluster.edges[0]) == (apples(data), 3, None)
    first, *others = cluster.rows
    assert joined(first.prompt) == ALICE
    assert not changed(first.prompt)
    sibling = next(view for view in others if view.row == 17)
    assert changed(sibling.prompt) == ["Ben", "31", "20"]
    assert changed(sibling.completions[0]) == ["51"]
    assert joined(sibling.prompt) == BEN
    copy = next(view for view in cluster.rows if view.purpose is None)
    assert copy.reason.startswith("exact duplicate of rows.jsonl row ")
    assert {edge.kind for edge in cluster.edges if edge} == {"exact", "template"}
    assert cluster.others == ("", "rows.jsonl row 16", "rows.jsonl row 16")
    page = file_page()
    show_cluster(page, cluster)
    assert "  joined by   template 1.00, to rows.jsonl row 16\n" in written(page)
    assert len(cluster_view(data, apples(data), count=2).rows) == 2


def test_what_is_no_cluster_is_told_with_the_largest(data: Path) -> None:
    with pytest.raises(DataError, match=r"no cluster 'nowhere'; the largest are [0-9a-f]{16} \(\d+ rows\)"):
        cluster_view(data, "nowhere")
    first = apples(data)[0]
    with pytest.raises(DataError, match=f"no cluster '{first}'|clusters begin with '{first}'; give its 16 digits"):
        cluster_view(data, first)


def test_pairs_of_a_kind_the_weakest_first(data: Path) -> None:
    total, (pair,) = pair_views(data, "template", count=1)
    near, pairs = pair_views(data, "all", count=100)
    assert total >= 1
    assert near == len(pairs) == sum(read_manifest(data)["edges"].values())
    scores = [each.edge.score for each in pairs]
    assert scores == sorted(scores)
    assert len(set(scores)) >= 3
    assert min(scores) == pytest.approx(8 / 10)
    strongest = pair_views(data, "all", count=100, strongest=True)[1]
    assert [each.edge.score for each in strongest] == sorted(scores, reverse=True)
    rows = read_manifest(data)["rows"]
    assert (pair.first.row, pair.second.row) == (rows[pair.edge.first]["row"], rows[pair.edge.second]["row"])
    with pytest.raises(DataError, match="no pairs of kind 'tempate'; did you mean 'template'"):
        pair_views(data, "tempate", count=1)


def test_both_rows_of_a_pair_are_marked(data: Path) -> None:
    pairs = pair_views(data, "template", count=100)[1]
    pair = next(each for each in pairs if joined(each.second.prompt) == BEN)
    assert changed(pair.first.prompt) == ["Alice", "3", "2"]
    assert changed(pair.second.prompt) == ["Ben", "31", "20"]
    shown = pair.as_json()
    assert (shown["kind"], shown["first"]["prompt"], shown["second"]["completions"]) == ("template", ALICE, ["51"])


def test_unused_rows_by_reason(data: Path) -> None:
    reasons = unused_views(data, count=1)
    assert {reason: total for reason, (total, _) in reasons.items()} == read_manifest(data)["unused"]["reasons"]
    assert [view.row for view in reasons["exact duplicate"][1]] in ([16], [18])


def test_refused_rows_with_file_row_field_and_reason(data: Path) -> None:
    total, (row,) = rejected_rows(data, count=5)
    assert (total, row["source"], row["row"], row["field"]) == (1, "rows.jsonl", 19, "prompt")
    page = file_page()
    show_rejected(page, total, [row])
    assert written(page).startswith(f"rows.jsonl row 19, field prompt: {row['reason']}\n")


def test_a_file_that_is_not_as_the_manifest_says_is_told(data: Path, tmp_path: Path) -> None:
    for file in data.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "ft_train.parquet").write_bytes((tmp_path / "final.parquet").read_bytes())
    with pytest.raises(DataError, match="is not in its file as the manifest says; prove the folder with: whet data ch"):
        purpose_view(tmp_path, "ft_train", count=1)
    (tmp_path / "edges.parquet").unlink()
    with pytest.raises(DataError, match=r"edges\.parquet: no such file"):
        pair_views(tmp_path, "all", count=1)


@pytest.mark.parametrize("broken", [{"rows": None}, {"rows": [1]}, {"rows": [{"id": "a"}]}, {"views": ...}])
def test_a_manifest_that_is_not_whole_is_told(data: Path, tmp_path: Path, broken: dict[str, Any]) -> None:
    manifest = {name: value for name, value in (read_manifest(data) | broken).items() if value is not ...}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"manifest\.json: not whole"):
        purpose_view(tmp_path, "ft_train", count=1)


HOSTILE = "[bold]red[/bold] :smile: \x1b[31mlamp\x1b]0;owned\x07\u202e\r\x9b2J"
SAFE = "[bold]red[/bold] :smile: \\x1b[31mlamp\\x1b]0;owned\\x07\\u202e\\r\\x9b2J"


@pytest.fixture
def hostile(data: Path) -> RowView:
    (view,) = purpose_view(data, "ft_train", count=1)
    pieces = (Piece(text="red ", is_changed=False), Piece(text=HOSTILE, is_changed=True))
    bad = (Piece(text=HOSTILE, is_changed=False),)
    return replace(view, prompt=pieces, completions=(bad, bad), answer=HOSTILE, source=HOSTILE, reason=HOSTILE)


def test_what_a_row_says_is_text_and_nothing_else(hostile: RowView, data: Path) -> None:
    cluster = cluster_view(data, apples(data))
    for page in (file_page(), terminal(60, colour=False), terminal(400, colour=False)):
        show_rows(page, [hostile])
        show_cluster(
            page,
            replace(cluster, rows=(hostile, hostile), edges=(None, cluster.edges[1]), others=("", HOSTILE), size=2),
        )
        show_unused(page, {HOSTILE: (1, [hostile])})
        show_rejected(page, 1, [{"source": HOSTILE, "row": 1, "field": HOSTILE, "reason": HOSTILE, "excerpt": HOSTILE}])
        text = written(page)
        assert not {char for char in text if char != "\n" and not char.isprintable()}
        assert "[bold]" in text
        assert ":smile:" in text
        assert "\\x1b" in text
    assert f"  prompt      red [{SAFE}]\n  completion  {SAFE}\n" in written(_shown(file_page(), hostile))


def _shown(page: Page, view: RowView) -> Page:
    show_rows(page, [view])
    return page


def test_what_differs_is_coloured_on_a_terminal_and_in_brackets_elsewhere(data: Path) -> None:
    pairs = pair_views(data, "template", count=100)[1]
    pair = next(each for each in pairs if joined(each.second.prompt) == BEN)
    coloured = terminal(80)
    show_pairs(coloured, "template", 1, [pair])
    assert "\x1b[7mBen\x1b[0m has \x1b[7m31\x1b[0m" in written(coloured)
    for plain in (terminal(80, colour=False), file_page()):
        show_pairs(plain, "template", 1, [pair])
        assert "[Ben] has [31] apples and then buys [20] more" in " ".join(written(plain).split())
        assert "\x1b" not in written(plain)


def test_pairs_stand_side_by_side_from_100_columns_on(data: Path) -> None:
    pair = pair_views(data, "template", count=100)[1][0]
    for width, is_beside in ((99, False), (100, True), (160, True)):
        page = terminal(width, colour=False)
        show_pairs(page, "template", 1, [pair])
        lines = written(page).splitlines()
        beside = [line for line in lines if pair.first.id in line and pair.second.id in line]
        assert bool(beside) == is_beside
        assert max(map(len, lines)) <= width


def test_in_a_file_a_text_is_one_line_however_long(data: Path) -> None:
    (view,) = purpose_view(data, "ft_train", count=1)
    long = (Piece(text="word " * 60 + "end", is_changed=False),)
    assert f"  prompt      {'word ' * 60}end\n" in written(_shown(file_page(), replace(view, prompt=long)))


def test_a_long_text_is_cut_and_says_by_how_much(data: Path) -> None:
    (view,) = purpose_view(data, "ft_train", count=1)
    long = (Piece(text="x" * 10_000, is_changed=False),)
    shown = written(_shown(file_page(), replace(view, prompt=long)))
    assert f"{'x' * 3000} … and 7,000 more characters\n" in shown
    compared = (Piece(text="y" * 10_000, is_changed=False), Piece(text="changed", is_changed=True))
    shown = written(_shown(file_page(), replace(view, prompt=compared)))
    assert f"{'y' * 200} … {'y' * 200}[changed]\n" in shown
