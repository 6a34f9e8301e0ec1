from pathlib import Path

import pytest

from whet.core.runlog import MetricsLog, Progress, printable


def test_a_resumed_log_equals_a_straight_one(tmp_path: Path) -> None:
    straight, resumed = MetricsLog(tmp_path / "a.jsonl"), MetricsLog(tmp_path / "b.jsonl")
    for step in range(1, 6):
        straight.write({"step": step, "train/loss": 1 / step})
    for step in (1, 2, 3, 4):
        resumed.write({"step": step, "train/loss": 1 / step if step < 3 else 99.0})
    resumed.truncate_to(2)
    for step in (3, 4, 5):
        resumed.write({"step": step, "train/loss": 1 / step})
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_what_is_not_finite_is_null_and_named(tmp_path: Path) -> None:
    MetricsLog(tmp_path / "m.jsonl").write({"step": 1, "train/loss": float("nan"), "train/grad_norm": float("inf")})
    assert (tmp_path / "m.jsonl").read_text() == (
        '{"step": 1, "train/loss": null, "train/grad_norm": null, "nonfinite": ["train/loss", "train/grad_norm"]}\n'
    )


def test_model_text_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b[2Jb\u202ec\n") == "a\\x1b[2Jb\\u202ec\n"
    assert printable("a\u2028\u2029\x85\ud800é") == "a\\u2028\\u2029\\x85\\ud800é"
    assert printable("abcdef", limit=4) == "abc…"


def test_quiet_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(quiet=True)
    progress.say("hello")
    with progress.bar("sft", total=2) as bar:
        bar.advance({"train/loss": 1.0})
    assert capsys.readouterr() == ("", "")
