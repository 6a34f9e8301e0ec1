"""The files of a run folder that pictures and page are made from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from whet.core.digests import file_digest
from whet.core.errors import DataError, first_line
from whet.core.files import read_json, read_json_lines
from whet.core.recipe import Stage
from whet.core.recipe.text import read_yaml
from whet.core.stage_record import StageRecord

__all__ = ["MAIN_SETS", "SLICES", "RunFiles", "main_set"]

SLICES = ("in_distribution", "long_tail", "out_of_distribution")
MAIN_SETS = (*SLICES, "final", "ft_test", "rl_test")
_STAGES: tuple[Stage, ...] = ("data", "sft", "reward_model", "rl", "evaluation")
_Value = TypeVar("_Value")
# What a file can raise that was cut, edited or never one of ours.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """What a run folder holds; None or empty where a stage has not run, or where its file is damaged.

    `damaged` has a line for each file that is there and cannot be shown, or is not what its stage wrote.
    """

    name: str
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    manifest: Mapping[str, Any] | None
    complete: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Sequence[Mapping[str, Any]]]
    example: Mapping[str, Any] | None
    rollouts: Sequence[tuple[int, Sequence[Mapping[str, Any]]]]
    results: Mapping[str, Any] | None
    damaged: Sequence[str] = ()

    @classmethod
    def read(cls, run: Path) -> "RunFiles":
        reader = _Reader(run)
        complete: dict[str, Mapping[str, Any]] = {stage: done for stage in _STAGES if (done := reader.complete(stage))}
        recipe = reader.read("resolved.yaml", _settings) or {}
        metrics = {stage: reader.read(f"{stage}/metrics.jsonl", _rows) for stage in ("sft", "reward_model", "rl")}
        return cls(
            name=str(recipe.get("name", run.name)),
            recipe=recipe,
            environment=reader.read("environment.json", _object) or {},
            manifest=reader.read("data/manifest.json", _object),
            complete=complete,
            metrics={stage: rows for stage, rows in metrics.items() if rows is not None},
            example=reader.read("sft/example.json", partial(_object, needs=("tokens",))),
            rollouts=_some_rollouts(reader),
            results=reader.read("evaluation/results.json", partial(_object, needs=("stages", "comparisons"))),
            damaged=tuple(reader.damaged),
        )


class _Reader:
    """Reads the files of a run one by one; what is damaged is named and counts as not there."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.damaged: list[str] = []
        self._written: dict[str, str] = {}

    def complete(self, stage: Stage) -> Mapping[str, Any] | None:
        """The record of a finished stage, whose digests the stage's other files must have."""
        try:
            done = StageRecord(self.run, stage).complete()
        except _DAMAGE as error:
            self._tell(f"{stage}/complete.json", error)
            return None
        self._written |= (done or {}).get("outputs", {})
        return done

    def read(self, name: str, understand: Callable[[Path], _Value]) -> _Value | None:
        path = self.run / name
        try:
            if not path.is_file():
                if name in self._written:
                    self.damaged.append(f"{name} is gone")
                return None
            if file_digest(path) != self._written.get(name, file_digest(path)):
                self.damaged.append(f"{name} is not what {name.partition('/')[0]} wrote")
                return None
            return understand(path)
        except _DAMAGE as error:
            self._tell(name, error)
            return None

    def _tell(self, name: str, error: Exception) -> None:
        cause = first_line(error).removeprefix(f"{self.run / name}").removeprefix(": ")
        self.damaged.append(f"{name} cannot be read ({type(error).__name__}: {cause})")


def _object(path: Path, *, needs: Sequence[str] = ()) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise DataError(f"a {type(value).__name__}, where an object was expected")
    missing = [key for key in needs if key not in value]
    if missing:
        raise DataError(f"has no {missing[0]!r}")
    return value


def _rows(path: Path) -> list[dict[str, Any]]:
    """Lines of steps; a last one that is cut off is left out, if it is the beginning of one."""
    rows = list(read_json_lines(path))
    rest = path.read_bytes().rpartition(b"\n")[2]
    if not all(isinstance(row, dict) and "step" in row for row in rows) or not (rest + b"{").startswith(b"{"):
        raise DataError("a line that is not one of a step")
    return rows


def _settings(path: Path) -> dict[str, Any]:
    return read_yaml(path.read_text(encoding="utf-8"), path.name)[0]


def _some_rollouts(reader: _Reader) -> list[tuple[int, list[Mapping[str, Any]]]]:
    """The most telling group (largest spread of rewards) of the first, a middle and the last step."""
    names = [f"rl/rollouts/{file.name}" for file in sorted((reader.run / "rl" / "rollouts").glob("step-*.jsonl"))]
    chosen = [names[place] for place in sorted({0, len(names) // 2, len(names) - 1})] if names else []
    found = [reader.read(name, _most_telling) for name in chosen]
    return [group for group in found if group is not None]


def _most_telling(path: Path) -> tuple[int, list[Mapping[str, Any]]]:
    """Such a file is written at once, so that none ends in the middle of a line."""
    if not path.read_bytes().endswith(b"\n"):
        raise DataError("cut off")
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in _rows(path):
        groups.setdefault(row["prompt_id"], []).append(row)
    telling = max(groups.values(), key=lambda group: sum(abs(row["advantage"]) for row in group))
    return telling[0]["step"], sorted(telling, key=lambda row: -(row["reward"] or 0))


def main_set(results: Mapping[str, Any]) -> str:
    return "in_distribution" if "in_distribution" in results["stages"]["base"] else "final"
