"""RL: the distance from the reference."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["kl"]


def kl(files: RunFiles) -> Figure | None:
    """KL divergence per token over the steps."""
    metrics = files.metrics.get("rl")
    if not metrics:
        return None
    return lines(
        metrics,
        {"rl/kl": "KL"},
        title="Distance from the reference",
        how_to_read="KL divergence per token (k3 estimator, nats). How far the policy is from where RL began.",
        y="KL",
    )
