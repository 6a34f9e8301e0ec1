"""Reward model: how far the scores of better and worse completions stand apart."""

from whet.report.pictures.figure import PALETTE, Figure
from whet.report.run_files import RunFiles

__all__ = ["reward_scores"]


def reward_scores(files: RunFiles) -> Figure | None:
    """Scores that the reward model gives the better and the worse completions of its test pairs."""
    scores = (files.results or {}).get("reward_model")
    if not scores:
        return None
    better, worse = scores["chosen_rewards"], scores["rejected_rewards"]
    everything = [*better, *worse]
    low, high = min(everything), max(everything)
    width = (high - low) / 40 or 1.0
    data = []
    for name, values in (("better", better), ("worse", worse)):
        counts = [0] * 41
        for value in values:
            counts[int((value - low) / width)] += 1
        data += [{"score": low + place * width, "pairs": count, "side": name} for place, count in enumerate(counts)]
    spec = {
        "height": 180,
        "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.5, "line": True},
        "encoding": {
            "x": {"field": "score", "type": "quantitative", "title": "score"},
            "y": {"field": "pairs", "type": "quantitative", "title": "pairs", "stack": None},
            "color": {
                "field": "side",
                "title": None,
                "scale": {"domain": ["better", "worse"], "range": [PALETTE[2], PALETTE[1]]},
                "legend": {"orient": "top"},
            },
        },
    }
    return Figure(
        title="Scores of the reward model on its test pairs",
        how_to_read="The further the two hills stand apart, the surer the reward model is; where they overlap it errs.",
        spec=spec,
        data=data,
    )
