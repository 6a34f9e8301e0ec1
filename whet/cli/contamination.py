# ruff: noqa: T201  (this is the command line)
"""The verb `whet data contamination`."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts

from whet.cli.app import Json, Settings, data_app, read_recipe
from whet.core.records import Rejected

if TYPE_CHECKING:
    from whet.core.terminal import Page
    from whet.data.contamination.find import Pair, Scan

__all__ = ["data_contamination"]

_USAGE = "whet data contamination TRAIN --against BENCH [BENCH ...] [--clean FILE] [--json] [--data.SETTING VALUE ...]"
_MOST = 600  # characters of a text that are shown


@data_app.command(name="contamination", usage=_USAGE)
def data_contamination(
    train: str,
    /,
    *settings: Settings,
    against: Annotated[tuple[str, ...], cyclopts.Parameter(consume_multiple=True, negative="")],
    clean: Path | None = None,
    as_json: Json = False,
) -> None:
    """Training rows that a benchmark holds too, pair by pair, by rule. Exit code 1 when some should not be trained on.

    A row that shares a run of 13 words and nothing else is reported and never counts against the data. With --json or
    --clean the exit code is 0 whatever is found: the lines say it, and the file is without them.

    Parameters
    ----------
    train
        A file, a folder, or a hub id; of a run, or of what `whet data split` wrote, the training purposes.
    against
        Benchmarks: files, folders or hub ids.
    clean
        Write the sound rows of TRAIN, unchanged, into this file: without contaminated and unreadable ones.
    as_json
        One line of JSON for each contaminated row: row (0-based), kind, score, benchmark_row, and more.
    """
    from whet.data.contamination.clean_copy import refuse_other_formats, write_without
    from whet.data.contamination.find import Scan

    loaded = read_recipe(list(settings), own=("--against", "--clean", "--json"))
    if clean is not None:
        refuse_other_formats(Path(train), clean)
    scan = Scan(train=train, against=against, settings=loaded.recipe.data)
    removed: Counter[str] = Counter()
    left_out: set[int] = set()
    said = sys.stderr if as_json else sys.stdout
    page = _page()
    for pair in scan:
        if as_json:
            print(json.dumps(_line(pair)))
        else:
            _show(page, pair)
        if pair.hit.is_gated:
            removed[pair.hit.kind] += 1
            left_out.add(pair.hit.row)
    print("\n".join(_summary(scan)), file=said)
    if clean is not None:
        left_out |= {row.origin.row for row in scan.refused}
        written = write_without(Path(train), clean, left_out)
        print(f"{clean}: {written:,} rows; left out {_counts(removed) or 'none'}{_unreadable(scan)}", file=said)
    sys.exit(1 if scan.gated and not as_json and clean is None else 0)


def _page() -> "Page":
    from whet.core.terminal import Page

    return Page()


def _line(pair: "Pair") -> dict[str, Any]:
    hit = pair.hit
    return {
        "row": hit.row,
        "kind": hit.kind,
        "score": round(hit.score, 4),
        "benchmark_row": hit.benchmark_row,
        "source": hit.source,
        "benchmark": hit.benchmark,
        "also": list(hit.also),
        "is_gated": hit.is_gated,
    }


def _show(page: "Page", pair: "Pair") -> None:
    """Both texts, what differs marked; of long ones the stretch that is like the other."""
    from whet.core.difference import differences
    from whet.core.records import texts_in
    from whet.data.texts.excerpts import excerpt, stretch_like

    hit, question = pair.hit, "\n".join(turn.content for turn in pair.question.messages if turn.role != "system")
    also = f", also {', '.join(hit.also)}" if hit.also else ""
    page.heading(f"{hit.source} row {hit.row}", f"{hit.kind} {hit.score:.2f}{also}")
    texts = stretch_like(texts_in(pair.row), question, most=_MOST), excerpt(question, most=_MOST)
    row, other = differences(*texts)
    page.columns([("row", [page.text(row)]), (f"{hit.benchmark} row {hit.benchmark_row}", [page.text(other)])])
    page.line()


def _summary(scan: "Scan") -> list[str]:
    others = Counter({kind: count for kind, count in scan.kinds.items() if kind != "13-gram"})
    lines = [f"{scan.gated:,} of {scan.rows:,} rows are in a benchmark{': ' * bool(others)}{_counts(others)}"]
    if scan.kinds["13-gram"]:
        lines.append(f"{scan.kinds['13-gram']:,} more share a run of 13 words and nothing else; these are sound")
    for refused, what in ((scan.refused, "rows"), (scan.refused_questions, "rows of the benchmarks")):
        if refused:
            lines.append(f"{len(refused):,} {what} could not be read and were not compared; {_first(refused)}")
    return lines


def _first(refused: Sequence[Rejected]) -> str:
    from whet.core.runlog import printable

    row = refused[0]
    where = f"{row.origin.source} row {row.origin.row}" + (f", {row.field}" if row.field else "")
    return printable(f"the first: {where}: {row.reason}", limit=300)


def _counts(kinds: Counter[str]) -> str:
    from whet.data.contamination.benchmark import KINDS

    return ", ".join(f"{kind} {kinds[kind]:,}" for kind in KINDS if kinds[kind])


def _unreadable(scan: "Scan") -> str:
    return f", unreadable {len(scan.refused):,}" if scan.refused else ""
