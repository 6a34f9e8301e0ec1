"""Fine-tuning: the learning rate."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["sft_rate"]


def sft_rate(files: RunFiles) -> Figure | None:
    """The learning rate over the steps."""
    metrics = files.metrics.get("sft")
    if not metrics:
        return None
    return lines(
        metrics,
        {"train/learning_rate": "learning rate"},
        title="Learning rate",
        how_to_read="Warm-up, then decay.",
        y="learning rate",
    )
