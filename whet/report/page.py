"""One self-contained HTML file about a run, drawn from the run folder alone; what has not run is left out."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from whet.core.files import read_json, read_json_lines, write_text
from whet.core.recipe import Recipe
from whet.core.records import PURPOSES
from whet.core.runfolder import flatten
from whet.report import figures
from whet.report.data import read_data_section
from whet.report.figures import STAGE_NAMES, Figure

__all__ = ["RunFiles", "run_figures", "write_report"]

_HERE = Path(__file__).parent
_SLICES = ("in_distribution", "long_tail", "out_of_distribution")
_SHOWN_SETS = (*_SLICES, "final", "ft_test", "rl_test")


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


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder, atomically, and return its path.

    The page loads nothing, runs nothing but its own bundled chart code (named by hash in its content security policy),
    and shows whatever a model wrote as text.
    """
    files = RunFiles.read(run)
    drawn = run_figures(files)
    charts = (_HERE / "vendor" / "charts.min.js").read_text(encoding="utf-8")
    starter = (_HERE / "page.js").read_text(encoding="utf-8")
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": _percent, "points": _points, "visible": _visible, "seconds": _seconds}
    page = environment.get_template("page.html.jinja").render(
        files=files,
        data=read_data_section(run / "data", files.manifest) if files.manifest else None,
        figures=drawn,
        specs=_harmless_json({key: figure.vega_lite for key, figure in drawn.items()}),
        stages=STAGE_NAMES,
        slices=_SLICES,
        sets=[name for name in _SHOWN_SETS if files.results and name in files.results["stages"]["base"]],
        purposes=PURPOSES,
        headline=_headline(files),
        road=_road(files),
        changed=_changed_settings(files.recipe),
        charts=charts,
        starter=starter,
        style=style,
        policy=_policy(charts, starter, style),
    )
    path = run / "report.html"
    write_text(path, page)
    return path


def _policy(charts: str, starter: str, style: str) -> str:
    """Nothing from outside; scripts only as hashed here. Charts set styles on their own elements."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {digest(charts)} {digest(starter)}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _harmless_json(value: Any) -> str:
    """JSON that cannot end its script element."""
    return json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f} s" if value < 120 else f"{value / 60:.1f} min"


def _visible(text: str) -> str:
    """Control characters as their escapes; the template escapes the rest."""
    return "".join(
        char if char in "\n\t" or char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _main_set(results: Mapping[str, Any]) -> str:
    return "in_distribution" if "in_distribution" in results["stages"]["base"] else "final"


def _headline(files: RunFiles) -> dict[str, Any] | None:
    """The last stage against the one before it, on what was never seen."""
    if files.results is None or not files.results["stages"].get("base"):
        return None
    name = _main_set(files.results)
    stages = list(files.results["stages"])
    pairs = [c for c in files.results["comparisons"] if c["on"] == name]
    last = [c for c in pairs if c["b"] == stages[-1] and c["a"] == stages[max(0, len(stages) - 2)]]
    rates = {stage: files.results["stages"][stage][name] for stage in stages}
    return {"set": name.replace("_", " "), "rates": rates, "gain": last[0] if last else None}


def _road(files: RunFiles) -> list[dict[str, str]]:
    """The stages as boxes: a title and what went through."""
    boxes = []
    labels = {"data": "data", "sft": "SFT", "reward_model": "reward model", "rl": "RL", "evaluation": "evaluation"}
    for stage, title in labels.items():
        done = files.complete.get(stage)
        if done is None:
            continue
        if stage == "data":
            detail = f"{sum(done['rows'].values()):,} rows"
        elif stage == "evaluation":
            detail = f"{done['prompts']:,} prompts"
        else:
            detail = f"{done['steps']:,} steps"
        boxes.append({"title": title, "detail": detail, "time": _seconds(done.get("seconds"))})
    return boxes


def _changed_settings(recipe: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The settings that are not defaults."""
    sections: dict[str, Any] = {
        name: {} for name in ("sft", "reward_model", "rl", "evaluate") if recipe.get(name) is not None
    }
    defaults = flatten(Recipe.model_validate(sections | _rewards_without_model(recipe)).model_dump(mode="json"))
    return [(key, value) for key, value in flatten(recipe).items() if defaults.get(key) != value]


