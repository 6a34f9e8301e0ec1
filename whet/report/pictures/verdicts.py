"""Evaluation: what became of the answers."""

from whet.report.pictures.figure import PALETTE, STAGE_NAMES, Figure
from whet.report.run_files import RunFiles, main_set

__all__ = ["verdicts"]


def verdicts(files: RunFiles) -> Figure | None:
    """What became of every answer, stage by stage."""
    results = files.results
    if results is None:
        return None
    name = main_set(results)
    kinds = ("correct", "wrong", "unparsed", "truncated", "unscorable", "unasked")
    data = [
        {"stage": STAGE_NAMES.get(stage, stage), "verdict": kind, "order": order, "prompts": rates[name].get(kind, 0)}
        for stage, rates in results["stages"].items()
        for order, kind in enumerate(kinds)
    ]
    spec = {
        "mark": {"type": "bar", "height": 22},
        "height": 110,
        "encoding": {
            "y": {"field": "stage", "type": "nominal", "sort": ["base", "SFT", "RL"], "title": None},
            "x": {"field": "prompts", "type": "quantitative", "title": "prompts", "stack": "zero"},
            "order": {"field": "order"},
            "color": {
                "field": "verdict",
                "title": None,
                "scale": {
                    "domain": list(kinds),
                    "range": [PALETTE[2], PALETTE[1], "#999999", PALETTE[4], PALETTE[3], "#cccccc"],
                },
                "legend": {"orient": "top"},
            },
            "tooltip": [{"field": "stage"}, {"field": "verdict"}, {"field": "prompts"}],
        },
    }
    return Figure(
        title="What became of the answers",
        how_to_read="Wrong is a readable answer that is not right; unparsed has no answer in it; truncated was cut at "
        "the length limit; unasked is too long for the model, or refused by its chat template. A format that improves "
        "is not the same as a skill that does.",
        spec=spec,
        data=data,
    )
