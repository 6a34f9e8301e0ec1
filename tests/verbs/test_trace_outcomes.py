"""What a finished run did with its rows, against what its stages recorded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError, RunFolderError
from whet.core.files import read_json, read_json_lines
from whet.core.order import rows_of_step
from whet.core.records import Ranking
from whet.core.seeds import seed_for
from whet.core.terminal import Page
from whet.data.look.view import Prepared, RowView, joined
from whet.data.manifest import read_manifest, read_rows
from whet.evaluation.metrics import mean_interval
from whet.verbs.trace.outcomes import Outcome, RunRecord
from whet.verbs.trace.runs import text_of, trace
from whet.verbs.trace.text import show_trace, verdict


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be changed, in a folder of runs."""
    return Path(shutil.copytree(finished_run, tmp_path / "runs" / "first", symlinks=True))


def views(run: Path, purpose: str | None) -> list[RowView]:
    prepared = Prepared(run / "data")
    return prepared.views([place for place, row in enumerate(prepared.rows) if row["purpose"] == purpose])


def outcomes(run: Path, row: RowView) -> list[Outcome]:
    return RunRecord(run).outcomes(row, read_manifest(run / "data")["rows"])


def only(run: Path, row: RowView) -> Outcome:
    (outcome,) = outcomes(run, row)
    return outcome


def test_fine_tuning_names_the_steps_that_had_the_row(finished_run: Path) -> None:
    # 24 rows in batches of 6, one epoch: every row once in 4 steps, 6 rows a step
    rows = views(finished_run, "ft_train")
    told = [only(finished_run, row) for row in rows]
    for step in range(4):
        there = rows_of_step(step, examples=24, batch_size=6, seed=seed_for(0, "sft"))
        assert [place for place, outcome in enumerate(told) if outcome.facts["steps"] == [step + 1]] == sorted(there)
    kept = read_json(finished_run / "sft" / "complete.json")["best_step"]
    assert all(outcome.was_trained == (outcome.facts["steps"][0] <= kept) for outcome in told)
    assert told[0].text.startswith(f"trained on at step {told[0].facts['steps'][0]} of 4")


def test_weights_that_were_kept_before_a_row_was_seen_are_not_trained_on_it(run: Path) -> None:
    row = views(run, "ft_train")[0]
    step = only(run, row).facts["steps"][0]
    done = read_json(run / "sft" / "complete.json")
    for best, was_trained in ((step - 1, False), (step, True)):
        (run / "sft" / "complete.json").write_text(json.dumps(done | {"best_step": best, "steps": 4}))
        assert only(run, row).was_trained == was_trained or best == 0
    (run / "sft" / "complete.json").write_text(json.dumps(done | {"best_step": 1}))
    late = next(each for each in views(run, "ft_train") if only(run, each).facts["steps"][0] > 1)
    assert only(run, late).text.endswith("; the weights kept are of step 1, which has seen it 0 times")


def test_a_dropped_row_was_not_trained_on_and_the_others_move_up(run: Path) -> None:
    rows = views(run, "ft_train")
    gone = rows[3]
    line = {"id": gone.id, "source": gone.source, "row": gone.row, "reason": "longer than max_length", "tokens": 999}
    (run / "sft" / "dropped.jsonl").write_text(json.dumps(line) + "\n")
    done = read_json(run / "sft" / "complete.json")
    (run / "sft" / "complete.json").write_text(json.dumps(done | {"rows": 23}))
    dropped = only(run, gone)
    assert (dropped.was_trained, dropped.text) == (False, "dropped: longer than max_length")
    kept = [row for row in rows if row.id != gone.id]
    told = [only(run, row).facts["steps"] for row in kept]
    for step in range(4):
        there = rows_of_step(step, examples=23, batch_size=6, seed=seed_for(0, "sft"))
        assert [place for place, steps in enumerate(told) if steps == [step + 1]] == sorted(there)
    (run / "sft" / "complete.json").write_text(json.dumps(done | {"rows": 22}))
    unclear = only(run, kept[0])
    assert unclear.was_trained is None
    assert "22 rows, the files say 23" in unclear.text


def test_the_reward_model_trains_on_rankings_that_have_ids_of_their_own(run: Path) -> None:
    rows = views(run, "rm_train")
    told = [only(run, row) for row in rows]
    assert all(outcome.was_trained and outcome.stage == "reward_model" for outcome in told)
    # 8 rows in batches of 2
    for step in range(4):
        there = rows_of_step(step, examples=8, batch_size=2, seed=seed_for(0, "reward_model"))
        assert [place for place, outcome in enumerate(told) if outcome.facts["steps"] == [step + 1]] == sorted(there)
    stored = read_rows(run / "data", "rm_train")[2]
    assert isinstance(stored.ranking, Ranking)
    line = {"id": stored.ranking.id, "source": rows[2].source, "row": rows[2].row, "reason": "too long", "tokens": 9}
    (run / "reward_model" / "dropped.jsonl").write_text(json.dumps(line) + "\n")
    assert only(run, rows[2]).text == "dropped: too long"


