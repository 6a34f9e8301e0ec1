"""Whether each stage of a run has the rows that it needs, before the first of them trains."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.recipe import Recipe, Stage
from whet.preflight.reads import PURPOSES_READ

__all__ = ["refuse_empty"]

_TRAINS_ON: Mapping[Stage, str] = {"sft": "ft_train", "reward_model": "rm_train", "rl": "rl_train"}
_ASKED = ("final", "ft_test", "rl_test")


def refuse_empty(recipe: Recipe, stages: Sequence[Stage], prepared: Mapping[str, Any], run: Path) -> None:
    """`DataError` when a purpose that one of the stages needs has no row.

    `prepared` is the record of the data stage in the folder `run`. Needed is what a stage trains on, and whatever else
    it reads for which `data.sizes` ask for rows; evaluation needs prompts in one of its purposes.
    """
    problems = list(_problems(recipe, stages, prepared["rows"], prepared.get("requested", {})))
    if problems:
        causes = "".join(f"; {line.replace(' DIR', f' {run}')}" for line in prepared.get("shortfalls", ())[:1])
        raise DataError(f"{', '.join(problems)}{causes}")


def _problems(
    recipe: Recipe, stages: Sequence[Stage], rows: Mapping[str, int], requested: Mapping[str, int]
) -> Iterator[str]:
    for stage in stages:
        purposes = [
            name for name in PURPOSES_READ.get(stage, ()) if name != "rm_test" or recipe.reward_model is not None
        ]
        needed = [name for name in purposes if requested.get(name) or name == _TRAINS_ON.get(stage)]
        empty = [name for name in needed if not rows[name]]
        if empty:
            yield f"{stage} needs {' and '.join(empty)}, which {'has' if len(empty) == 1 else 'have'} no row"
        elif stage == "evaluation" and not any(rows[name] for name in _ASKED):
            yield f"evaluation needs prompts, and {', '.join(_ASKED)} have none"
