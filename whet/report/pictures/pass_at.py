"""Evaluation: pass@k over k."""

from whet.report.pictures.figure import PALETTE, STAGE_COLOURS, STAGE_NAMES, Figure
from whet.report.run_files import RunFiles, main_set

__all__ = ["pass_at"]


def pass_at(files: RunFiles) -> Figure | None:
    """pass@k over k for each stage; None when nothing was sampled."""
    results = files.results
    if results is None:
        return None
    name = main_set(results)
    data = [
        {"stage": STAGE_NAMES.get(stage, stage), "k": int(k), **value}
        for stage, rates in results["stages"].items()
        for k, value in rates.get(name, {}).get("pass_at", {}).items()
    ]
    if not data:
        return None
    stages = [STAGE_NAMES.get(stage, stage) for stage in results["stages"]]
    colour = {
        "field": "stage",
        "title": None,
        "scale": {"domain": stages, "range": [STAGE_COLOURS.get(s, PALETTE[3]) for s in results["stages"]]},
        "legend": {"orient": "top"},
    }
    x = {"field": "k", "type": "quantitative", "title": "k", "axis": {"values": sorted({row["k"] for row in data})}}
    y = {"type": "quantitative", "title": "pass@k", "scale": {"domain": [0, 1]}, "axis": {"format": "%"}}
    spec = {
        "height": 200,
        "encoding": {"x": x, "color": colour},
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.15},
                "encoding": {"y": {"field": "low", **y}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "point": True}, "encoding": {"y": {"field": "value", **y}}},
        ],
    }
    return Figure(
        title="pass@k",
        how_to_read="The chance that one of k random answers is right. Where base or SFT reach RL's first answer at a "
        "larger k, the skill was there and RL made it the habit.",
        spec=spec,
        data=data,
    )
