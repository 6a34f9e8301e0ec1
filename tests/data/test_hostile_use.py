"""Folders, settings and commands of a hostile user: one line of error, and old files never mix with new ones."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from whet.cli import main
from whet.core.errors import DataError, WhetError
from whet.core.files import read_json, read_json_lines
from whet.core.recipe import DataSettings, SizeSettings
from whet.core.recipe.file import load_recipe
from whet.core.records import PURPOSES
from whet.data.prepare import prepare
from whet.data.proof.check import check
from whet.data.sources.read import read_sources

GOOD = b"".join(json.dumps({"prompt": f"What is {n}?", "completion": f"{n}."}).encode() + b"\n" for n in range(6))


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# Names and folders


@pytest.mark.parametrize(
    "name",
    ["with space", "new\nline", "esc\x1b[31m", "日本 é", "-dash", "q'u\"ote", "[glob]*", "rtl\u202e", "latin\udce9"],
)
def test_any_name_is_written_as_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.jsonl"
    path.write_bytes(GOOD)
    (source,) = read_sources(str(path), DataSettings(), seed=0)
    assert source.name.isprintable()
    prepare(DataSettings(source=str(path)), seed=0, out=tmp_path / "out")
    assert check(tmp_path / "out").is_proven


def _folder(path: Path, kind: str) -> None:
    path.mkdir()
    (path / "a.jsonl").write_bytes(GOOD)
    match kind:
        case "a pipe":
            os.mkfifo(path / "b.jsonl")
        case "a link to nothing":
            (path / "b.jsonl").symlink_to(path / "nowhere")
        case "an archive":
            (path / "b.jsonl.bz2").write_bytes(b"BZh9")
        case "an empty file":
            (path / "b.jsonl").write_bytes(b"")
        case "prepared data":
            prepare(DataSettings(source=str(path / "a.jsonl")), seed=0, out=path / "prepared")
        case "itself":
            (path / "self").symlink_to(path)


@pytest.mark.parametrize("kind", ["a pipe", "a link to nothing", "an archive", "an empty file", "prepared data"])
def test_what_lies_in_a_folder_and_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    _folder(tmp_path / "folder", kind)
    name = "prepared: was prepared by whet" if kind == "prepared data" else "b.jsonl"
    with pytest.raises(DataError, match=name):
        read_sources(str(tmp_path / "folder"), DataSettings(), seed=0)


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    _folder(tmp_path / "folder", "itself")
    assert [source.rows for source in read_sources(str(tmp_path / "folder"), DataSettings(), seed=0)] == [6]


def test_a_split_that_no_file_has_is_not_all_of_them(tmp_path: Path) -> None:
    _folder(tmp_path / "folder", "")
    with pytest.raises(DataError, match=r"no file of it is of the split 'test' \(a.jsonl\)"):
        read_sources(str(tmp_path / "folder"), DataSettings(split="test"), seed=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "a source has no name"),
        (" ", "a source has no name"),
        ("/dev/null", "neither a file nor a folder"),
        ("/dev/zero", "neither a file nor a folder"),
        ("https://example.org/a.jsonl", "addresses are not read"),
        ("~nobody-of-this-name/a.jsonl", "cannot be read"),
        ("a\0b.jsonl", "no such file"),
        ("x" * 5000 + ".jsonl", "cannot be read"),
        ("./nowhere.jsonl", "no such file"),
        ("whet:arithmetics", "did you mean 'whet:arithmetic'"),
    ],
)
def test_a_source_that_is_none_is_one_line(name: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_sources(name, DataSettings(), seed=0)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "kind", ["a file", "under a file", "foreign", "the source", "inside the source", "a zero", "too long"]
)
def test_a_folder_that_is_not_for_us_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    _folder(tmp_path / "folder", "")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "mine.parquet").write_bytes(b"mine")
    out = {
        "a file": tmp_path / "folder" / "a.jsonl",
        "under a file": tmp_path / "folder" / "a.jsonl" / "out",
        "foreign": tmp_path / "foreign",
        "the source": tmp_path / "folder",
        "inside the source": tmp_path / "folder" / "out",
        "a zero": tmp_path / "a\0b",
        "too long": tmp_path / ("y" * 300),
    }[kind]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match="give a"):
        prepare(DataSettings(source=str(tmp_path / "folder")), seed=0, out=out)
    assert sorted(tmp_path.rglob("*")) == before


def test_old_files_never_mix_with_new_ones(tmp_path: Path) -> None:
    """A failed reading leaves the older preparation proven; one that is killed half-way is mended by the next."""
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    settings, out = DataSettings(source=str(tmp_path / "a.jsonl")), tmp_path / "out"
    prepare(settings, seed=0, out=out)
    first = {file.name: file.read_bytes() for file in out.iterdir()}
    with pytest.raises(DataError, match="no such file"):
        prepare(DataSettings(source=str(tmp_path / "b.jsonl")), seed=0, out=out)
    assert check(out).is_proven
    killed = (
        "import os, sys\nfrom pathlib import Path\nfrom whet.data import manifest, prepare\n"
        "from whet.core.recipe import DataSettings\n"
        "prepare.write_edges = lambda *_: os.kill(os.getpid(), 9)\n"
        "Path(sys.argv[2], f'.final.parquet.partial-{os.getpid()}').write_bytes(b'half')\n"
        "prepare.prepare(DataSettings(source=sys.argv[1]), seed=5, out=Path(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", killed, str(tmp_path / "a.jsonl"), str(out)], check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(DataError, match=r"no manifest.json"):
        check(out)
    prepare(settings, seed=0, out=out)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == first


# Settings

ROWS = [
    {
        "prompt": f"{chr(97 + n)}{n * 37} {n} one",
        "completion": f"it is {n}",
        "n": n,
        "many": f"v{n}",
        "null": None,
        "mixed": [None, 5, "2024-01-01", "soon", 10**300, True, ["x"], "0001-01-01T00:00:00+14:00"][n % 8],
    }
    for n in range(26)
]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"group": "nope"}, "data.group: column 'nope' is in no row"),
        ({"group": "null"}, "data.group: column 'null' is empty in every row"),
        ({"stratify": ("null",)}, "data.stratify: column 'null' is empty in every row"),
        ({"stratify": ("nope",)}, "data.stratify: no row has a column 'nope'"),
        ({"time": "nope"}, "data.time: column 'nope'"),
        ({"time": "many"}, "no row has a time in it"),
        ({"weights": (1.0, 2.0)}, "data.weights has 2 numbers, but data.source has 1"),
        ({"columns": {"promt": "prompt"}}, "did you mean 'prompt'"),
        ({"columns": {"prompt": "promt"}}, "a.jsonl has no column 'promt'"),
        ({"columns": {"prompt": "many", "completion": "many"}}, "is to be 'prompt' and 'completion'"),
        ({"out_of_distribution": ("nope",)}, "no row is of 'nope'"),
        ({"out_of_distribution": ("a.jsonl",)}, "none of 26 rows has a purpose (final is full: 26)"),
        ({"pinned": {"rm_test": "SELF"}}, "none of its"),
        ({"earlier": "nowhere"}, "nowhere: no manifest.json"),
        ({"sizes": SizeSettings(**dict.fromkeys(PURPOSES, 0.0))}, "none of 26 rows has a purpose (left over: 26)"),
        ({"sizes": SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | {"ft_train": 1e30})}, "ft_train asks for"),
        ({"sizes": SizeSettings(**dict.fromkeys(PURPOSES, 0.0) | {"ft_train": 20, "final": 20})}, "40 rows in all"),
        ({"preferences": "SELF"}, "chosen and rejected, or completions and ranks, were expected"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_one_line(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    path = str(lines(tmp_path / "a.jsonl", [row | {"completion": "x"} for row in ROWS]))
    how = json.loads(json.dumps(how, default=lambda sizes: sizes.model_dump()).replace("SELF", path))
    with pytest.raises(DataError) as caught:
        prepare(DataSettings.model_validate({"source": path} | how), seed=0, out=tmp_path / "out")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "how",
    [
        *({name: column} for name in ("group", "time") for column in ("n", "mixed")),
        *({"stratify": (column,)} for column in ("n", "mixed", "many", "length")),
        {"limit": 1},
        {"limit": 10**30},
        {"max_rejected_share": 0.0},
        {"near_duplicates": "keep"},
        {"split": ""},
    ],
)
def test_a_setting_that_is_odd_is_proven(tmp_path: Path, how: dict[str, Any]) -> None:
    path = str(lines(tmp_path / "a.jsonl", ROWS))
    prepare(DataSettings(source=path, **how), seed=2**70, out=tmp_path / "out")
    assert check(tmp_path / "out").problems == ()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("weights", "[0, 1]"),
        ("weights", "[.nan]"),
        ("weights", "abc"),
        ("columns", "[a]"),
        ("columns", "{prompt: null}"),
        ("pinned", "{finall: a.jsonl}"),
        ("sizes.final", "1.5"),
        ("sizes.final", "-1"),
        ("sizes.final", ".nan"),
        ("limit", "0"),
        ("limit", "1.5"),
        ("max_rejected_share", "2"),
        ("time", "[a, b]"),
        ("stratify", "length"),
        ("nope", "1"),
        ("workers", "-1"),
    ],
)
def test_a_setting_of_another_kind_is_refused(setting: str, value: str) -> None:
    with pytest.raises(WhetError, match=setting.partition(".")[0].replace("_", "[-_]")):
        load_recipe(None, overrides={f"data.{setting}": value}, environ={})


# Through the entry point


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    try:
        main([str(argument) for argument in arguments])
        code: object = 0
    except SystemExit as left:
        code = left.code
    assert isinstance(code, int)
    return code, capsys.readouterr().err


def test_the_command_counts_what_it_refuses_and_proves_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [None, 5, [], {"prompt": 5, "completion": "x"}, {"prompt": "?", "completion": "\ud800"}]
    path, out = lines(tmp_path / "esc\x1b[31m.jsonl", [*ROWS, *bad]), tmp_path / "out"
    code, error = run(capsys, "data", "split", path, "--out", out)
    assert (code, error.count("\n")) == (2, 1)
    assert (
        "5 of 31 rows were refused, more than data.max_rejected_share = 0.05; the first: esc\\x1b[31m.jsonl, row 26"
        in error
    )
    code, error = run(capsys, "data", "split", path, "--out", out, "--data.max-rejected-share", "0.5")
    assert (code, error) == (0, "")
    refused = list(read_json_lines(out / "rejected.jsonl"))
    assert [row["row"] for row in refused] == [26, 27, 28, 29, 30]
    assert len(read_json(out / "manifest.json")["rows"]) == 26
    assert run(capsys, "data", "check", out)[0] == 0
    (out / "manifest.json").write_bytes((out / "manifest.json").read_bytes().replace(b"hash", b"Hash", 1))
    assert run(capsys, "data", "check", out)[0] == 1


@pytest.mark.parametrize(
    "manifest",
    [b"", b"{", b"null", b"[]", b'{"format": 2}', b'{"format": 3}', b'{"format": 3, "rows": 5}', b"\xff", b"[" * 10**5],
)
def test_a_manifest_that_is_none_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], manifest: bytes
) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest)
    for arguments in (("check", tmp_path), ("view", tmp_path), ("trace", tmp_path, "some text")):
        code, error = run(capsys, "data", *arguments)
        assert (code, error.count("\n")) == (2, 1)
        assert "manifest.json" in error


def test_none_of_the_rows_names_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lines(tmp_path / "rows.jsonl", [{"prompt": 5, "completion": "x"}])
    code, error = run(capsys, "data", "split", path, "--out", tmp_path / "out")
    assert code == 2
    assert error.startswith(
        "none of 1 rows can be used; the first: rows.jsonl, row 0, field prompt: not text but int. All of"
    )


def test_columns_are_stated_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lines(tmp_path / "rows.jsonl", [{"Problem": f"What is {n}?", "Solution": f"{n}."} for n in range(8)])
    named = ("--data.columns.prompt", "Problem", "--data.columns", "{prompt: Problem, completion: Solution}")
    for number, flags in enumerate(
        (named[2:], ("--data.columns.prompt", "Problem", "--data.columns.completion", "Solution"))
    ):
        assert run(capsys, "data", "split", path, "--out", tmp_path / str(number), *flags) == (0, "")
    code, error = run(capsys, "data", "split", path, "--out", tmp_path / "2", "--data.columns", "Problem")
    assert (code, error) == (
        2,
        "--data.columns: data.columns: must be a mapping, such as {name: value} (got 'Problem')\n",
    )


@pytest.mark.parametrize("seed", ["1.5", "x", "-1", ""])
def test_a_seed_that_is_no_whole_number_is_not_rounded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: str
) -> None:
    code, error = run(
        capsys, "data", "split", lines(tmp_path / "a.jsonl", ROWS), "--out", tmp_path / "out", "--seed", seed
    )
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("--seed: seed: must be")
