# ruff: noqa: T201  (this is the command line)
"""What every verb shares: the app, the options, and how words become a recipe."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import cyclopts

from whet import __version__
from whet.cli.flags import split_words
from whet.core.errors import RecipeError, RunFolderError
from whet.core.recipe.file import LoadedRecipe, load_recipe

__all__ = [
    "PLAIN",
    "AtLeastOne",
    "Json",
    "Quiet",
    "RunOptions",
    "Settings",
    "StageName",
    "app",
    "data_app",
    "existing_run",
    "fail",
    "read_recipe",
    "tokens_app",
]

Settings = Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True, show=False)]
Quiet = Annotated[bool, cyclopts.Parameter(negative="", help="say nothing but errors and the result")]
Json = Annotated[bool, cyclopts.Parameter(name="--json", negative="", help="print the result as JSON")]
AtLeastOne = Annotated[int, cyclopts.Parameter(validator=cyclopts.validators.Number(gte=1))]
StageName = Literal["base", "sft", "rl"]


@cyclopts.Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run is done; what it does stands in the recipe."""

    run: Annotated[Path | None, cyclopts.Parameter(help="run folder; runs/NAME when not given")] = None
    dry_run: Annotated[bool, cyclopts.Parameter(negative="", help="print the recipe, resolved, and stop")] = False
    quiet: Quiet = False
    json: Json = False


PLAIN = RunOptions()

app = cyclopts.App(
    name="whet",
    help="From a base language model and data to a post-trained, evaluated model.",
    help_epilogue="Any setting of the recipe is a flag: --sft.learning-rate 1e-5. `whet settings` lists them all.",
    version=__version__,
    version_flags=["--version"],
)
data_app = cyclopts.App(name="data", help="Split data without leaks, prove it, and look at it.")
tokens_app = cyclopts.App(name="tokens", help="See what the model reads.")
app.command(data_app)
app.command(tokens_app)


def fail(text: str, code: int) -> None:
    print(text, file=sys.stderr)
    sys.exit(code)


def read_recipe(
    arguments: Sequence[str],
    *,
    needs_file: bool = False,
    own: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> LoadedRecipe:
    """The recipe file (the first argument that is no flag) with the dotted flags behind it."""
    path, settings = split_words(arguments, own=own)
    if path is None and needs_file:
        raise RecipeError("a recipe file was expected first: whet run RECIPE; `whet init demo` writes one")
    return load_recipe(path, overrides={**(defaults or {}), **settings})


def existing_run(path: Path) -> Path:
    if not (path / "resolved.yaml").is_file():
        near = sorted(folder.parent.name for folder in Path("runs").glob("*/resolved.yaml"))
        others = f"; in runs/: {', '.join(near)}" if near else ""
        raise RunFolderError(f"{path}: no run folder{others}")
    return path
