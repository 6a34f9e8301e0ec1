"""`whet data contamination`: what it prints, what it writes, how it ends."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whet.cli import main
from whet.core.recipe import DataSettings, SizeSettings
from whet.data.prepare import prepare

QUESTION = (
    "Alice walks nine miles along the old river path and then rests under a tall green tree for two hours. "
    "How far did she walk?"
)
OTHER = "What is the boiling point of pure water in degrees when measured at the level of the sea?"
ROWS = [
    {"prompt": "Nothing of this kind is asked anywhere in that file, is it?", "completion": "no"},
    {"prompt": QUESTION.upper(), "completion": "9"},
    {"prompt": None, "completion": "x"},
    {"prompt": f"\x1b[31mRead this first. {QUESTION} And say why, in your own words, step by step.", "completion": "9"},
    {
        "prompt": " ".join(QUESTION.split()[:14]) + " but all else is of another kind",
        "completion": "1",
    },
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    train = write(tmp_path / "train.jsonl", ROWS)
    return train, write(tmp_path / "bench.jsonl", [{"prompt": OTHER}, {"prompt": QUESTION}])


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["data", "contamination", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_json_is_one_line_for_each_row_and_nothing_else(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files[0], "--against", files[1], "--json") == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [(line["row"], line["kind"], line["benchmark_row"], line["is_gated"]) for line in lines] == [
        (1, "exact", 1, True),
        (3, "8-gram", 1, True),
        (4, "13-gram", 1, False),
    ]
    # 25 words make 13 runs of 13; the first 14 words hold 2 of them
    assert lines[2]["score"] == round(2 / 13, 4)
    assert lines[0]["source"] == "train.jsonl"
    assert lines[0]["benchmark"] == "bench.jsonl"
    assert lines[1]["also"] == ["3-gram", "13-gram"]
    assert "1 rows could not be read and were not compared; the first: train.jsonl row 2, prompt" in said.err


def test_pairs_are_shown_and_the_exit_code_says_that_there_are_some(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(files[0], "--against", files[1]) == 1
    out = capsys.readouterr().out
    assert "train.jsonl row 1  exact 1.00, also near" in out
    assert "bench.jsonl row 1" in out
    assert "2 of 5 rows are in a benchmark: exact 1, 8-gram 1" in out
    assert "1 more share a run of 13 words and nothing else" in out
    assert "\x1b" not in out
    assert "\\x1b[31mRead this first." in out


def test_a_clean_file_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, bench = write(tmp_path / "a.jsonl", ROWS[:1]), write(tmp_path / "b.jsonl", [{"prompt": QUESTION}])
    assert run(train, "--against", bench) == 0
    assert capsys.readouterr().out == "0 of 1 rows are in a benchmark\n"


def test_a_13_gram_alone_ends_with_0(tmp_path: Path) -> None:
    train, bench = write(tmp_path / "a.jsonl", ROWS[4:]), write(tmp_path / "b.jsonl", [{"prompt": QUESTION}])
    assert run(train, "--against", bench) == 0


@pytest.mark.parametrize("name", ["clean.jsonl", "clean.jsonl.gz", "clean.jsonl.zst"])
def test_clean_keeps_the_bytes_of_the_sound_rows(
    files: tuple[str, str], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = (tmp_path / "train.jsonl").read_text().splitlines(keepends=True)
    spaced = raw[0].replace(":", " :  ")
    (tmp_path / "train.jsonl").write_text(spaced + "\n  \n" + "".join(raw[1:]).removesuffix("\n"))
    out = tmp_path / name
    assert run(files[0], "--against", files[1], "--clean", str(out)) == 0
    content = out.read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    if name.endswith(".zst"):
        content = pa.input_stream(out, compression="zstd").read()
    assert content.decode() == spaced + raw[4].removesuffix("\n")
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == f"{out}: 2 rows; left out exact 1, 8-gram 1, unreadable 1"


def test_clean_of_parquet_keeps_schema_and_cells(files: tuple[str, str], tmp_path: Path) -> None:
    table = pa.table(
        {"prompt": [row["prompt"] for row in ROWS], "completion": ["a"] * 5, "n": pa.array(range(5), pa.int8())}
    )
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=2)
    out = tmp_path / "clean.parquet"
    assert run(str(tmp_path / "train.parquet"), "--against", files[1], "--clean", str(out), "--json") == 0
    assert pq.read_table(out).equals(table.take([0, 4]))


@pytest.mark.parametrize(
    ("train", "clean", "reason"),
    [
        ("train.csv", "clean.csv", "train.csv is a .csv file; rows are taken out of .jsonl and .parquet files"),
        ("train.jsonl", "clean.csv", "clean.csv must end in .jsonl as train.jsonl does"),
        ("train.jsonl", "train.jsonl", "train.jsonl is the file that is read; name another"),
        ("", "clean.jsonl", "is a folder; rows are taken out of"),
    ],
)
def test_what_cannot_be_cleaned_is_one_line_before_anything_is_read(
    files: tuple[str, str], tmp_path: Path, train: str, clean: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.csv").write_text("prompt,completion\na,b\n")
    before = (tmp_path / "train.jsonl").read_bytes()
    assert run(str(tmp_path / train), "--against", "nowhere.jsonl", "--clean", str(tmp_path / clean)) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
    assert (tmp_path / "train.jsonl").read_bytes() == before


def test_bad_commands_are_one_line(files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, reason in (
        ((files[0],), "--against"),
        ((files[0], "--against", str(tmp_path / "no.jsonl")), "no such file"),
        ((str(tmp_path / "no.jsonl"), "--against", files[1]), "no such file"),
        ((files[0], "--against", files[1], "--data.paraphrse", "off"), "data.paraphrase"),
        ((files[0], "--against", files[1], "--cleen", "x"), "--clean"),
    ):
        assert run(*words) == 2
        said = capsys.readouterr().err
        assert reason in said
        assert said.count("\n") == 1


def test_several_benchmarks_folders_and_stated_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "benches" / "deep").mkdir(parents=True)
    write(tmp_path / "benches" / "deep" / "a.jsonl", [{"prompt": OTHER}])
    (tmp_path / "trains").mkdir()
    write(tmp_path / "trains" / "x.jsonl", [{"Task": OTHER, "Reply": "100"}])
    write(
        tmp_path / "trains" / "y.jsonl", [{"Task": "Of no interest.", "Reply": "1"}, {"Task": QUESTION, "Reply": "9"}]
    )
    words = [str(tmp_path / "trains"), "--against", str(tmp_path / "benches")]
    words += [write(tmp_path / "b.jsonl", [{"Task": QUESTION}]), "--json"]
    assert run(*words, "--data.columns", '{"prompt": "Task", "completion": "Reply"}') == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["source"], line["row"], line["benchmark"]) for line in lines] == [
        ("x.jsonl", 0, "deep/a.jsonl"),
        ("y.jsonl", 1, "b.jsonl"),
    ]


def test_prepared_data_and_a_run_give_their_training_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [
        f"Question number {n} of the {w} kind, which is like no other one?" for n, w in enumerate("abcdefghijklmnop")
    ]
    source = write(tmp_path / "rows.jsonl", [{"prompt": text, "completion": "1", "answer": "1"} for text in texts])
    sizes = SizeSettings(ft_train=8, ft_validation=0, ft_test=0, rm_train=0, rm_test=0, rl_train=0, rl_test=0, final=8)
    run_dir = tmp_path / "run"
    settings = DataSettings(source=source, sizes=sizes, paraphrase="off", long_tail="off")
    manifest = prepare(settings, seed=0, out=run_dir / "data")
    purposes = {row["row"]: row["purpose"] for row in manifest["rows"]}
    bench = write(tmp_path / "bench.jsonl", [{"prompt": text} for text in texts])
    assert set(purposes.values()) == {"ft_train", "final"}
    for folder in (run_dir, run_dir / "data"):
        assert run(str(folder), "--against", bench, "--json") == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        found = {line["row"]: line["benchmark_row"] for line in lines}
        assert found == {row: row for row, purpose in purposes.items() if purpose == "ft_train"}
