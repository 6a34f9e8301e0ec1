"""Evaluation: accuracy with intervals, stage by stage."""

from typing import Any

from whet.report.pictures.figure import PALETTE, STAGE_COLOURS, STAGE_NAMES, Figure
from whet.report.run_files import MAIN_SETS, RunFiles

__all__ = ["accuracy"]


def accuracy(files: RunFiles) -> Figure | None:
    """A dot with its interval for each stage on each set."""
    results = files.results
    if results is None:
        return None
    sets = [name for name in MAIN_SETS if name in results["stages"]["base"]]
    data = [
        {
            "set": name.replace("_", " "),
            "stage": STAGE_NAMES.get(stage, stage),
            "accuracy": rates[name]["accuracy"],
            "low": rates[name]["low"],
            "high": rates[name]["high"],
            "n": rates[name]["n"],
        }
        for stage, rates in results["stages"].items()
        for name in sets
        if name in rates
    ]
    stages = [STAGE_NAMES.get(stage, stage) for stage in results["stages"]]
    colours = [STAGE_COLOURS.get(stage, PALETTE[3]) for stage in results["stages"]]
    shared = {
        "y": {"field": "stage", "type": "nominal", "sort": stages, "title": None},
        "color": {"field": "stage", "scale": {"domain": stages, "range": colours}, "legend": None},
    }
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.5},
            "encoding": {
                "x": {"field": "low", "type": "quantitative", "title": "accuracy", "scale": {"domain": [0, 1]}},
                "x2": {"field": "high"},
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1},
            "encoding": {
                "x": {"field": "accuracy", "type": "quantitative", "axis": {"format": "%"}},
                "tooltip": [
                    {"field": "stage"},
                    {"field": "set"},
                    {"field": "accuracy", "format": ".1%"},
                    {"field": "low", "format": ".1%"},
                    {"field": "high", "format": ".1%"},
                    {"field": "n"},
                ],
            },
        },
    ]
    spec = {
        "facet": {
            "row": {
                "field": "set",
                "title": None,
                "sort": [name.replace("_", " ") for name in sets],
                "header": {"labelAngle": 0, "labelAlign": "left", "labelPadding": 8},
            }
        },
        "spec": {"layer": [{**layer, "encoding": shared | layer["encoding"]} for layer in layers], "height": 54},
        "spacing": 10,
    }
    return Figure(
        title="Accuracy on prompts that no stage was trained on",
        how_to_read=f"A dot is the share of greedy answers that are right, its line the {results['confidence']:.0%} "
        "interval (Wilson). Lines that overlap may still differ: the paired comparison below decides.",
        spec=spec,
        data=data,
    )
