import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from whet.core.stage_record import StageRecord
from whet.report.page import write_report
from whet.report.pictures.figure import thinned
from whet.report.pictures.lines import lines

HOSTILE = (
    '</script><script>document.title="owned"</script><img src=x onerror="document.title=1">\x1b[2J\u202e {{ 7*7 }}'
)
CHROMIUM = shutil.which("chromium")


@pytest.fixture
def hostile_run(finished_run: Path, tmp_path: Path) -> Path:
    """A run in which the model wrote the worst it could."""
    run = Path(shutil.copytree(finished_run, tmp_path / "run", symlinks=True))
    for file in (run / "rl" / "rollouts").iterdir():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        rows = [row | {"text": HOSTILE, "prompt": HOSTILE, "answer": HOSTILE, "unscorable": HOSTILE} for row in rows]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    example = run / "sft" / "example.json"
    example.write_text(json.dumps({"tokens": [{"id": 1, "text": HOSTILE, "is_trained": True}]}))
    for stage in ("sft", "rl"):  # a stage that wrote this
        record = StageRecord(run, stage)
        done = record.complete()
        record.finish({key: value for key, value in done.items() if key != "outputs"}, inputs=done["inputs"])
    return run


def test_one_file_of_at_most_two_megabytes_that_loads_nothing(finished_run: Path) -> None:
    page = (finished_run / "report.html").read_text()
    assert len(page.encode()) <= 2_000_000
    outside = page.split("<script type")[0]
    assert "http://" not in outside
    assert "https://" not in outside
    assert "default-src 'none'" in html.unescape(page)
    for heading in (
        "The road",
        "Data",
        "Fine-tuning",
        "Reward model",
        "Reinforcement learning",
        "Rollouts",
        "Evaluation",
    ):
        assert heading in page


def test_model_text_is_text(hostile_run: Path) -> None:
    page = write_report(hostile_run).read_text()
    assert "<img src=x" not in page
    assert "&lt;/script&gt;&lt;script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "\x1b" not in page


def test_a_folder_with_nothing_in_it_yet_has_a_page_too(finished_run: Path, tmp_path: Path) -> None:
    for name in ("resolved.yaml", "environment.json"):
        shutil.copy(finished_run / name, tmp_path)
    assert "No evaluation in this folder yet" in write_report(tmp_path).read_text()


def test_long_series_are_thinned_and_keep_their_end() -> None:
    rows = [{"step": step, "train/loss": 1.0} for step in range(5000)]
    assert len(thinned(rows)) == 1000
    assert thinned(rows)[-1]["step"] == 4999
    figure = lines(rows, {"train/loss": "loss"}, title="t", how_to_read="h", y="y")
    assert len(figure.data) == 1000


def test_sparse_series_keep_every_point() -> None:
    rows = [
        {"step": step, "train/loss": 1.0} | ({"validation/loss": 2.0} if step % 100 == 0 else {})
        for step in range(5000)
    ]
    figure = lines(rows, {"train/loss": "train", "validation/loss": "validation"}, title="t", how_to_read="h", y="y")
    assert sum(row["series"] == "validation" for row in figure.data) == 50


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_in_a_browser_charts_are_drawn_and_nothing_else_runs(hostile_run: Path, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    page = write_report(hostile_run)
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking".split()
    )
    done = subprocess.run(
        [
            CHROMIUM,
            *options,
            "--virtual-time-budget=5000",
            "--window-size=1200,9000",
            f"--user-data-dir={tmp_path / 'c'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "<title>least · whet</title>" in done.stdout
    assert done.stdout.count("<svg") >= 8
    assert not re.findall(r'data-figure="[^"]+"[^>]*>This chart could not be drawn[^<]*', done.stdout)
