"""A trace on the terminal: the answer first, then every row with what the runs did with it."""

from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from whet.core.terminal import Page
from whet.data.manifest import UNUSED
from whet.verbs.trace.outcomes import NAMES
from whet.verbs.trace.runs import Hit, Traced

__all__ = ["show_trace", "verdict"]

# Kinds of hits that are the row or the text itself.
_ITSELF = ("id", "exact", "shared_prompt", "completion")
_RUNS_NAMED = 3


def verdict(traced: Traced) -> str:
    """Whether the row, or only something like it, was trained on, and by which stages of which runs."""
    itself = [hit for hit in traced.hits if hit.alike.kind in _ITSELF]
    alike = [hit for hit in traced.hits if hit.alike.kind not in _ITSELF]
    if by := list(dict.fromkeys(pair for hit in itself for pair in hit.trained_by)):
        return f"trained on, by {_named(by)}"
    if by := list(dict.fromkeys(pair for hit in alike for pair in hit.trained_by)):
        return f"not trained on itself, but {_likeness(alike)} was, by {_named(by)}"
    if not traced.hits:
        return "not in this data, nor a near copy of it"
    if traced.runs:
        return f"not trained on, by {'any of ' * (len(traced.runs) > 1)}{_runs(traced.runs)}"
    return "in this data; no run of it is known, name them with --runs FOLDER"


def show_trace(page: Page, traced: Traced) -> None:
    """The answer, then row by row where it went and what became of it."""
    page.heading(verdict(traced))
    seen: Path | None = None
    for hit in traced.hits:
        if len({each.place.data_dir for each in traced.hits}) > 1 and hit.place.data_dir != seen:
            seen = hit.place.data_dir
            page.line()
            page.line((f"in {seen}", "dim"))
        page.line()
        _show_hit(page, hit)
    if len(traced.hits) < traced.total:
        page.line()
        page.line(f"{len(traced.hits)} of {traced.total:,} rows; --count shows more")
    for problem in traced.unread:
        page.line()
        page.line(f"not searched: {problem}")
    if traced.others:
        page.line()
        page.line(f"of other data, so left out: {_runs(traced.others)}; trace each by itself")


def _show_hit(page: Page, hit: Hit) -> None:
    row, alike = hit.row, hit.alike
    score = f" {alike.score:.2f}" if alike.score is not None and alike.kind != "id" else ""
    page.heading(f"{alike.kind.replace('_', ' ')}{score}", f"{row.source} row {row.row}", row.id)
    lines: list[tuple[str, list[Text | str]]] = [
        ("went to", [f"{row.purpose or UNUSED}: {row.reason}"]),
        ("cluster", [row.cluster]),
        ("prompt", [page.text(row.prompt)]),
    ]
    lines += [("completion" if place == 0 else "", [page.text(text)]) for place, text in enumerate(row.completions)]
    if row.answer is not None:
        lines.append(("answer", [row.answer]))
    lines += _told(hit)
    page.columns(lines)


def _told(hit: Hit) -> Iterator[tuple[str, list[Text | str]]]:
    for run, outcomes in hit.outcomes:
        yield "run", [f"{run.path}  ({run.recorded})"]
        for outcome in outcomes:
            yield "", [outcome.text if outcome.stage == "evaluation" else f"{NAMES[outcome.stage]}: {outcome.text}"]
        if not outcomes:
            yield "", [f"not trained on: {hit.row.reason}"]


def _likeness(hits: list[Hit]) -> str:
    best = next(hit for hit in hits if hit.trained_by)
    score = f" ({best.alike.score:.2f})" if best.alike.score is not None else ""
    kinds = {"near": "a near copy", "template": "a row of its template", "paraphrase": "a paraphrase"}
    return f"{kinds.get(best.alike.kind, 'a row of its cluster')}{score}"


def _named(pairs: list[tuple[Path, str]]) -> str:
    stages: dict[Path, list[str]] = {}
    for run, stage in pairs:
        stages.setdefault(run, []).append(NAMES[stage])
    shown = [f"{run} ({', '.join(names)})" for run, names in list(stages.items())[:_RUNS_NAMED]]
    more = f" and {len(stages) - _RUNS_NAMED} more runs" if len(stages) > _RUNS_NAMED else ""
    return ", ".join(shown) + more


def _runs(runs: tuple[Path, ...]) -> str:
    more = f" and {len(runs) - _RUNS_NAMED} more runs" if len(runs) > _RUNS_NAMED else ""
    return ", ".join(map(str, runs[:_RUNS_NAMED])) + more
