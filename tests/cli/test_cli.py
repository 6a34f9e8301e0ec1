import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from whet.core.recipe.file import field_table

Whet = Callable[..., tuple[int, str, str]]


ROWS = '{"question": "What is 1+%d?", "answer": "Add. #### %d"}\n'


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
        ("rollouts",): "RUN",
        ("rollouts", "nowhere"): "nowhere: no run folder",
        ("compare", "nowhere", "nowhere"): "nowhere: no run folder",
        ("run", "bad.yaml", "--dryrun"): "unknown flag --dryrun; did you mean '--dry-run'?",
        ("plan", "--sft", "{}", "--model", "empty"): "empty: no config.json",
        ("tokens", "compare", "hi", "--model", "empty"): "empty: no",
        ("init", "demo", "--out", "none/demo.yaml"): "none/demo.yaml: cannot be written (No such file or directory)",
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
    before = (tmp_path / "demo.yaml").read_bytes()
    assert whet("init", "demo")[0] == 2
    assert (tmp_path / "demo.yaml").read_bytes() == before
    assert whet("init", "demo", "--print")[1].encode() == before


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


def test_chat_refuses_what_the_model_cannot_read(whet: Whet, finished_run: Path) -> None:
    code, _, err = whet("chat", finished_run, "--prompt", "1+" * 600, "--stage", "base")
    assert code == 2
    assert "tokens, but the model reads at most 512; shorten it" in err


def test_chat_goes_on_until_the_input_ends(whet: Whet, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("3+4=\n" + "1+" * 600 + "\n5+5=\n"))
    code, out, err = whet("chat", finished_run, "--stage", "base", "--max-completion-length", 4)
    assert code == 0
    assert out.count("> ") == 4
    assert "shorten it" in err


def test_rollouts_of_a_run(whet: Whet, finished_run: Path) -> None:
    code, out, _ = whet("rollouts", finished_run, "--step", 2, "--count", 1)
    assert code == 0
    assert out.startswith("step 2: 6 rollouts of 2 prompts, mean reward ")
    assert out.count("advantage") == 2
    lines = [json.loads(line) for line in whet("rollouts", finished_run, "--json")[1].splitlines()]
    assert [line["step"] for line in lines] == [4] * 6
    assert whet("rollouts", finished_run, "--step", 9)[0] == 2


def test_a_run_compared_with_itself_does_not_differ(whet: Whet, finished_run: Path) -> None:
    found = json.loads(whet("compare", finished_run, finished_run, "--stage", "sft", "--json")[1])
    assert {row["on"] for row in found} >= {"final", "ft_test", "rl_test"}
    assert {(row["difference"], row["wins"], row["losses"], row["p_value"]) for row in found} == {(0, 0, 0, 1)}
    assert "sft of A and of B" in whet("compare", finished_run, finished_run, "--stage", "sft")[1]


def test_a_finished_run_says_its_result_again(whet: Whet, finished_run: Path, least_recipe: Path) -> None:
    code, out, err = whet("run", least_recipe, "--run", finished_run)
    assert code == 0
    assert "rl: complete, not done again" in err
    assert "95% interval" in out
    assert out.splitlines()[-1] == f"report: {finished_run / 'report.html'}"
    code, out, err = whet("run", least_recipe, "--run", finished_run, "--json", "--quiet")
    assert (code, err) == (0, "")
    assert json.loads(out)["results"]["stages"].keys() == {"base", "sft", "rl"}
    code, out, _ = whet("sft", least_recipe, "--run", finished_run, "--json", "--quiet")
    assert json.loads(out)["sft"]["steps"] == 4


def test_a_stage_alone_adds_its_section_and_keeps_the_file(whet: Whet, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("sft: {batch_size: 7}\n")
    recipe = json.loads(whet("sft", "r.yaml", "--dry-run", "--json", "--sft.max-length", 99)[1])
    assert (recipe["sft"]["batch_size"], recipe["sft"]["max_length"], recipe["rl"]) == (7, 99, None)
    assert json.loads(whet("rl", "r.yaml", "--dry-run", "--json")[1])["rl"]["steps"] == 100


def test_settings_as_a_table_and_as_a_schema(whet: Whet) -> None:
    assert whet("settings")[1] == field_table()
    schema = json.loads(whet("settings", "--json")[1])
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["SftSettings"]["properties"]["batch_size"]["minimum"] == 1


def test_help_of_a_run_lists_its_settings(whet: Whet) -> None:
    out = whet("sft", "--help")[1]
    assert "--sft.learning-rate 5.0e-05" in out
    assert "--rl." not in out
    assert "--rl.num-generations 8" in whet("run", "--help")[1]


def test_ctrl_c_says_what_is_saved(least_recipe: Path, tmp_path: Path) -> None:
    # A shell's background job inherits SIGINT as ignored and hands that on; here the command can be interrupted.
    heard = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-m", "whet.cli", "run", str(least_recipe), "--run", "r"]
    process = subprocess.Popen(
        [sys.executable, "-c", heard, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=one_thread()
    )
    deadline = time.monotonic() + 600
    while not (tmp_path / "r" / "sft" / "checkpoints" / "step-000002").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert re.fullmatch(r"interrupted; r has data, sft.*; the same command goes on from there", last), last


def test_a_closed_pipe_is_silent() -> None:
    command = f"{sys.executable} -m whet.cli settings | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, env=one_thread())
    assert done.stderr == ""
    assert done.stdout == "| setting | default | what it does |\n"


def one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_full_disk_is_one_line(whet: Whet, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "runs/x/sft/metrics.jsonl")

    monkeypatch.setattr("whet.core.runfolder.write_json", full)
    code, _, err = whet("sft", "--run", "r")
    assert code == 1
    assert err == (
        "runs/x/sft/metrics.jsonl: No space left on device; "
        "what was saved stays saved, and the same command goes on from there\n"
    )


def test_report_again(whet: Whet, finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run", symlinks=True)
    (run / "report.html").unlink()
    assert whet("report", run)[0] == 0
    assert (run / "report.html").exists()


def test_a_report_names_what_is_damaged(whet: Whet, finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run", symlinks=True)
    rollouts = run / "rl" / "rollouts" / "step-000001.jsonl"
    rollouts.write_bytes(rollouts.read_bytes()[:100])
    code, out, err = whet("report", run)
    assert (code, out) == (0, f"{run}/report.html\n")
    assert err == "report: rl/rollouts/step-000001.jsonl is not what rl wrote\n"


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
