"""Scores split by what a model may have seen: the prompts that stand in named training data, and the others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from whet.core.recipe import DataSettings
from whet.core.runlog import Progress
from whet.data.contamination.benchmark import KINDS
from whet.data.contamination.seen import seen_prompts
from whet.evaluation.items import Item, rate_of
from whet.evaluation.tasks.task import Task

__all__ = ["contamination_lines", "mark_seen", "rates_apart"]


def mark_seen(
    items: Sequence[Item], tasks: Sequence[Task], names: Sequence[str], settings: DataSettings, progress: Progress
) -> tuple[list[Item], dict[str, Any]]:
    """Every item with `contamination`, the row that its prompt resembles most or None, and a summary over prompts."""
    prompts = {prompt.id: prompt for task in tasks for prompt in task.prompts}
    seen = seen_prompts(list(prompts.values()), names, settings)
    kinds = Counter(found.kind for found in seen.by_id.values())
    progress.say(f"evaluation: {len(seen.by_id)} of {len(prompts)} prompts are in {seen.rows} rows of training data")
    if seen.refused:
        progress.say(f"evaluation: {seen.refused} rows of that data could not be read and were not compared")
    summary = {
        "prompts": len(prompts),
        "contaminated": len(seen.by_id),
        "kinds": {kind: kinds[kind] for kind in KINDS if kinds[kind]},
        "rows": seen.rows,
        "refused": seen.refused,
    }
    found = {id_: where.as_json() for id_, where in seen.by_id.items()}
    return [{**item, "contamination": found.get(item["prompt_id"])} for item in items], summary


def rates_apart(items: Sequence[Item], *, confidence: float) -> dict[str, Any]:
    """`clean` and `contaminated`: each as `rate_of` says."""
    sides: dict[str, list[Item]] = {"clean": [], "contaminated": []}
    for item in items:
        sides["contaminated" if item["contamination"] else "clean"].append(item)
    return {side: rate_of(of_side, confidence=confidence) for side, of_side in sides.items()}


def contamination_lines(results: Mapping[str, Any], name: str) -> list[str]:
    """For each stage the accuracy on prompts that were seen and on the others; nothing when nobody asked."""
    if "contamination" not in results:
        return []
    lines = []
    for stage, sets in results["stages"].items():
        apart = sets.get(name, {}).get("by_contamination")
        if apart:
            told = ", ".join(f"{side} {_told(rate)}" for side, rate in apart.items())
            lines.append(f"{stage:>5}: by contamination ({name.replace('_', ' ')}): {told}")
    return lines


def _told(rate: Mapping[str, Any]) -> str:
    if not rate["n"]:
        return "no prompt"
    return f"{rate['accuracy']:.1%} of {rate['n']} ({rate['low']:.1%} to {rate['high']:.1%})"
