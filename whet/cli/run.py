# ruff: noqa: T201  (this is the command line)
"""The verbs that train and evaluate: a recipe, or one stage of it and what that needs."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from whet.cli.app import PLAIN, RunOptions, Settings, app, existing_run, fail, read_recipe
from whet.cli.flags import settings_help
from whet.core.recipe import STAGES, Stage
from whet.core.recipe.file import LoadedRecipe
from whet.core.runlog import printable

__all__ = ["evaluate", "report", "reward_model", "rl", "run_", "sft"]

_OWN = ("--run", "--dry-run", "--quiet", "--json")


def _run(loaded: LoadedRecipe, options: RunOptions, last: Stage | None) -> Path | None:
    """The stages up to `last`; the run's folder, or None for a dry run."""
    from whet.core.runfolder import RunFolder, resolved_yaml
    from whet.preflight.checks import require_ready

    path = options.run or Path("runs") / loaded.recipe.name
    require_ready(loaded, path)
    settings = loaded.recipe.model_dump(mode="json")
    if options.dry_run:
        print(json.dumps(settings) if options.json else resolved_yaml(settings, loaded.origins).removesuffix("\n"))
        return None
    with RunFolder(path, loaded.recipe, origins=loaded.origins) as folder:
        try:
            from whet import pipeline

            pipeline.run(
                loaded.recipe,
                folder,
                stages=loaded.recipe.stages(last),
                quiet=options.quiet,
                recipe_folder=loaded.folder,
            )
        except KeyboardInterrupt:
            fail(f"interrupted; {_saved(folder.path)}; the same command goes on from there", 130)
    return path


def _saved(run: Path) -> str:
    """What a run has that a next start need not do again."""
    done = [stage for stage in STAGES if (run / stage / "complete.json").exists()]
    begun = {stage: sorted((run / stage / "checkpoints").glob("step-*")) for stage in STAGES if stage not in done}
    steps = [f"{stage} up to step {int(found[-1].name[5:])}" for stage, found in begun.items() if found]
    return f"{run} has {', '.join([*done, *steps]) or 'nothing complete yet'}"


@app.command(
    name="run",
    usage="whet run RECIPE [--run DIR] [--SETTING VALUE ...]",
    help_format="plaintext",
    help_epilogue=settings_help(),
)
def run_(*recipe: Settings, options: RunOptions = PLAIN) -> None:
    """Every stage that the recipe names, in order; what is complete is not done again."""
    loaded = read_recipe(recipe, needs_file=True, own=_OWN)
    path = _run(loaded, options, None)
    if path is not None:
        _say_results(path, as_json=options.json)


def _say_results(path: Path, *, as_json: bool) -> None:
    from whet.core.files import read_json

    found = path / "evaluation" / "results.json"
    results = read_json(found) if found.exists() else None
    if as_json:
        print(json.dumps({"run": str(path), "results": results}))
        return
    if results is not None:
        from whet.evaluation.run import result_lines

        print("\n".join(result_lines(results)))
    if (path / "report.html").exists():
        print(f"report: {path / 'report.html'}")


def _stage(arguments: Sequence[str], options: RunOptions, stage: Stage, section: str) -> None:
    loaded = read_recipe(arguments, own=_OWN, defaults={section: {}})
    path = _run(loaded, options, stage)
    if path is not None and options.json:
        from whet.core.files import read_json

        print(json.dumps({"run": str(path), stage: read_json(path / stage / "complete.json")}))
    elif path is not None:
        if stage == "evaluation":
            _say_results(path, as_json=False)
        print(f"{stage}: {path / stage}")


@app.command(
    usage="whet sft [RECIPE] [--run DIR] [--SETTING VALUE ...]",
    help_format="plaintext",
    help_epilogue=settings_help("template", "data", "sft"),
)
def sft(*recipe: Settings, options: RunOptions = PLAIN) -> None:
    """Supervised fine-tuning, and the data it needs if that is not ready."""
    _stage(recipe, options, "sft", "sft")


@app.command(
    name="reward-model",
    usage="whet reward-model [RECIPE] [--run DIR] [--SETTING VALUE ...]",
    help_format="plaintext",
    help_epilogue=settings_help("template", "data", "sft", "reward_model"),
)
def reward_model(*recipe: Settings, options: RunOptions = PLAIN) -> None:
    """A reward model from preferences, and what it starts from if that is not ready."""
    _stage(recipe, options, "reward_model", "reward_model")


@app.command(
    usage="whet rl [RECIPE] [--run DIR] [--SETTING VALUE ...]",
    help_format="plaintext",
    help_epilogue=settings_help("template", "data", "sft", "reward_model", "rl"),
)
def rl(*recipe: Settings, options: RunOptions = PLAIN) -> None:
    """Reinforcement learning, and the stages that the recipe names before it."""
    _stage(recipe, options, "rl", "rl")


@app.command(
    usage="whet evaluate [RECIPE] [--run DIR] [--SETTING VALUE ...]",
    help_format="plaintext",
    help_epilogue=settings_help("template", "data", "evaluate"),
)
def evaluate(*recipe: Settings, options: RunOptions = PLAIN) -> None:
    """Base, SFT and RL on the same unseen prompts, with intervals and paired comparisons."""
    _stage(recipe, options, "evaluation", "evaluate")


@app.command
def report(run: Path, /) -> None:
    """Draw a run's report again from its folder; what of it is damaged is named, and left out."""
    from whet.report.page import write_report
    from whet.report.run_files import RunFiles

    page = write_report(existing_run(run))
    for line in RunFiles.read(run).damaged:
        print(f"report: {printable(line)}", file=sys.stderr)
    print(page)
