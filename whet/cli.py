"""The command line: words in, recipe out, one function called. No logic, and no torch before the recipe is valid.

Exit codes: 0 done, 1 the run or the proof failed, 2 the command or its input is wrong, 130 interrupted.
"""

import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import cyclopts

from whet.core.errors import RecipeError, RunFolderError, TrainingStoppedError, WhetError
from whet.core.recipe import Recipe, Stage
from whet.core.recipe_file import LoadedRecipe, field_table, load_recipe

__all__ = ["app", "main"]

Settings = Annotated[str, cyclopts.Parameter(allow_leading_hyphen=True, show=False)]
RunOption = Annotated[Path | None, cyclopts.Parameter(name="--run", help="run folder; runs/NAME when not given")]
Quiet = Annotated[bool, cyclopts.Parameter(negative="", help="say nothing but errors and the result")]
Json = Annotated[bool, cyclopts.Parameter(name="--json", negative="", help="print the result as JSON")]
StageName = Literal["base", "sft", "rl"]

app = cyclopts.App(
    name="whet",
    help="From a base language model and data to a post-trained, evaluated model.",
    help_epilogue="Any setting of the recipe is a flag: --sft.learning-rate 1e-5. `whet settings` lists them all.",
    version_flags=["--version"],
)
data_app = cyclopts.App(name="data", help="Split data without leaks, prove it, and look at it.")
tokens_app = cyclopts.App(name="tokens", help="See what the model reads.")
app.command(data_app)
app.command(tokens_app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `whet` command."""
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except TrainingStoppedError as error:
        _fail(str(error), 1)
    except WhetError as error:
        _fail(str(error), 2)
    except cyclopts.CycloptsError as error:
        _fail(f"whet: {str(error).strip()} (see whet --help)", 2)
    except KeyboardInterrupt:
        _fail("interrupted; what was saved stays saved, and the same command goes on from there", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(text: str, code: int) -> None:
    print(text, file=sys.stderr)
    sys.exit(code)


def _recipe(arguments: Sequence[str], *, needs_file: bool = False) -> LoadedRecipe:
    """The recipe file (the first argument that is no flag) with the dotted flags behind it."""
    path: Path | None = None
    overrides: dict[str, str] = {}
    words = list(arguments)
    if words and not words[0].startswith("--"):
        path = Path(words.pop(0))
    elif needs_file:
        raise RecipeError("a recipe file was expected first: whet run RECIPE; `whet init demo` writes one")
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise RecipeError(f"unexpected argument {word!r}; settings are given as --name value")
        name, equals, value = word.removeprefix("--").partition("=")
        if not equals:
            if not words or words[0].startswith("--"):
                raise RecipeError(f"--{name}: a value was expected behind it")
            value = words.pop(0)
        overrides[name.replace("-", "_")] = value
    return load_recipe(path, overrides=overrides)


def _run(loaded: LoadedRecipe, run: Path | None, last: Stage | None, *, quiet: bool) -> Path:
    from whet.core.runfolder import RunFolder

    stages = loaded.recipe.stages(last)
    path = run or Path("runs") / loaded.recipe.name
    with RunFolder(path, loaded.recipe, origins=loaded.origins) as folder:
        from whet import pipeline

        pipeline.run(loaded.recipe, folder, stages=stages, quiet=quiet)
    return path


@app.command(name="run", usage="whet run RECIPE [--run DIR] [--SETTING VALUE ...]")
def run_(
    *recipe: Settings, run: RunOption = None, dry_run: bool = False, quiet: Quiet = False, as_json: Json = False
) -> None:
    """Every stage that the recipe names, in order; what is complete is not done again."""
    loaded = _recipe(recipe, needs_file=True)
    if dry_run:
        from whet.core.runfolder import resolved_yaml

        print(resolved_yaml(loaded.recipe.model_dump(mode="json"), loaded.origins), end="")
        return
    path = _run(loaded, run, None, quiet=quiet)
    _say_results(path, as_json=as_json)


def _say_results(path: Path, *, as_json: bool) -> None:
    from whet.core.files import read_json

    results = path / "evaluation" / "results.json"
    if as_json:
        print(json.dumps({"run": str(path), "results": read_json(results) if results.exists() else None}))
        return
    if results.exists():
        from whet.evaluate.run import result_lines

        print("\n".join(result_lines(read_json(results))))
    if (path / "report.html").exists():
        print(f"report: {path / 'report.html'}")


def _stage(arguments: Sequence[str], run: Path | None, stage: Stage, *, quiet: bool) -> None:
    loaded = _recipe(arguments)
    section = {"evaluation": "evaluate"}.get(stage, stage)
    if getattr(loaded.recipe, section, True) is None:
        recipe = Recipe.model_validate({**loaded.recipe.model_dump(exclude_unset=True), section: {}})
        loaded = LoadedRecipe(recipe=recipe, origins=loaded.origins)
    path = _run(loaded, run, stage, quiet=quiet)
    if stage == "evaluation":
        _say_results(path, as_json=False)
    print(f"{stage}: {path / stage}")


@app.command(usage="whet sft [RECIPE] [--run DIR] [--SETTING VALUE ...]")
def sft(*recipe: Settings, run: RunOption = None, quiet: Quiet = False) -> None:
    """Supervised fine-tuning, and the data it needs if that is not ready."""
    _stage(recipe, run, "sft", quiet=quiet)


@app.command(name="reward-model", usage="whet reward-model [RECIPE] [--run DIR] [--SETTING VALUE ...]")
def reward_model(*recipe: Settings, run: RunOption = None, quiet: Quiet = False) -> None:
    """A reward model from preferences, and what it starts from if that is not ready."""
    _stage(recipe, run, "reward_model", quiet=quiet)


@app.command(usage="whet rl [RECIPE] [--run DIR] [--SETTING VALUE ...]")
def rl(*recipe: Settings, run: RunOption = None, quiet: Quiet = False) -> None:
    """Reinforcement learning, and the stages that the recipe names before it."""
    _stage(recipe, run, "rl", quiet=quiet)


@app.command(usage="whet evaluate [RECIPE] [--run DIR] [--SETTING VALUE ...]")
def evaluate(*recipe: Settings, run: RunOption = None, quiet: Quiet = False) -> None:
    """Base, SFT and RL on the same unseen prompts, with intervals and paired comparisons."""
    _stage(recipe, run, "evaluation", quiet=quiet)


@app.command
def report(run: Path) -> None:
    """Draw a run's report again from its folder."""
    from whet.report.page import write_report

    print(write_report(_existing_run(run)))


def _existing_run(path: Path) -> Path:
    if not (path / "resolved.yaml").is_file():
        near = sorted(folder.parent.name for folder in Path("runs").glob("*/resolved.yaml"))
        others = f"; in runs/: {', '.join(near)}" if near else ""
        raise RunFolderError(f"{path}: no run folder{others}")
    return path


@app.command
def score(
    file: Path,
    *,
    reward: Annotated[list[str], cyclopts.Parameter(consume_multiple=False)],
    out: Path,
    quiet: Quiet = False,
) -> None:
    """Any reward over a file of completions: one JSON line per row, in order.

    Parameters
    ----------
    file
        Rows with `completion`, and what the reward needs (`prompt`, `answer`, ...).
    reward
        A name such as answer, closeness, format, or file.py:function; may be given several times.
    out
        Where the scores go.
    """
    from whet.rewards.score_file import score_file

    summary = score_file(file, reward, out)
    if not quiet:
        print(f"{summary.scored} of {summary.rows} rows scored, mean {summary.mean_text}; {out}")


@app.command
def chat(
    run: Path,
    *,
    stage: StageName | None = None,
    prompt: str | None = None,
    temperature: float = 0.0,
    max_completion_length: int = 256,
) -> None:
    """Talk to a run's model: the last stage it has, or the one named.

    Parameters
    ----------
    prompt
        Answer this once and stop, instead of asking on the terminal.
    temperature
        0 is greedy.
    """
    from whet.chat import chat as chat_

    chat_(
        _existing_run(run),
        stage=stage,
        prompt=prompt,
        temperature=temperature,
        max_completion_length=max_completion_length,
    )


@app.command
def doctor() -> None:
    """Whether this machine is ready: versions, processor, memory, disk, GPU, and a real step of training."""
    from whet.doctor import examine

    sys.exit(0 if examine() else 1)


@app.command(usage="whet plan [RECIPE] [--SETTING VALUE ...]")
def plan(*recipe: Settings, as_json: Json = False) -> None:
    """Rows, steps, and memory of a run before it is started; no weights are loaded."""
    from whet.plan import plan as plan_

    print(plan_(_recipe(recipe).recipe, as_json=as_json))


@app.command
def init(kind: Literal["demo", "sft", "reward-model", "grpo"], *, out: Path | None = None) -> None:
    """Write a commented recipe to start from."""
    from whet.starters import starter

    text, path = starter(kind), out or Path(f"{kind}.yaml")
    if path.exists():
        raise RecipeError(f"{path} exists; choose another name with --out")
    path.write_text(text, encoding="utf-8")
    print(f"{path}: edit it, then: whet run {path}")


@app.command
def settings() -> None:
    """Every setting with its default and what it does, as a Markdown table."""
    print(field_table(), end="")


@data_app.command(name="split", usage="whet data split SOURCE... --out DIR [--seed N] [--data.SETTING VALUE ...]")
def data_split(*source: Settings, out: Path, seed: int = 0, quiet: Quiet = False, as_json: Json = False) -> None:
    """Read the sources and write the eight purposes, the manifest and the rejected rows into a folder."""
    sources = list(itertools.takewhile(lambda word: not word.startswith("--"), source))
    if not sources:
        raise RecipeError("a source was expected: whet data split SOURCE... --out DIR")
    flags = list(source[len(sources) :])
    loaded = _recipe([*flags, "--data.source", json.dumps(sources), "--seed", str(seed)])
    from whet.data.prepare import prepare

    manifest = prepare(loaded.recipe.data, seed=seed, out=out)
    if as_json:
        print(json.dumps({key: value for key, value in manifest.items() if key not in ("rows", "names")}))
    elif not quiet:
        for found in manifest["sources"]:
            print(f"{found['name']}: {found['rows']} rows, read as {found['mapping']}")
        for purpose, entry in manifest["purposes"].items():
            print(f"  {purpose:<14}{entry['rows']:>8} rows {entry['clusters']:>8} clusters")
        print(f"refused {manifest['rejected']['rows']}, unused {manifest['unused']['rows']}; {out / 'manifest.json'}")


def _data_dir(folder: Path) -> Path:
    """The folder itself, or `data` inside it when it is a run."""
    return folder / "data" if (folder / "data" / "manifest.json").is_file() else folder


@data_app.command(name="check")
def data_check(folder: Path, *, quiet: Quiet = False) -> None:
    """Prove from the files alone that no cluster straddles and nothing was altered; exit code 1 when not."""
    from whet.data.check import check

    proof = check(_data_dir(folder))
    for problem in proof.problems[:20]:
        print(problem)
    if len(proof.problems) > 20:
        print(f"and {len(proof.problems) - 20} more")
    if not quiet:
        verdict = "proven" if proof.is_proven else "NOT proven"
        print(f"{verdict}: {proof.rows} rows in {proof.clusters} clusters, {len(proof.problems)} problems")
    sys.exit(0 if proof.is_proven else 1)


@data_app.command(name="view")
def data_view(folder: Path, *, purpose: str = "ft_train", cluster: str | None = None, count: int = 5) -> None:
    """Rows of a purpose, or of one cluster side by side with what differs marked.

    Parameters
    ----------
    folder
        A run, or what `whet data split` wrote.
    """
    from whet.data.view import as_text, cluster_view, purpose_view

    data_dir = _data_dir(folder)
    views = cluster_view(data_dir, cluster) if cluster else purpose_view(data_dir, purpose, count=count)
    print("\n\n".join(as_text(view) for view in views))


@data_app.command(name="trace")
def data_trace(folder: Path, wanted: str, *, count: int = 5) -> None:
    """Where a row and its near copies went, by the id of a row, prompt or cluster, or by text."""
    from whet.data.view import as_text, trace

    found = trace(_data_dir(folder), wanted, count=count)
    for row in found:
        print(f"[{row.kind} {row.score:.2f}]\n{as_text(row.view)}\n")
    if not found:
        print("not in this data, nor a near copy of it")
        sys.exit(1)


@data_app.command(name="contamination")
def data_contamination(train: Path, *, against: Path, as_json: Json = False) -> None:
    """The rows of a training file that a benchmark file holds too: the same, nearly, or as a template."""
    from whet.data.contamination import contamination

    hits = contamination(train, against)
    for hit in hits:
        line = {"row": hit.row, "kind": hit.kind, "score": round(hit.score, 4), "benchmark_row": hit.benchmark_row}
        print(
            json.dumps(line)
            if as_json
            else f"row {hit.row}: {hit.kind} {hit.score:.2f}, benchmark row {hit.benchmark_row}"
        )
    if not as_json:
        print(f"{len(hits)} contaminated rows")


@tokens_app.command(name="view", usage="whet tokens view TEXT [--model NAME] [--completion TEXT]")
def tokens_view(text: str, *, model: str = "whet:tiny", completion: str | None = None) -> None:
    """The tokens of a prompt, and with --completion which of them are trained."""
    from whet.core.recipe import TemplateSettings
    from whet.models.load import load_tokenizer
    from whet.tokens.inspect import show
    from whet.tokens.template import Template

    show(Template(load_tokenizer(model), TemplateSettings()), text, completion=completion)


if __name__ == "__main__":
    main()
