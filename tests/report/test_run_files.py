"""Whatever happens to a file of a run, its report is drawn without it, and says so at its head."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from whet.core.files import write_json
from whet.report.page import write_report
from whet.report.pictures import PICTURES, drawn_figures, run_figures
from whet.report.run_files import RunFiles

READ = """resolved.yaml environment.json data/manifest.json data/complete.json sft/metrics.jsonl sft/example.json
sft/complete.json reward_model/metrics.jsonl reward_model/complete.json rl/metrics.jsonl rl/rollouts/step-000001.jsonl
rl/rollouts/step-000003.jsonl rl/rollouts/step-000004.jsonl rl/complete.json evaluation/results.json
evaluation/complete.json""".split()
WAYS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) * 2 // 3],
    "zeroed": lambda content: bytes(len(content)),
    "not UTF-8": lambda content: b"\xff\xfe" + content,
    "another value": lambda content: b"[7]\n",
    "nested without end": lambda content: b"[" * 100_000 + b"\n",
    "a number without end": lambda content: b"1" * 10_000 + b"\n",
    "objects of others": lambda content: b'{"a": {"b": []}}\n{"a": null}\n',
}


@pytest.fixture(scope="module")
def run(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path_factory.mktemp("damage") / "run", symlinks=True))


@pytest.fixture(scope="module")
def unsealed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as whet 0.1.0 left it, without digests: damage shows only in what a file holds."""
    copy = Path(shutil.copytree(run, tmp_path_factory.mktemp("unsealed") / "run", symlinks=True))
    for path in copy.glob("*/complete.json"):
        done = json.loads(path.read_text())
        write_json(path, {key: value for key, value in done.items() if key not in ("inputs", "outputs", "seal")})
    return copy


def damaged_page(run: Path, name: str, way: str) -> str:
    path = run / name
    content = path.read_bytes()
    path.write_bytes(WAYS[way](content))
    try:
        page = write_report(run).read_text()
    finally:
        path.write_bytes(content)
    assert str(run.parent) not in page
    return page


def test_a_sound_run_names_nothing(run: Path) -> None:
    files = RunFiles.read(run)
    assert files.damaged == ()
    assert drawn_figures(files) == (run_figures(files), [])
    assert len(files.rollouts) == 3
    assert "because it is damaged" not in write_report(run).read_text()


@pytest.mark.parametrize("way", ["cut", "another value"])
@pytest.mark.parametrize("name", READ)
def test_a_file_of_a_finished_stage_is_left_out_and_named(run: Path, name: str, way: str) -> None:
    page = damaged_page(run, name, way)
    if name == "resolved.yaml" and way == "cut":  # YAML that ends early may be YAML: it is the recipe's own, unsealed
        return
    head = page[page.index("<h1>") : page.index('id="road"')]
    assert f"<li>{name} " in head
    if name == "rl/rollouts/step-000003.jsonl":
        assert "<h3>Step 1</h3>" in page
        assert "<h3>Step 3</h3>" not in page
        assert "<h3>Step 4</h3>" in page


@pytest.mark.parametrize("way", WAYS)
def test_what_only_its_content_shows_is_named_too(unsealed: Path, way: str) -> None:
    assert "because it is damaged" not in write_report(unsealed).read_text()
    for name in READ:
        page = damaged_page(unsealed, name, way)
        if way == "cut" and (name == "resolved.yaml" or name.endswith("metrics.jsonl")):
            continue  # a log that ends early is that of a run that was cut off
        if way == "objects of others" and name.endswith(("environment.json", "complete.json", "resolved.yaml")):
            continue  # nothing of it is needed
        assert f"<li>{name} " in page, (name, page[page.index("<h1>") : page.index('id="road"')])


def test_a_picture_that_cannot_be_drawn_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PICTURES, "kl", lambda files: files.metrics["gone"])  # type: ignore[misc]
    page = write_report(run).read_text()
    assert "<li>the picture kl cannot be drawn (KeyError: &#39;gone&#39;)</li>" in page
    assert 'data-figure="kl"' not in page
    assert 'data-figure="rewards"' in page


def test_a_file_that_is_gone_is_named(run: Path) -> None:
    for name in ("rl/metrics.jsonl", "evaluation/results.json", "data/manifest.json"):
        (run / name).rename(run / "away")
        assert f"<li>{name} is gone</li>" in write_report(run).read_text()
        (run / "away").rename(run / name)
