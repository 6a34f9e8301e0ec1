"""Reward model: loss and accuracy in training."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["reward_training"]


def reward_training(files: RunFiles) -> Figure | None:
    """Loss and accuracy of the reward model over the steps."""
    metrics = files.metrics.get("reward_model")
    if not metrics:
        return None
    return lines(
        metrics,
        {"train/loss": "loss", "train/accuracy": "accuracy"},
        title="Reward model in training",
        how_to_read="Loss starts at ln 2 = 0.69, a coin; accuracy is the share of pairs put in the right order.",
        y="value",
    )
