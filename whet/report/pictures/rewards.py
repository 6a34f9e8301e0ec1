"""RL: the rewards."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["rewards"]


def rewards(files: RunFiles) -> Figure | None:
    """The sum and each of its parts over the steps."""
    metrics = files.metrics.get("rl")
    if not metrics:
        return None
    skip = {"reward/mean", "reward/std", "reward/unscorable"}
    parts = sorted({key for row in metrics for key in row if key.startswith("reward/")} - skip)
    series = {key: key.removeprefix("reward/").replace("_", " ") for key in parts}
    return lines(
        metrics,
        {"reward/mean": "sum"} | series,
        title="Rewards",
        how_to_read="The mean over the step's rollouts, each part before its weight. A part that rises while "
        "`answer` does not is being gamed.",
        y="reward",
    )
