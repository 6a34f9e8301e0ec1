"""RL: what teaches nothing."""

from whet.report.pictures.figure import Figure
from whet.report.pictures.lines import lines
from whet.report.run_files import RunFiles

__all__ = ["shares"]


def shares(files: RunFiles) -> Figure | None:
    """Shares of what gives no gradient, over the steps."""
    metrics = files.metrics.get("rl")
    if not metrics:
        return None
    return lines(
        metrics,
        {
            "rl/truncated_share": "cut off",
            "rl/zero_variance_share": "groups without signal",
            "rl/clip_share": "clipped tokens",
        },
        title="What teaches nothing",
        how_to_read="Completions cut at the limit, groups in which all rewards are equal, tokens outside the clip.",
        y="share",
    )
