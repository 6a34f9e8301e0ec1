"""Fine-tuning: the gradient norm."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["sft_norm"]


def sft_norm(files: RunFiles) -> Figure | None:
    """The gradient norm before clipping."""
    metrics = files.metrics.get("sft")
    if not metrics:
        return None
    return lines(
        metrics,
        {"train/grad_norm": "gradient norm"},
        title="Gradient norm",
        how_to_read="Before clipping. Spikes are surprising rows, or a learning rate that is too high.",
        y="norm",
    )
