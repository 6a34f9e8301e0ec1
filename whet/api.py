"""The same verbs in Python, with the recipe's own names: `whet.sft(model=..., data=..., learning_rate=1e-4)`."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.core.errors import RecipeError, did_you_mean
from whet.core.files import read_json, read_json_lines
from whet.core.recipe import Stage
from whet.core.recipe.file import known_keys, load_recipe
from whet.core.runfolder import RunFolder, flatten
from whet.preflight.checks import require_ready

__all__ = ["Run", "evaluate", "reward_model", "rl", "run", "score", "sft"]

# Keywords of a single stage that stand outside its section of the recipe.
_COMMON = ("name", "seed", "model", "device", "threads")


class Run:
    """What a run left: read from its folder each time, so it is never older than the files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        """`run.metrics["sft"]`: one dict per step, as in metrics.jsonl."""
        found = {stage: self.path / stage / "metrics.jsonl" for stage in ("sft", "reward_model", "rl")}
        return {stage: list(read_json_lines(path)) for stage, path in found.items() if path.is_file()}

    @property
    def results(self) -> dict[str, Any] | None:
        """The final evaluation, None while there is none."""
        path = self.path / "evaluation" / "results.json"
        return dict(read_json(path)) if path.is_file() else None

    @property
    def figures(self) -> Mapping[str, Any]:
        """The report's pictures by name; each shows itself in a notebook."""
        from whet.report.pictures import run_figures
        from whet.report.run_files import RunFiles

        return run_figures(RunFiles.read(self.path))

    @property
    def report(self) -> Path:
        """The HTML page, drawn now."""
        from whet.report.page import write_report

        return write_report(self.path)

    def model(self, stage: str = "rl") -> Path:
        """The folder of a stage's weights, which `from_pretrained` reads."""
        return self.path / stage / "model"

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        rows = []
        for stage, sets in ((self.results or {}).get("stages") or {}).items():
            name = "in_distribution" if "in_distribution" in sets else "final"
            rate = sets.get(name)
            if rate is not None and rate["accuracy"] is not None:
                rows.append(
                    f"<tr><td>{html.escape(stage)}</td><td>{rate['accuracy']:.1%}</td>"
                    f"<td>{rate['low']:.1%} to {rate['high']:.1%}</td></tr>"
                )
        head = f"<b>{html.escape(str(self.path))}</b>"
        return f"{head}<table><tr><th>stage</th><th>accuracy</th><th>interval</th></tr>{''.join(rows)}</table>"


def run(
    recipe: str | Path | None = None, *, run: str | Path | None = None, quiet: bool = False, **settings: Any
) -> Run:
    """Every stage that the recipe names: `whet.run("demo.yaml", seed=3, sft={"learning_rate": 1e-3})`."""
    return _go(recipe, None, settings, run, quiet=quiet)


def sft(
    recipe: str | Path | None = None, *, run: str | Path | None = None, quiet: bool = False, **settings: Any
) -> Run:
    """Supervised fine-tuning: `whet.sft(model="whet:tiny", data="rows.jsonl", learning_rate=1e-3)`."""
    return _go(recipe, "sft", _in_section("sft", settings), run, quiet=quiet)


def reward_model(
    recipe: str | Path | None = None, *, run: str | Path | None = None, quiet: bool = False, **settings: Any
) -> Run:
    """A reward model from preferences: `whet.reward_model(data="pairs.jsonl")`."""
    return _go(recipe, "reward_model", _in_section("reward_model", settings), run, quiet=quiet)


def rl(recipe: str | Path | None = None, *, run: str | Path | None = None, quiet: bool = False, **settings: Any) -> Run:
    """Reinforcement learning: `whet.rl(model="runs/a/sft/model", data="prompts.jsonl", steps=100)`."""
    return _go(recipe, "rl", _in_section("rl", settings), run, quiet=quiet)


def evaluate(
    recipe: str | Path | None = None, *, run: str | Path | None = None, quiet: bool = False, **settings: Any
) -> Run:
    """The final evaluation of the stages that the recipe names."""
    return _go(recipe, "evaluation", _in_section("evaluate", settings), run, quiet=quiet)


def score(file: str | Path, *, reward: str | Sequence[str], out: str | Path) -> list[dict[str, Any]]:
    """Any reward over a file of completions: a dict per row, in order, which `out` holds too.

    `whet.score("completions.jsonl", reward=["answer", "format"], out="scores.jsonl")`
    """
    from whet.verbs.score_file import score_file

    score_file(Path(file), [reward] if isinstance(reward, str) else list(reward), Path(out))
    return list(read_json_lines(Path(out)))


def _in_section(section: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Bare names belong to the stage's section; `data` may be a source's name."""
    known, flat = known_keys(), dict[str, Any]()
    placed: dict[str, dict[str, Any]] = {section: {}}
    for name, value in settings.items():
        if name in _COMMON or name in known:
            flat[name] = value
        elif f"{section}.{name}" in known:
            placed[section][name] = value
        else:
            names = [key.removeprefix(f"{section}.") for key in known if key.startswith(f"{section}.")]
            raise RecipeError(f"unknown keyword {name!r}{did_you_mean(name, [*names, *_COMMON, 'data'])}")
    return flat | (placed if section not in flat else {})


def _without_paths(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _go(
    recipe: str | Path | None,
    last: Stage | None,
    settings: Mapping[str, Any],
    folder: str | Path | None,
    *,
    quiet: bool,
) -> Run:
    given = dict(settings)
    if isinstance(given.get("data"), str | Path | list | tuple):
        given["data"] = {"source": given["data"]}
    overrides = {key: _without_paths(value) for key, value in flatten(given).items()}
    loaded = load_recipe(None if recipe is None else Path(recipe), overrides=overrides)
    path = Path(folder) if folder is not None else Path("runs") / loaded.recipe.name
    require_ready(loaded, path)
    with RunFolder(path, loaded.recipe, origins=loaded.origins) as opened:
        from whet import pipeline

        stages = loaded.recipe.stages(last)
        pipeline.run(loaded.recipe, opened, stages=stages, quiet=quiet, recipe_folder=loaded.folder)
    return Run(path)
