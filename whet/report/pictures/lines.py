"""Lines over the steps of a stage, which many pictures are."""

from collections.abc import Mapping, Sequence
from typing import Any

from whet.report.pictures.figure import PALETTE, Figure, Row, thinned

__all__ = ["lines"]


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
