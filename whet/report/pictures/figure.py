"""What a picture gives: a Vega-Lite 6 specification, the data behind it, and how to read it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.files import write_text

__all__ = ["PALETTE", "STAGE_COLOURS", "STAGE_NAMES", "Figure", "Row", "thinned"]

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
