"""Files, folders and hub data sets to records; what cannot be read is one line or one rejection."""

import gzip
import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.core.errors import DataError
from whet.core.recipe import ArithmeticSettings, DataSettings
from whet.core.records import Comparison, Conversation, Origin, Rejected, prompt_in
from whet.data.layouts import LAYOUTS
from whet.data.sources.read import Source, read_sources, stream_file

REAL = Path(__file__).parents[4] / "shared" / "data"
ROWS = [{"prompt": f"What is {n}+{n}?", "completion": str(2 * n)} for n in range(3)]
SETTINGS = DataSettings()


def read(path: Path, chosen: DataSettings = SETTINGS) -> Source:
    (source,) = read_sources(str(path), chosen, seed=0)
    return source


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def asked(source: Source) -> list[str]:
    return [prompt_in(record).text for record in source.records]


def test_a_source_is_its_rows_and_how_they_were_understood(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(lines(ROWS))
    source = read(path)
    assert asked(source) == [row["prompt"] for row in ROWS]
    assert (source.name, source.rows, source.layout.name) == ("rows.jsonl", 3, "prompt and completion")
    assert (source.rejected, source.skipped, source.thinned, source.columns) == ((), (), (), {})
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.example == source.records[0]


def test_broken_lines_are_rejected_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = lines(ROWS).encode()
    bad = [
        b'{"prompt": "a", "completion": NaN}',
        b'{"prompt": "a", "completion": "b"} {"prompt": "c", "completion": "d"}',
        b'{"prompt": "caf\xe9", "completion": "b"}',
        b'{"prompt": "a", "prompt": "b", "completion": "c"}',
        b'["prompt", "completion"]',
        b'{"prompt": "a"}',
        b'{"prompt": "a", "compl',
    ]
    path.write_bytes(good + b"\n".join(bad))
    source = read(path)
    assert [(row.origin.row, row.field, row.reason) for row in source.rejected] == [
        (3, "line 4", "not valid JSON (NaN is not JSON)"),
        (4, "line 5", "two objects on a line"),
        (5, "line 6", "not UTF-8"),
        (6, "line 7", "not valid JSON (a key stands twice in one object)"),
        (7, None, "not an object but list"),
        (8, "completion", "missing or null"),
        (9, "line 10", "the last line is cut off before its object ends"),
    ]
    assert source.rejected[1].excerpt.startswith('{"prompt": "a"')
    assert len(source.records) == 3


def test_the_layout_is_that_of_most_rows_and_others_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(lines([{"text": "a story"}, *ROWS]))
    source = read(path)
    assert source.layout.name == "prompt and completion"
    assert [(row.origin.row, row.field) for row in source.rejected] == [(0, "prompt")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"", "no rows"),
        ("rows.txt", b"hello", "unknown ending '.txt'"),
        ("rows.jsonl", gzip.compress(b"{}", mtime=0), "gzip-compressed, but its name does not end in .gz"),
        ("rows.jsonl.gz", b"{}\n", "named .gz, but not gzip-compressed"),
        ("rows.jsonl.zst", b"{}\n", "named .zst, but not zstd-compressed"),
        ("cut.jsonl.gz", gzip.compress(b"{}" * 5000, mtime=0)[:-20], "cut or damaged"),
        ("rows.jsonl", "\ufeff{}".encode("utf-16"), "UTF-16"),
        ("rows.json", b'{"a": 1', "not valid JSON"),
        ("rows.json", b"3", "a list of rows was expected"),
        ("rows.csv", b"", "empty"),
        ("rows.csv", "prompt,completion\ncaf\xe9,b\n".encode("latin-1"), "not UTF-8"),
        ("rows.csv", b"prompt,prompt\na,b\n", "two columns are called 'prompt'"),
        ("rows.parquet", b"PAR1 nonsense", "not a readable parquet file"),
        ("rows.jsonl", b'{"title": "a", "body": "b"}\n', "no known layout in its columns (body, title)"),
        ("rows.jsonl", b"{broken\n{broken\n", "line 1: not valid JSON"),
    ],
)
def test_unusable_files_are_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_compressed_file_that_is_missing_is_no_hub_id() -> None:
    for name in ("train.jsonl.zst", "train.csv.gz", "train.tsv"):
        with pytest.raises(DataError, match=f"{name}: no such file"):
            read_sources(name, SETTINGS, seed=0)


def test_a_stream_begins_before_the_file_is_read(tmp_path: Path) -> None:
    """The rows before a cut are there, and then the error; the first row needs no more than the first piece."""
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(lines(ROWS * 5000).encode())[:-40])
    stream = stream_file(path, SETTINGS)
    first = next(stream)
    assert isinstance(first, Conversation)
    assert first.prompt.text == "What is 0+0?"
    with pytest.raises(DataError, match="cut or damaged"):
        list(stream)


def test_renamed_moves_every_origin() -> None:
    (source,) = read_sources("whet:arithmetic", DataSettings(arithmetic=ArithmeticSettings(rows=50)), seed=3)
    refused = Rejected(origin=Origin(source="whet:arithmetic", row=1), field=None, reason="odd")
    whole = replace(source, rejected=(refused,), skipped=(refused,), thinned=source.records[:2])
    moved = whole.renamed("other")
    assert moved.name == "other"
    assert {prompt_in(record).origin.source for record in (*moved.records, *moved.thinned)} == {"other"}
    assert {row.origin.source for row in (*moved.rejected, *moved.skipped)} == {"other"}
    assert [record.id for record in moved.records] == [record.id for record in whole.records]