def test_reinforcement_learning_gives_every_step_with_its_mean_reward(finished_run: Path) -> None:
    # 4 steps of 2 prompts of 8, one pass: every prompt once, 3 rollouts each
    files = sorted((finished_run / "rl" / "rollouts").glob("*.jsonl"))
    lines: list[dict[str, Any]] = [line for file in files for line in read_json_lines(file)]
    for row in views(finished_run, "rl_train"):
        mine = [line for line in lines if line["prompt_id"] == row.prompt_id]
        outcome = only(finished_run, row)
        assert outcome.was_trained
        (step,) = outcome.facts["steps"]
        assert (step["step"], step["rollouts"]) == (mine[0]["step"], 3)
        assert step["mean_reward"] == pytest.approx(sum(line["reward"] for line in mine) / 3)


def test_evaluation_gives_every_stages_verdict(finished_run: Path) -> None:
    items = list(read_json_lines(finished_run / "evaluation" / "items.jsonl"))
    for purpose in ("final", "ft_test", "rl_test"):
        for row in views(finished_run, purpose):
            mine = [item for item in items if item["prompt_id"] == row.prompt_id and item["purpose"] == purpose]
            told = outcomes(finished_run, row)
            assert [outcome.facts["model"] for outcome in told] == ["base", "sft", "rl"]
            assert [outcome.facts["verdict"] for outcome in told] == [item["verdict"] for item in mine]
            assert [outcome.facts["completion"] for outcome in told] == [item["text"] for item in mine]
            assert not any(outcome.was_trained for outcome in told)
            if mine[0]["samples"]:
                assert told[0].text.endswith(f", {mine[0]['samples_correct']} of 2 samples right")


def test_a_verdict_of_another_purpose_is_not_the_rows(run: Path) -> None:
    row = views(run, "final")[0]
    path = run / "evaluation" / "items.jsonl"
    lines = list(read_json_lines(path))
    strange = next(line for line in lines if line["prompt_id"] == row.prompt_id) | {
        "purpose": "rl_test",
        "verdict": "correct",
    }
    path.write_text("".join(json.dumps(line) + "\n" for line in [strange, *lines]))
    mine = [line["verdict"] for line in lines if line["prompt_id"] == row.prompt_id]
    assert [outcome.facts["verdict"] for outcome in outcomes(run, row)] == mine


def test_the_reward_models_test_is_told_row_by_row(finished_run: Path) -> None:
    told = [only(finished_run, row) for row in views(finished_run, "rm_test")]
    tested = read_json(finished_run / "evaluation" / "results.json")["reward_model"]
    assert sum(outcome.facts["pairs"] for outcome in told) == tested["n"]
    # accuracy and interval are over rows by their share of right pairs, so they know every row's share
    shares = [outcome.facts["pairs_right"] / outcome.facts["pairs"] for outcome in told]
    interval = mean_interval(shares, confidence=0.95)
    assert (tested["accuracy"], tested["low"]) == (pytest.approx(interval.value), pytest.approx(interval.low))


def test_rows_that_no_stage_trains_on(run: Path) -> None:
    assert all(only(run, row).was_trained is False for row in views(run, "ft_validation"))
    unused = views(run, None)[0]
    assert outcomes(run, unused) == []
    text = (run / "resolved.yaml").read_text()
    (run / "resolved.yaml").write_text(text.replace("\nrl:\n", "\nrl: null\nother:\n"))
    assert only(run, views(run, "rl_train")[0]).text == "no stage of this run reads rl_train"


def test_a_stage_that_recorded_another_manifest_says_nothing_of_a_row(run: Path) -> None:
    for stage in ("sft", "rl"):
        done = read_json(run / stage / "complete.json")
        (run / stage / "complete.json").write_text(json.dumps(done | {"manifest": "f" * 64}))
    outcome = only(run, views(run, "ft_train")[0])
    assert outcome.was_trained is None
    assert outcome.text.startswith("read another manifest (ffffffffffff, the folder's is ")
    assert RunRecord(run).recorded.endswith(", but SFT, RL recorded another")
    assert only(run, views(run, "rm_train")[0]).was_trained


def test_a_run_that_was_cut_off_says_how_far_it_came(run: Path) -> None:
    row = views(run, "ft_train")[0]
    (step,) = only(run, row).facts["steps"]
    (run / "sft" / "complete.json").unlink()
    metrics = (run / "sft" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "sft" / "metrics.jsonl").write_text("".join(metrics[:step]))
    assert only(run, row).text == f"trained on at step {step} of {step}"
    (run / "sft" / "metrics.jsonl").write_text("".join(metrics[: step - 1]))
    assert only(run, row).was_trained is False
    (run / "sft" / "metrics.jsonl").unlink()
    assert only(run, row).text == "has not trained yet"
    shutil.rmtree(run / "evaluation")
    assert only(run, views(run, "final")[0]).text == "not asked: it has not run yet"


