"""The files of a run folder that pictures and page are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from whet.core.files import read_json, read_json_lines

__all__ = ["MAIN_SETS", "SLICES", "RunFiles", "main_set"]

SLICES = ("in_distribution", "long_tail", "out_of_distribution")
MAIN_SETS = (*SLICES, "final", "ft_test", "rl_test")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """What a run folder holds; None or empty where a stage has not run."""

    name: str
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    manifest: Mapping[str, Any] | None
    complete: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Sequence[Mapping[str, Any]]]
    example: Mapping[str, Any] | None
    rollouts: Sequence[tuple[int, Sequence[Mapping[str, Any]]]]
    results: Mapping[str, Any] | None

    @classmethod
    def read(cls, run: Path) -> "RunFiles":
        def optional(path: Path) -> Any:
            return read_json(path) if path.is_file() else None

        stages = ("data", "sft", "reward_model", "rl", "evaluation")
        resolved = run / "resolved.yaml"
        recipe = yaml.safe_load(resolved.read_text(encoding="utf-8")) if resolved.is_file() else {}
        return cls(
            name=recipe.get("name", run.name),
            recipe=recipe,
            environment=optional(run / "environment.json") or {},
            manifest=optional(run / "data" / "manifest.json"),
            complete={stage: done for stage in stages if (done := optional(run / stage / "complete.json"))},
            metrics={
                stage: list(read_json_lines(path))
                for stage in ("sft", "reward_model", "rl")
                if (path := run / stage / "metrics.jsonl").is_file()
            },
            example=optional(run / "sft" / "example.json"),
            rollouts=_some_rollouts(run / "rl" / "rollouts"),
            results=optional(run / "evaluation" / "results.json"),
        )


def _some_rollouts(folder: Path) -> list[tuple[int, list[Mapping[str, Any]]]]:
    """The most telling group (largest spread of rewards) of the first, a middle and the last step."""
    files = sorted(folder.glob("step-*.jsonl"))
    chosen = [files[place] for place in sorted({0, len(files) // 2, len(files) - 1})] if files else []
    found = []
    for file in chosen:
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in read_json_lines(file):
            groups.setdefault(row["prompt_id"], []).append(row)
        telling = max(groups.values(), key=lambda group: sum(abs(row["advantage"]) for row in group))
        found.append((telling[0]["step"], sorted(telling, key=lambda row: -(row["reward"] or 0))))
    return found


def main_set(results: Mapping[str, Any]) -> str:
    return "in_distribution" if "in_distribution" in results["stages"]["base"] else "final"
