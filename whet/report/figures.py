"""Each picture as a small function: rows in, a Vega-Lite 6 figure out, the same for the page and a notebook."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.files import write_text

__all__ = ["Figure", "accuracy", "group_bars", "histogram", "lines", "pass_at", "verdicts"]

Row = Mapping[str, Any]
# Okabe and Ito's palette: distinguishable with any colour vision, on light and dark.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
STAGE_COLOURS = {"base": "#8c8c8c", "sft": "#e69f00", "rl": "#0072b2"}
STAGE_NAMES = {"base": "base", "sft": "SFT", "rl": "RL"}
_MOST_POINTS = 1000
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture: `spec` without its data, the `data` behind it, and one line on how to read it."""

    title: str
    how_to_read: str
    spec: Mapping[str, Any]
    data: Sequence[Row]

    @property
    def vega_lite(self) -> dict[str, Any]:
        """The whole specification, data included."""
        return {"$schema": _SCHEMA, "data": {"values": list(self.data)}, **self.spec}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"application/vnd.vegalite.v6+json": self.vega_lite, "text/plain": f"{self.title}: {self.how_to_read}"}

    def save(self, path: str | Path) -> None:
        """The specification as JSON, for any Vega-Lite viewer."""
        write_text(Path(path), json.dumps(self.vega_lite, indent=1))


def thinned(rows: Sequence[Row], most: int = _MOST_POINTS) -> list[Row]:
    """At most `most` rows, evenly chosen, the last one always."""
    if len(rows) <= most:
        return list(rows)
    step = len(rows) / (most - 1)
    return [rows[math.floor(place * step)] for place in range(most - 1)] + [rows[-1]]


def lines(
    metrics: Sequence[Row],
    series: Mapping[str, str],
    *,
    title: str,
    how_to_read: str,
    y: str,
    best: int | None = None,
    is_log: bool = False,
) -> Figure:
    """One line per series over the steps; `series` maps a metric's key to the name shown; `best` marks a step."""
    chosen = thinned(metrics)
    data = [
        {"step": row["step"], "value": row[key], "series": name}
        for key, name in series.items()
        for row in (chosen if sum(key in m for m in metrics) > len(metrics) // 2 else metrics)
        if row.get(key) is not None
    ]
    colour = {
        "field": "series",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(series.values()), "range": list(PALETTE[: len(series)])},
        "legend": {"orient": "top"} if len(series) > 1 else None,
    }
    scale = {"type": "log", "nice": False} if is_log else {"zero": False}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "line", "strokeWidth": 2, "point": {"size": 14} if len(chosen) <= 40 else False},
            "encoding": {
                "x": {"field": "step", "type": "quantitative", "title": "step"},
                "y": {"field": "value", "type": "quantitative", "title": y, "scale": scale},
                "color": colour,
                "tooltip": [{"field": "series"}, {"field": "step"}, {"field": "value", "format": ".4g"}],
            },
        }
    ]
    if best is not None:
        layers.append(
            {
                "data": {"values": [{"step": best}]},
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": PALETTE[2]},
                "encoding": {"x": {"field": "step", "type": "quantitative"}},
            }
        )
    return Figure(title=title, how_to_read=how_to_read, spec={"layer": layers, "height": 200}, data=data)


def accuracy(results: Mapping[str, Any], sets: Sequence[str]) -> Figure:
    """A dot with its interval for each stage on each set."""
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


def verdicts(results: Mapping[str, Any], name: str) -> Figure:
    """What became of every answer, stage by stage."""
    kinds = ("correct", "wrong", "unparsed", "truncated", "unscorable")
    data = [
        {"stage": STAGE_NAMES.get(stage, stage), "verdict": kind, "order": order, "prompts": rates[name][kind]}
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
                "scale": {"domain": list(kinds), "range": [PALETTE[2], PALETTE[1], "#999999", PALETTE[4], PALETTE[3]]},
                "legend": {"orient": "top"},
            },
            "tooltip": [{"field": "stage"}, {"field": "verdict"}, {"field": "prompts"}],
        },
    }
    return Figure(
        title="What became of the answers",
        how_to_read="Wrong is a readable answer that is not right; unparsed has no answer in it; truncated was cut at "
        "the length limit. A format that improves is not the same as a skill that does.",
        spec=spec,
        data=data,
    )


def pass_at(results: Mapping[str, Any], name: str) -> Figure | None:
    """pass@k over k for each stage; None when nothing was sampled."""
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


def histogram(better: Sequence[float], worse: Sequence[float]) -> Figure:
    """Scores that the reward model gives the better and the worse completions of its test pairs."""
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


def group_bars(rollouts: Sequence[Row]) -> Figure:
    """The rewards of one group and the advantages that follow from them."""
    data = [
        {"completion": row["sample"] + 1, "reward": row["reward"], "advantage": row["advantage"]}
        for row in rollouts
        if row["reward"] is not None
    ]
    mean = sum(row["reward"] for row in data) / max(1, len(data))
    x = {"field": "completion", "type": "ordinal", "title": "completion", "axis": {"labelAngle": 0}}
    spec = {
        "hconcat": [
            {
                "width": 280,
                "height": 120,
                "layer": [
                    {
                        "mark": {"type": "bar", "color": PALETTE[5]},
                        "encoding": {"x": x, "y": {"field": "reward", "type": "quantitative"}},
                    },
                    {"mark": {"type": "rule", "strokeDash": [4, 4]}, "encoding": {"y": {"datum": mean}}},
                ],
            },
            {
                "width": 280,
                "height": 120,
                "mark": "bar",
                "encoding": {
                    "x": x,
                    "y": {"field": "advantage", "type": "quantitative"},
                    "color": {
                        "condition": {"test": "datum.advantage > 0", "value": PALETTE[2]},
                        "value": PALETTE[1],
                    },
                },
            },
        ]
    }
    return Figure(
        title="One group",
        how_to_read="Left the rewards with the group's mean, right what is left of them: green completions become "
        "likelier, red ones rarer.",
        spec=spec,
        data=data,
    )