def _rewards_without_model(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {} if recipe.get("reward_model") is not None else {"reward_model": None}


def run_figures(files: RunFiles) -> dict[str, Figure]:
    """Every picture that the folder has data for, by the name of its place in the page."""
    drawn: dict[str, Figure] = {}
    if files.results is not None:
        name = _main_set(files.results)
        drawn["accuracy"] = figures.accuracy(
            files.results, [s for s in _SHOWN_SETS if s in files.results["stages"]["base"]]
        )
        drawn["verdicts"] = figures.verdicts(files.results, name)
        if (picture := figures.pass_at(files.results, name)) is not None:
            drawn["pass_at"] = picture
        if scores := files.results.get("reward_model"):
            drawn["reward_scores"] = figures.histogram(scores["chosen_rewards"], scores["rejected_rewards"])
    if metrics := files.metrics.get("sft"):
        drawn["sft_loss"] = figures.lines(
            metrics,
            {"train/loss": "train", "validation/loss": "validation"},
            title="Loss per completion token",
            how_to_read="Nats, logarithmic; both fall while the model learns. Validation that turns up while train "
            "falls on is memorising. The dashed line is the step whose weights were kept.",
            y="loss",
            is_log=True,
            best=files.complete.get("sft", {}).get("best_step"),
        )
        drawn["sft_rate"] = figures.lines(
            metrics,
            {"train/learning_rate": "learning rate"},
            title="Learning rate",
            how_to_read="Warm-up, then decay.",
            y="learning rate",
        )
        drawn["sft_norm"] = figures.lines(
            metrics,
            {"train/grad_norm": "gradient norm"},
            title="Gradient norm",
            how_to_read="Before clipping. Spikes are surprising rows, or a learning rate that is too high.",
            y="norm",
        )
    if metrics := files.metrics.get("reward_model"):
        drawn["reward_training"] = figures.lines(
            metrics,
            {"train/loss": "loss", "train/accuracy": "accuracy"},
            title="Reward model in training",
            how_to_read="Loss starts at ln 2 = 0.69, a coin; accuracy is the share of pairs put in the right order.",
            y="value",
        )
    if metrics := files.metrics.get("rl"):
        drawn |= _rl_figures(metrics)
    for place, (_, rollouts) in enumerate(files.rollouts):
        drawn[f"group_{place}"] = figures.group_bars(rollouts)
    return drawn


def _rl_figures(metrics: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    skip = {"reward/mean", "reward/std", "reward/unscorable"}
    parts = sorted({key for row in metrics for key in row if key.startswith("reward/")} - skip)
    series = {key: key.removeprefix("reward/").replace("_", " ") for key in parts}
    return {
        "rewards": figures.lines(
            metrics,
            {"reward/mean": "sum"} | series,
            title="Rewards",
            how_to_read="The mean over the step's rollouts, each part before its weight. A part that rises while "
            "`answer` does not is being gamed.",
            y="reward",
        ),
        "kl": figures.lines(
            metrics,
            {"rl/kl": "KL"},
            title="Distance from the reference",
            how_to_read="KL divergence per token (k3 estimator, nats). How far the policy is from where RL began.",
            y="KL",
        ),
        "entropy": figures.lines(
            metrics,
            {"rl/entropy": "entropy"},
            title="Entropy",
            how_to_read="Nats per token. Near zero the policy tries nothing new any more.",
            y="entropy",
        ),
        "length": figures.lines(
            metrics,
            {"rl/completion_length": "tokens"},
            title="Completion length",
            how_to_read="Tokens. Longer answers are longer thoughts, or babble: read the rollouts.",
            y="tokens",
        ),
        "shares": figures.lines(
            metrics,
            {
                "rl/truncated_share": "cut off",
                "rl/zero_variance_share": "groups without signal",
                "rl/clip_share": "clipped tokens",
            },
            title="What teaches nothing",
            how_to_read="Completions cut at the limit, groups in which all rewards are equal, tokens outside the clip.",
            y="share",
        ),
    }
