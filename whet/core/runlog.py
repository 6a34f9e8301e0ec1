"""What a run says of itself: metrics.jsonl, one object per step, and the terminal line drawn from the same object."""

import contextlib
import json
import math
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from whet.core.files import append_json_line, read_json_lines, write_text

__all__ = ["Bar", "MetricsLog", "Progress", "printable"]


# Controls, formats (bidirectional overrides too), surrogates, private, unassigned; line and paragraph separators.
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def printable(text: str, *, limit: int | None = None) -> str:
    """Text that a stranger wrote, safe for a terminal: control, format and odd line-break characters become escapes.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return "".join(
        char.encode("unicode_escape").decode() if char != "\n" and unicodedata.category(char) in _UNSAFE else char
        for char in text
    )


class MetricsLog:
    """An append-only metrics.jsonl. Values that are not finite are written as null and named under `nonfinite`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, metrics: Mapping[str, float | int | None]) -> None:
        bad = [key for key, value in metrics.items() if isinstance(value, float) and not math.isfinite(value)]
        row: dict[str, Any] = {key: None if key in bad else value for key, value in metrics.items()}
        append_json_line(self.path, row | {"nonfinite": bad} if bad else row)

    def truncate_to(self, step: int) -> None:
        """Forget every line after `step`: a resumed run writes them again, and the file equals a straight run's."""
        if not self.path.exists():
            return
        kept = [row for row in read_json_lines(self.path) if row["step"] <= step]
        write_text(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))


class Bar(Protocol):
    """A piece of work whose end is known."""

    def advance(self, metrics: Mapping[str, float | int | None] | None = None, *, by: int = 1) -> None:
        """`by` more units are done; the interesting ones of `metrics` are shown."""


# What a person watches while it runs, in this order, with the name shown.
SHOWN = {
    "train/loss": "loss",
    "validation/loss": "validation",
    "train/accuracy": "accuracy",
    "reward/mean": "reward",
    "reward/answer": "answer",
    "rl/kl": "kl",
    "rl/completion_length": "length",
}


def _shown(metrics: Mapping[str, float | int | None] | None) -> str:
    found = [(name, (metrics or {}).get(key)) for key, name in SHOWN.items()]
    return "  ".join(f"{name} {value:.3g}" for name, value in found if value is not None)


class _LineBar:
    """For logs and pipes: a line about every ten seconds."""

    def __init__(self, what: str, total: int, done: int) -> None:
        self.what, self.total, self.done, self.began_at = what, total, done, done
        self.began = self.spoke = time.monotonic()

    def advance(self, metrics: Mapping[str, float | int | None] | None = None, *, by: int = 1) -> None:
        self.done += by
        now = time.monotonic()
        if now - self.spoke < 10 and self.done < self.total:
            return
        if self.done >= self.total and now - self.began < 2:
            return
        self.spoke = now
        left = (now - self.began) / (self.done - self.began_at) * (self.total - self.done)
        time_left = f"{left:.0f} s left" if self.done < self.total else f"{now - self.began:.0f} s"
        print(f"{self.what} {self.done}/{self.total}  {time_left}  {_shown(metrics)}".rstrip(), file=sys.stderr)  # noqa: T201


class _SilentBar:
    def advance(self, metrics: Mapping[str, float | int | None] | None = None, *, by: int = 1) -> None:
        pass


class _RichBar:
    def __init__(self, progress: Any, task: Any) -> None:
        self.progress, self.task = progress, task

    def advance(self, metrics: Mapping[str, float | int | None] | None = None, *, by: int = 1) -> None:
        shown = _shown(metrics)
        self.progress.update(self.task, advance=by, **({"shown": shown} if shown else {}))


class Progress:
    """Bars with the time left on a terminal, lines elsewhere, nothing when quiet. Everything goes to standard error."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, *lines: str) -> None:
        """Plain lines between the bars."""
        if not self.quiet:
            for line in lines:
                print(line, file=sys.stderr, flush=True)  # noqa: T201

    @contextlib.contextmanager
    def bar(self, what: str, *, total: int, done: int = 0) -> Iterator[Bar]:
        """A bar for `total` units of which `done` were done before."""
        if self.quiet:
            yield _SilentBar()
        elif not sys.stderr.isatty():
            yield _LineBar(what, total, done)
        else:
            from rich import progress as rich_progress
            from rich.console import Console

            columns = (
                rich_progress.TextColumn("{task.description:<22}"),
                rich_progress.BarColumn(bar_width=24),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TimeElapsedColumn(),
                rich_progress.TimeRemainingColumn(),
                rich_progress.TextColumn("{task.fields[shown]}"),
            )
            with rich_progress.Progress(*columns, console=Console(stderr=True)) as bars:
                yield _RichBar(bars, bars.add_task(what, total=total, completed=done, shown=""))
