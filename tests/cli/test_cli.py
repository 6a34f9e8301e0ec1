import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from whet.cli import main

Whet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def whet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Whet:
    """Run a command in a fresh folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


ROWS = '{"question": "What is 1+%d, dear friend of mine?", "answer": "Add. #### %d"}\n'


def test_split_and_check(whet: Whet, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(ROWS % (n, n + 1) for n in range(60)))
    code, out, _ = whet("data", "split", "rows.jsonl", "--out", "d", "--seed", 3)
    assert code == 0
    assert "rows.jsonl: 60 rows, read as question and answer" in out
    assert {path.name for path in (tmp_path / "d").iterdir()} >= {
        "manifest.json",
        "rejected.jsonl",
        "ft_train.parquet",
        "final.parquet",
    }
    assert whet("data", "check", "d")[0] == 0
    (tmp_path / "d" / "final.parquet").write_bytes((tmp_path / "d" / "ft_train.parquet").read_bytes())
    code, out, _ = whet("data", "check", "d")
    assert code == 1
    assert "final.parquet" in out
    assert "NOT proven" in out


def test_bad_input_is_one_line_and_exit_2(whet: Whet, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("sft: {lerning_rate: 1}\n")
    (tmp_path / "rows.jsonl").write_text('{"question": "q", "answer": "#### 1"}\n{"question": "q", "answer": null}\n')
    (tmp_path / "empty").mkdir()
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "thesis.txt").write_text("mine")
    cases = {
        ("run", "none.yaml"): "none.yaml: no such recipe",
        ("run", "bad.yaml"): "bad.yaml:1: unknown key 'sft.lerning_rate'; did you mean 'sft.learning_rate'?",
        ("run", "--seed", "1"): "a recipe file was expected first",
        ("data", "split", "none.jsonl", "--out", "d"): "none.jsonl: no such file",
        ("sft", "--data.source", "rows.jsonl"): "field answer",
        ("sft", "--model", "empty", "--data.source", "whet:arithmetic"): "empty: no config.json",
        ("sft", "--run", "busy"): "busy: not empty (thesis.txt)",
        ("score", "none.jsonl", "--reward", "answer", "--out", "o"): "none.jsonl: no such file",
        ("report", "nowhere"): "nowhere: no run folder",
        ("chat", "nowhere"): "nowhere: no run folder",
        ("frobnicate",): "frobnicate",
        ("sft", "--sft.batch-size"): "--sft.batch-size: a value was expected",
    }
    for words, expected in cases.items():
        code, _, err = whet(*words)
        assert code == 2, (words, err)
        assert expected in err, (words, err)
        assert "Traceback" not in err
        assert len([line for line in err.strip().splitlines() if not line.startswith("data: ")]) == 1, err
    assert (tmp_path / "busy" / "thesis.txt").read_text() == "mine"


def test_init_writes_recipes_that_run_dry(whet: Whet, tmp_path: Path) -> None:
    for kind in ("demo", "sft", "reward-model", "grpo"):
        assert whet("init", kind)[0] == 0
        code, out, _ = whet("run", f"{kind}.yaml", "--dry-run", "--seed", "7")
        assert code == 0
        assert yaml.safe_load(out)["seed"] == 7
        assert "seed: 7  # --seed" in out
    assert whet("init", "demo")[0] == 2


def test_plan_counts_without_loading(whet: Whet) -> None:
    code, out, _ = whet(
        "plan",
        "--sft.batch-size",
        "10",
        "--data.sizes",
        "{ft_train: 95, ft_validation: 0, ft_test: 0, rm_train: 0, rm_test: 0, rl_train: 0, rl_test: 0, final: 5}",
        "--sft.num-train-epochs",
        "2",
        "--json",
    )
    plan = json.loads(out)
    assert code == 0
    assert (plan["stages"]["sft"]["rows"], plan["stages"]["sft"]["steps"]) == (95, 20)
    memory = plan["stages"]["sft"]["memory"]
    assert memory["optimizer"] == 2 * memory["gradients"] == 2 * 4 * plan["parameters"]


def test_chat_answers_once(whet: Whet, finished_run: Path) -> None:
    code, out, _ = whet("chat", finished_run, "--prompt", "3+4=", "--stage", "base", "--max-completion-length", 8)
    assert code == 0
    assert out.strip()


def test_report_again(whet: Whet, finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run", symlinks=True)
    (run / "report.html").unlink()
    assert whet("report", run)[0] == 0
    assert (run / "report.html").exists()


def test_tokens_view(whet: Whet) -> None:
    code, out, _ = whet("tokens", "view", "3+4", "--completion", "<answer>7</answer>")
    assert code == 0
    assert "9 tokens, 4 trained" in out


def test_doctor(whet: Whet) -> None:
    code, out, _ = whet("doctor")
    assert code == 0
    assert "whet:tiny, flat forward" in out


def test_help_names_every_verb(whet: Whet) -> None:
    out = whet("--help")[1]
    for verb in (
        "run",
        "data",
        "tokens",
        "sft",
        "reward-model",
        "rl",
        "score",
        "evaluate",
        "report",
        "chat",
        "doctor",
        "init",
        "plan",
    ):
        assert verb in out