def test_runs_of_the_same_data_are_searched_once_and_all_told(run: Path) -> None:
    second = Path(shutil.copytree(run, run.parent / "second", symlinks=True))
    row = views(run, "ft_train")[0]
    traced = trace(run.parent, row.id)
    (hit,) = [hit for hit in traced.hits if hit.alike.kind == "id"]
    assert [record.path for record, _ in hit.outcomes] == [run, second]
    assert traced.runs == (run, second)
    shown = hit.as_json()
    assert shown["trained_on"]
    assert [entry["run"] for entry in shown["runs"]] == [str(run), str(second)]
    assert shown["runs"][0]["stages"][0]["steps"] == hit.outcomes[0][1][0].facts["steps"]


def test_prepared_data_knows_the_runs_that_were_made_from_it(run: Path, tmp_path: Path) -> None:
    prepared = Path(shutil.copytree(run / "data", tmp_path / "prepared"))
    row = views(run, "ft_train")[0]
    traced = trace(prepared, row.id, runs=[run.parent])
    assert traced.hits[0].trained_by == [(run, "sft")]
    with (prepared / "manifest.json").open("a") as stream:
        stream.write("\n")
    traced = trace(prepared, row.id, runs=[run.parent])
    assert (traced.hits[0].outcomes, traced.others) == ((), (run,))


def test_an_id_of_one_run_is_a_text_in_another(run: Path, finished_run: Path, tmp_path: Path) -> None:
    from whet.core.recipe import DataSettings
    from whet.data.prepare import prepare

    row = views(run, "ft_train")[0]
    source = tmp_path / "other.jsonl"
    lines = [{"prompt": joined(row.prompt) + " Please.", "completion": "1"}]
    lines += [{"prompt": f"What does the {n}th letter of it say to you?", "completion": "2"} for n in "abcdefghijkl"]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    prepare(DataSettings(source=str(source)), seed=0, out=run.parent / "other" / "data")
    traced = trace(run.parent, row.id)
    assert [(hit.alike.kind, hit.row.source) for hit in traced.hits][-1] == ("near", "other.jsonl")


def test_a_run_whose_data_cannot_be_read_is_named_and_the_others_are_searched(run: Path) -> None:
    broken = run.parent / "broken" / "data"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text('{"format": 1}')
    row = views(run, "ft_train")[0]
    traced = trace(run.parent, row.id)
    assert (traced.hits[0].trained_by, traced.runs) == ([(run, "sft")], (run,))
    (problem,) = traced.unread
    assert problem.startswith(f"{broken / 'manifest.json'}: a manifest of format 1, and this version reads")
    with pytest.raises(DataError, match="a manifest of format 1, and this version reads"):
        trace(broken.parent, row.id)


def test_the_answer_comes_first(run: Path) -> None:
    trained, final = views(run, "ft_train")[0], views(run, "final")[0]
    assert verdict(trace(run, trained.id)) == f"trained on, by {run} (SFT)"
    assert verdict(trace(run, final.id)) == f"not trained on, by {run}"
    copy = joined(trained.prompt) + " Do tell."
    assert verdict(trace(run, copy)).startswith("not trained on itself, but a near copy (0.")
    assert verdict(trace(run, copy)).endswith(f" was, by {run} (SFT)")
    assert verdict(trace(run, "Nothing like it at all.")) == "not in this data, nor a near copy of it"


def test_a_trace_on_the_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = views(run, "rl_train")[0]
    lines = (run / "rl" / "rollouts" / "step-000001.jsonl").read_text()
    (run / "rl" / "rollouts" / "step-000001.jsonl").write_text(lines)
    show_trace(Page(), trace(run, row.id))
    out = capsys.readouterr().out
    assert out.startswith(f"trained on, by {run} (RL)\n\nid  {row.source} row {row.row}  {row.id}\n")
    assert f"  run         {run}  (manifest {RunRecord(run).manifest[:12]}, as its stages recorded)\n" in out
    assert "              RL: rolled out at step " in out


def test_wrong_folders_and_texts_are_one_line(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunFolderError, match="rums: no such folder; did you mean 'runs'"):
        trace(tmp_path / "rums", "a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match="empty: neither prepared data, a run, nor a folder of runs"):
        trace(tmp_path / "empty", "a")
    with pytest.raises(DataError, match=r"gone\.txt: cannot be read \(No such file or directory\)"):
        trace(run, "@gone.txt")
    with pytest.raises(DataError, match="an id or a text was expected, but this is empty"):
        trace(run, " \n")
    (tmp_path / "text.txt").write_text("Some text\n")
    assert text_of("@text.txt") == "Some text"
    assert trace(None, "whatever it is").runs == (Path("runs/first"),)
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(RunFolderError, match="no folder was given and there is no runs/ here"):
        trace(None, "a")