def test_missing_file_names_a_near_one(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(lines(ROWS))
    with pytest.raises(DataError, match=r"no such file; did you mean 'train.jsonl'\?"):
        read(tmp_path / "trian.jsonl")
    with pytest.raises(DataError, match="is not embedded; did you mean 'whet:arithmetic'"):
        read_sources("whet:arithmetik", SETTINGS, seed=0)


def test_a_single_object_is_a_row_and_a_list_inside_an_object_is_rows(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "3+2?"}, {"role": "assistant", "content": "5"}]
    (tmp_path / "one.json").write_text(json.dumps({"messages": turns}))
    (tmp_path / "many.json").write_text(json.dumps({"version": 1, "data": [{"messages": turns}] * 3}))
    assert read(tmp_path / "one.json").rows == 1
    assert read(tmp_path / "many.json").rows == 3


def test_long_cells_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"prompt,completion\n{'long ' * 40000},b\n")
    assert len(asked(read(path))[0]) == 200000


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
_COLUMNS = sorted({column for layout in LAYOUTS for column in layout.columns} | {"input", "margin", "slice", "system"})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(_COLUMNS), _VALUES, max_size=6), min_size=1, max_size=6))
def test_whatever_is_in_a_row_it_is_read_or_refused(rows: list[dict[str, Any]]) -> None:
    """No row raises anything but a `DataError` for the file, and each is counted once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text(lines(rows), encoding="utf-8", errors="surrogatepass")
        try:
            source = read(path)
        except DataError:
            return
        read_rows = {prompt_in(record).origin.row for record in source.records}
        left_out = {row.origin.row for row in source.skipped} - read_rows
        refused = [row.origin.row for row in source.rejected]
        assert sorted([*read_rows, *left_out, *refused]) == list(range(len(rows)))
        assert all(row.reason for row in source.rejected)


def test_table_cells_that_are_empty_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,completion,answer\n"a, b",c,5\nd,e,\nf,,5\ng\n')
    source = read(path)
    assert [prompt_in(record).answer for record in source.records] == ["5", None]
    assert [(row.field, row.reason) for row in source.rejected] == [
        ("completion", "missing or null"),
        ("line 5", "1 cells for 3 columns"),
    ]


def test_a_folder_is_read_file_by_file_and_split_by_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/train-00000.jsonl", "data/train-00001.jsonl", "data/test-00000.jsonl"):
        (tmp_path / name).write_text(lines(ROWS))
    (tmp_path / "dataset_infos.json").write_text("{}")
    sources = read_sources(str(tmp_path), SETTINGS, seed=0)
    assert [source.name for source in sources] == ["data/train-00000.jsonl", "data/train-00001.jsonl"]
    (test,) = read_sources(str(tmp_path), DataSettings(split="test"), seed=0)
    assert test.name == "data/test-00000.jsonl"


def test_a_folder_saved_by_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    folder = tmp_path / "saved"
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(str(folder))
    assert asked(read(folder)) == [row["prompt"] for row in ROWS]
    with pytest.raises(DataError, match="no split 'dev'; it has train"):
        read(folder, DataSettings(split="dev"))


def test_pictures_of_a_data_set_are_refused_and_never_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    picture = {"bytes": b"no picture at all", "path": None}
    rows = datasets.Dataset.from_list([ROWS[0] | {"image": picture}, ROWS[1] | {"image": None}])
    rows.cast_column("image", datasets.Image()).save_to_disk(str(tmp_path / "saved"))
    source = read(tmp_path / "saved")
    assert [(row.origin.row, row.field) for row in source.rejected] == [(0, "image")]
    ignored = read(tmp_path / "saved", DataSettings(ignore=("image",)))
    assert prompt_in(ignored.records[0]).columns == {"image": picture}


def test_a_long_row_of_a_data_set_is_refused(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rows = [*ROWS, {"prompt": "x" * 2000, "completion": "y"}]
    datasets.Dataset.from_list(rows).save_to_disk(str(tmp_path / "saved"))
    source = read(tmp_path / "saved", DataSettings(max_row_bytes=1000))
    assert [(row.origin.row, row.reason[:30]) for row in source.rejected] == [(3, "a row of more than 1,000 bytes")]


def test_a_hub_data_set_with_a_card_goes_through_load_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "sums"
    (folder / "main").mkdir(parents=True)
    (folder / "main" / "part.jsonl").write_text(lines(ROWS))
    card = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/*.jsonl\n---\nSums\n"
    (folder / "README.md").write_text(card)
    assert asked(read(folder, DataSettings(config="main"))) == [row["prompt"] for row in ROWS]
    with pytest.raises(DataError, match="cannot be loaded"):
        read(folder, DataSettings(config="other"))


def test_arithmetic_rows_are_demonstrations_with_rankings() -> None:
    fifty = DataSettings(arithmetic=ArithmeticSettings(rows=50))
    (source,) = read_sources("whet:arithmetic", fifty, seed=3)
    assert (source.rows, source.rejected, source.sha256) == (50, (), None)
    assert all(isinstance(record, Conversation) and record.prompt.answer for record in source.records)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_real_data_sets_are_read() -> None:
    train = read(REAL / "gsm8k" / "train.jsonl.gz")
    assert (len(train.records), train.rejected) == (7473, ())
    assert all(prompt_in(record).answer for record in train.records)
    hard = read(REAL / "gsm_hard" / "gsmhardv2.jsonl.gz")
    assert (len(hard.records), hard.rejected) == (1319, ())
    mawps = read_sources(str(REAL / "mawps"), SETTINGS, seed=0)
    assert [len(source.records) for source in mawps] == [395, 600, 562]
    harmless = read(REAL / "hh_harmless_base" / "test.jsonl.gz")
    assert all(isinstance(record, Comparison) for record in harmless.records)
    assert len(harmless.records) + len(harmless.rejected) == harmless.rows
    assert len(harmless.rejected) <= 0.05 * harmless.rows
