"""Any reward over a file of completions, row by row; what cannot be scored says why."""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.files import write_json_lines
from whet.rewards.combine import call_reward, load_reward

__all__ = ["ScoreSummary", "score_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """How many rows there were, how many got a score, and their mean (None when none did)."""

    rows: int
    scored: int
    mean: float | None

    @property
    def mean_text(self) -> str:
        return "none" if self.mean is None else f"{self.mean:.4f}"


def score_file(file: Path, rewards: Sequence[str], out: Path) -> ScoreSummary:
    """Write one line per row of `file`, in order: `score`, `parts`, `unscorable`, `seconds`.

    A row needs `completion`; its other columns go to the rewards. Several rewards are summed with weight 1.
    """
    functions = {name: load_reward(name) for name in rewards}
    lines = [_scored(row, functions) for row in _rows(file)]
    if not lines:
        raise DataError(f"{file}: no rows")
    write_json_lines(out, lines)
    values = [line["score"] for line in lines if line["score"] is not None]
    return ScoreSummary(rows=len(lines), scored=len(values), mean=math.fsum(values) / len(values) if values else None)


def _rows(file: Path) -> Iterator[Mapping[str, Any] | str]:
    """Rows as objects; a row that is none, as the reason."""
    if not file.is_file():
        raise DataError(f"{file}: no such file; a JSONL file of rows with a `completion` was expected")
    for number, raw in enumerate(file.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")):
        if not raw.strip():
            continue
        where = f"{file.name}, line {number + 1}"
        try:
            row = json.loads(raw.decode("utf-8"))
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            yield f"{where}: not valid JSON ({error})"
            continue
        if not isinstance(row, dict):
            yield f"{where}: not an object"
        elif not isinstance(row.get("completion"), str):
            yield f"{where}, field completion: text was expected"
        else:
            yield row


def _scored(row: Mapping[str, Any] | str, functions: Mapping[str, Any]) -> dict[str, Any]:
    began = time.perf_counter()
    if isinstance(row, str):
        return {"score": None, "parts": {}, "unscorable": row, "seconds": 0.0}
    columns = {key: [value] for key, value in row.items() if key not in ("completion", "prompt", "completion_ids")}
    columns.setdefault("answer", [None])
    if columns["answer"][0] is not None:
        columns["answer"] = [str(columns["answer"][0])]
    parts: dict[str, float | None] = {}
    reasons = []
    for name, reward in functions.items():
        verdict = call_reward(reward, [str(row.get("prompt", ""))], [row["completion"]], [()], columns)[0]
        parts[name] = None if isinstance(verdict, str) else verdict
        if isinstance(verdict, str):
            reasons.append(f"{name}: {verdict}")
    applying = [value for value in parts.values() if value is not None]
    if not applying and not reasons:
        reasons.append("no reward applies to this row")
    return {
        "score": None if reasons else math.fsum(applying),
        "parts": parts,
        "unscorable": "; ".join(reasons) or None,
        "seconds": round(time.perf_counter() - began, 6),
    }
