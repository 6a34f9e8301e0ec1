from pathlib import Path

import pytest

from whet.core.errors import DataError, RunFolderError
from whet.core.files import file_sha256, read_json, write_json
from whet.core.stage_record import StageRecord, refuse_changes


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose data and sft are done."""
    for name in ("data/ft_train.parquet", "data/final.parquet", "sft/model/config.json", "sft/checkpoints/last/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    StageRecord(tmp_path, "data").finish({"rows": 2}, inputs={"source:rows.jsonl": "a" * 64})
    record = StageRecord(tmp_path, "sft")
    record.begin(["data/ft_train.parquet"], {"model:config.json": "b" * 64})
    record.finish({"steps": 3})
    return tmp_path


def begin(run: Path, outside: dict[str, str] | None = None) -> None:
    StageRecord(run, "rl").begin(["data/final.parquet", "sft/model/"], outside or {})


def test_the_record_names_what_was_read_and_written(run: Path) -> None:
    done = StageRecord(run, "sft").complete()
    assert done == {
        "steps": 3,
        "inputs": {
            "data/ft_train.parquet": file_sha256(run / "data" / "ft_train.parquet"),
            "model:config.json": "b" * 64,
        },
        "outputs": {"sft/model/config.json": file_sha256(run / "sft" / "model" / "config.json")},
    }
    assert StageRecord(run, "rl").complete() is None
    assert str(run) not in (run / "sft" / "complete.json").read_text() + (run / "sft" / "inputs.json").read_text()


def test_a_later_stage_refuses_what_is_not_as_it_was_written(run: Path) -> None:
    begin(run)
    (run / "sft" / "model" / "config.json").write_text("sft/model/config.jsoN")
    with pytest.raises(RunFolderError) as caught:
        begin(run)
    assert str(caught.value) == (
        f"{run}/sft/model/config.json is not what sft wrote; restore it, or delete {run}/sft to make sft again"
    )
    (run / "sft" / "model" / "config.json").unlink()
    (run / "data" / "final.parquet").unlink()
    with pytest.raises(RunFolderError) as caught:
        begin(run)
    gone = "is gone; restore it, or delete"
    assert str(caught.value).splitlines() == [
        f"{run}/data/final.parquet {gone} {run}/data to make data again",
        f"{run}/sft/model/config.json {gone} {run}/sft to make sft again",
    ]


def test_a_stage_goes_on_with_what_it_began_with(run: Path) -> None:
    begin(run, {"model:model.safetensors": "c" * 64, "reward:mine.py": "d" * 64})
    begin(run, {"model:model.safetensors": "c" * 64, "reward:mine.py": "d" * 64})
    with pytest.raises(RunFolderError) as caught:
        begin(run, {"model:model.safetensors": "e" * 64, "model:added_tokens.json": "f" * 64})
    again = f"put the former one back, choose another --run, or delete {run}/rl to make rl again"
    assert str(caught.value).splitlines() == [
        f"added_tokens.json, of the base model is not the one that rl began with; {again}",
        f"model.safetensors, of the base model is not the one that rl began with; {again}",
        f"the reward file mine.py is not the one that rl began with; {again}",
    ]


def test_a_stage_that_was_made_again_is_told_from_a_damaged_file(run: Path) -> None:
    """sft made again with other weights: its file is sound, but what rl began with is gone."""
    begin(run)
    (run / "sft" / "model" / "config.json").write_text("other weights")
    StageRecord(run, "sft").finish({"steps": 3})
    with pytest.raises(RunFolderError, match=r"is not the one that rl began with; delete .*/rl to make rl again$"):
        begin(run)


def test_a_finished_stage_compares_what_it_was_made_from(run: Path) -> None:
    record = StageRecord(run, "sft")
    same = {"model:config.json": "b" * 64}
    assert record.problems(same) == {}
    assert record.problems({}) == {}  # the base model lies elsewhere now; what is done is done
    other = record.problems({"model:config.json": "e" * 64, "model:added_tokens.json": "f" * 64})
    assert [line.partition(";")[0] for line in other.values()] == [
        "config.json, of the base model is not the one that sft was made from",
        "added_tokens.json, of the base model is not the one that sft was made from",
    ]
    (run / "data" / "ft_train.parquet").write_text("x")
    assert record.problems(same) == {
        "data/ft_train.parquet": f"{run}/data/ft_train.parquet is not the one that sft was made from; "
        f"delete {run}/sft to make sft again"
    }
    (run / "sft" / "model" / "config.json").unlink()
    assert "is gone" in record.problems(same)["sft/model/config.json"]


@pytest.mark.parametrize("file", ["complete.json", "inputs.json"])
def test_the_record_itself_cannot_be_altered_unseen(run: Path, file: str) -> None:
    path = run / "sft" / file
    record = read_json(path)
    for changed in ({**record, "steps": 4}, {**record, "seal": "0" * 64}, {**record, "outputs": {}}, [record]):
        write_json(path, changed)
        with pytest.raises(DataError, match=rf"sft/{file}: its seal is broken"):
            StageRecord(run, "sft").complete() if file == "complete.json" else StageRecord(run, "sft").begin([], {})
    path.write_bytes(b"\xff{")
    with pytest.raises(DataError, match=rf"sft/{file}: not valid JSON"):
        StageRecord(run, "sft").complete() if file == "complete.json" else StageRecord(run, "sft").begin([], {})


def test_the_record_of_an_older_whet_is_believed(run: Path) -> None:
    write_json(run / "sft" / "complete.json", {"steps": 3})
    assert StageRecord(run, "sft").complete() == {"steps": 3}
    assert StageRecord(run, "sft").problems({}) == {}
    begin(run)
    assert "sft/model/config.json" in read_json(run / "rl" / "inputs.json")


def test_names_are_one_line_and_not_a_flood(run: Path) -> None:
    (run / "sft" / "model" / "a\nb\x1b.json").write_text("x")
    StageRecord(run, "sft").finish({})
    (run / "sft" / "model" / "a\nb\x1b.json").unlink()
    with pytest.raises(RunFolderError) as caught:
        begin(run)
    assert r"sft/model/a\nb\x1b.json is gone" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(RunFolderError, match=r"and 5 more files$") as caught:
        refuse_changes({str(place): f"line {place}" for place in range(25)})
    assert len(str(caught.value).splitlines()) == 21
    refuse_changes({})
