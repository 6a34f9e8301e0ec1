"""RL: the entropy of the policy."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["entropy"]


def entropy(files: RunFiles) -> Figure | None:
    """Entropy per token over the steps."""
    metrics = files.metrics.get("rl")
    if not metrics:
        return None
    return lines(
        metrics,
        {"rl/entropy": "entropy"},
        title="Entropy",
        how_to_read="Nats per token. Near zero the policy tries nothing new any more.",
        y="entropy",
    )
