"""RL: one group, from rewards to advantages."""

from whet.report.pictures.figure import PALETTE, Figure
from whet.report.run_files import RunFiles

__all__ = ["group_bars"]


def group_bars(files: RunFiles, *, place: int) -> Figure | None:
    """The rewards of one kept group (of the first, a middle or the last step) and the advantages that follow."""
    if place >= len(files.rollouts):
        return None
    rollouts = files.rollouts[place][1]
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
