# ruff: noqa: T201  (this is the command line)
"""The verbs before a run: a recipe to start from, its settings, what it needs, and whether this machine is ready."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import cyclopts

from whet.cli.app import Json, Settings, app, read_recipe
from whet.core.errors import RecipeError
from whet.core.recipe.file import field_table, json_schema

__all__ = ["doctor", "init", "plan", "settings"]


@app.command
def doctor() -> None:
    """Whether this machine is ready: versions, processor, memory, disk, GPU, and a real step of training."""
    from whet.verbs.doctor import examine

    sys.exit(0 if examine() else 1)


@app.command(usage="whet plan [RECIPE] [--SETTING VALUE ...]")
def plan(*recipe: Settings, as_json: Json = False) -> None:
    """Rows, steps, and memory of a run before it is started; no weights are loaded."""
    loaded = read_recipe(recipe, own=["--json"])
    from whet.preflight.checks import require_ready
    from whet.verbs.plan import plan as plan_

    require_ready(loaded)
    print(plan_(loaded.recipe, as_json=as_json))


@app.command
def init(
    kind: Literal["demo", "sft", "reward-model", "grpo"],
    /,
    *,
    out: Path | None = None,
    to_terminal: Annotated[bool, cyclopts.Parameter(name="--print", negative="")] = False,
) -> None:
    """Write a commented recipe to start from.

    Parameters
    ----------
    out
        KIND.yaml when not given; a file that exists is never overwritten.
    to_terminal
        Print it instead.
    """
    from whet.verbs.starters import starter

    text, path = starter(kind), out or Path(f"{kind}.yaml")
    if to_terminal:
        print(text, end="")
        return
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise RecipeError(f"{path} exists; choose another name with --out") from None
    except OSError as error:
        raise RecipeError(f"{path}: cannot be written ({error.strerror})") from error
    print(f"{path}: edit it, then: whet run {path}")


@app.command
def settings(*, as_json: Annotated[bool, cyclopts.Parameter(name="--json", negative="")] = False) -> None:
    """Every setting with its default and what it does, as a Markdown table.

    Parameters
    ----------
    as_json
        As a JSON Schema, with which editors complete and check a recipe.
    """
    print(json.dumps(json_schema(), indent=2) if as_json else field_table().removesuffix("\n"))
