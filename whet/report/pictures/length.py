"""RL: how long completions are."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["length"]


def length(files: RunFiles) -> Figure | None:
    """Mean tokens of a completion over the steps."""
    metrics = files.metrics.get("rl")
    if not metrics:
        return None
    return lines(
        metrics,
        {"rl/completion_length": "tokens"},
        title="Completion length",
        how_to_read="Tokens. Longer answers are longer thoughts, or babble: read the rollouts.",
        y="tokens",
    )
