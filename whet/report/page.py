"""One self-contained HTML file about a run, drawn from the run folder alone; what has not run is left out."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from whet.core.errors import DataError, first_line
from whet.core.files import write_text
from whet.core.recipe import Recipe
from whet.core.records import PURPOSES
from whet.core.runfolder import flatten
from whet.report.data import DataSection, read_data_section
from whet.report.pictures import drawn_figures
from whet.report.pictures.figure import STAGE_NAMES
from whet.report.run_files import MAIN_SETS, SLICES, RunFiles, main_set

__all__ = ["write_report"]

_HERE = Path(__file__).parent


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder, atomically, and return its path.

    The page loads nothing, runs nothing but its own bundled chart code (named by hash in its content security policy),
    and shows whatever a model wrote as text. A damaged file costs its part, and the page names it at its head.
    """
    files = RunFiles.read(run)
    drawn, undrawn = drawn_figures(files)
    data, unread = _data_section(run, files)
    charts = (_HERE / "vendor" / "charts.min.js").read_text(encoding="utf-8")
    starter = (_HERE / "page.js").read_text(encoding="utf-8")
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": _percent, "points": _points, "visible": _visible, "seconds": _seconds}
    page = environment.get_template("page.html.jinja").render(
        files=files,
        data=data,
        damaged=[*files.damaged, *unread, *undrawn],
        figures=drawn,
        specs=_harmless_json({key: figure.vega_lite for key, figure in drawn.items()}),
        stages=STAGE_NAMES,
        slices=SLICES,
        sets=[name for name in MAIN_SETS if files.results and name in files.results["stages"]["base"]],
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


def _data_section(run: Path, files: RunFiles) -> tuple[DataSection | None, list[str]]:
    """The section, or the line that says why there is none."""
    if files.manifest is None:
        return None, []
    try:
        return read_data_section(run / "data", files.manifest), []
    except (DataError, LookupError, TypeError, AttributeError) as error:
        cause = first_line(error).removeprefix(f"{run}/")
        return None, [f"{cause}" if isinstance(error, DataError) else f"data/manifest.json cannot be shown ({cause})"]


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


def _headline(files: RunFiles) -> dict[str, Any] | None:
    """The last stage against the one before it, on what was never seen."""
    if files.results is None or not files.results["stages"].get("base"):
        return None
    name = main_set(files.results)
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
