"""Fine-tuning: the loss per completion token."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["sft_loss"]


def sft_loss(files: RunFiles) -> Figure | None:
    """Train and validation loss over the steps."""
    metrics = files.metrics.get("sft")
    if not metrics:
        return None
    return lines(
        metrics,
        {"train/loss": "train", "validation/loss": "validation"},
        title="Loss per completion token",
        how_to_read="Nats, logarithmic; both fall while the model learns. Validation that turns up while train "
        "falls on is memorising. The dashed line is the step whose weights were kept.",
        y="loss",
        is_log=True,
        best=files.complete.get("sft", {}).get("best_step"),
    )
