"""Rows, clusters and pairs on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from whet.core.terminal import Page
from whet.data.look.view import ClusterView, PairView, RowView
from whet.data.manifest import UNUSED

__all__ = ["show_cluster", "show_pairs", "show_rejected", "show_rows", "show_unused"]


def show_rows(page: Page, views: Sequence[RowView]) -> None:
    """One row under the other."""
    if not views:
        page.line("no row")
    for place, view in enumerate(views):
        if place:
            page.line()
        _show_row(page, view)


def show_unused(page: Page, reasons: Mapping[str, tuple[int, Sequence[RowView]]]) -> None:
    """Rows without a purpose, by the reason."""
    if not reasons:
        page.line("no row")
    for place, (reason, (count, views)) in enumerate(reasons.items()):
        if place:
            page.line()
        page.heading(reason, f"{count:,} row{'s' * (count != 1)}")
        for view in views:
            page.line()
            _show_row(page, view)


def show_cluster(page: Page, cluster: ClusterView) -> None:
    """The first row, then the others with what they say otherwise; two at a time where there is room."""
    page.heading(f"cluster {cluster.id}", f"{cluster.size:,} row{'s' * (cluster.size != 1)}")
    rows = [
        (view, f"{edge.kind} {edge.score:.2f}, to {other}" if edge else "")
        for view, edge, other in zip(cluster.rows, cluster.edges, cluster.others, strict=True)
    ]
    step = 2 if page.is_wide else 1
    for start in range(0, len(rows), step):
        page.line()
        _show_beside(page, rows[start : start + step])
    if len(rows) < cluster.size:
        page.line()
        page.line(f"and {cluster.size - len(rows):,} more; --count shows more of them")


def show_pairs(page: Page, kind: str, total: int, pairs: Sequence[PairView]) -> None:
    """Pairs side by side on a wide terminal, else one row under the other."""
    if not total:
        page.line(f"no edge of kind {kind}" if kind != "all" else "no edge: every row is a cluster of its own")
        return
    for place, pair in enumerate(pairs):
        if place:
            page.line()
        page.heading(f"{pair.edge.kind} {pair.edge.score:.2f}", pair.edge.evidence[:200])
        if page.is_wide:
            _show_beside(page, [(pair.first, ""), (pair.second, "")])
        else:
            _show_row(page, pair.first)
            _show_row(page, pair.second)
    if len(pairs) < total:
        page.line()
        page.line(f"{len(pairs):,} of {total:,} pairs; --count shows more, --strongest begins at the other end")


def show_rejected(page: Page, total: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Where each refused row stands, which field it was, why, and how it begins."""
    for row in rows:
        field = f", field {row['field']}" if row["field"] else ""
        page.line((f"{row['source']} row {row['row']}{field}", "bold"), f": {row['reason']}")
        if row.get("excerpt"):
            page.columns([("", [row["excerpt"][:200]])], indent=0)
    if not total:
        page.line("no row was refused")
    elif len(rows) < total:
        page.line(f"and {total - len(rows):,} more; --count shows more of them, rejected.jsonl has all")


def _where(view: RowView) -> str:
    return f"{view.purpose or UNUSED}: {view.reason}"


def _name(view: RowView) -> str:
    return f"{view.source} row {view.row}"


def _show_row(page: Page, view: RowView) -> None:
    page.heading(_name(view), view.id)
    page.columns(_lines(page, [(view, "")]))


def _show_beside(page: Page, rows: Sequence[tuple[RowView, str]]) -> None:
    """Rows in columns, or one."""
    if len(rows) == 1:
        page.heading(_name(rows[0][0]), rows[0][0].id)
        page.columns(_lines(page, rows))
        return
    names = [page.styled(f"{_name(view)}  {view.id}", "bold") for view, _ in rows]
    page.columns([("", names), *_lines(page, rows)])


def _lines(page: Page, rows: Sequence[tuple[RowView, str]]) -> list[tuple[str, list[Text | str]]]:
    """What stands beside each label, a cell for each row; a label that no row has anything for is left out.

    Each row comes with what joined it to another, in words.
    """
    views = [view for view, _ in rows]
    lines: list[tuple[str, list[Text | str]]] = [("went to", [_where(view) for view in views])]
    if any(view.slice != "all" for view in views):
        lines.append(("slice", [view.slice.replace("_", " ") for view in views]))
    if any(why for _, why in rows):
        lines.append(("joined by", [why for _, why in rows]))
    lines.append(("prompt", [page.text(view.prompt) for view in views]))
    for place in range(max(len(view.completions) for view in views)):
        cells = [page.text(view.completions[place]) if place < len(view.completions) else "" for view in views]
        lines.append(("completion" if place == 0 else "", list(cells)))
    if any(view.answer is not None for view in views):
        lines.append(("answer", [view.answer or "" for view in views]))
    return lines
