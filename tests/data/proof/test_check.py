"""The proof fails for every way in which prepared data can be wrong."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.files import file_sha256, read_json, write_json
from whet.core.recipe import ArithmeticSettings, DataSettings
from whet.core.records import Conversation, Message, prompt_in
from whet.data.alike.views import VIEWS
from whet.data.manifest import StoredRow, manifest_hash, read_rows, write_manifest, write_rows
from whet.data.prepare import prepare
from whet.data.proof.check import check


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(DataSettings(arithmetic=ArithmeticSettings(rows=160)), seed=0, out=folder)
    return folder


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "data"))


def rewrite(data: Path, name: str, rows: list[StoredRow]) -> dict[str, Any]:
    """What a careful forger would do: the file's hash in the manifest is changed along with the file."""
    write_rows(data, name, rows)
    manifest: dict[str, Any] = read_json(data / "manifest.json")
    manifest["purposes"][name]["sha256"] = file_sha256(data / f"{name}.parquet")
    seal(data, manifest)
    return manifest


def seal(data: Path, manifest: dict[str, Any]) -> None:
    write_manifest(data, {name: value for name, value in manifest.items() if name != "seal"})


def test_fresh_data_is_proven(data: Path) -> None:
    proof = check(data)
    assert proof.is_proven
    assert proof.rows == sum(entry["rows"] for entry in read_json(data / "manifest.json")["purposes"].values())
    assert set(proof.edges) == set(VIEWS)


def test_altered_and_missing_files_are_named(data: Path) -> None:
    rows = read_rows(data, "final")
    write_rows(data, "final", rows[1:])
    (data / "rm_test.parquet").unlink()
    (data / "rl_test.parquet").write_bytes(b"PAR1")
    (data / "extra.parquet").write_bytes(b"")
    problems = check(data).problems
    for line in (
        "final.parquet: altered since the manifest was written",
        "rm_test.parquet: missing",
        "rl_test.parquet: altered since the manifest was written",
        "extra.parquet: not in the manifest",
    ):
        assert line in problems
    assert any(line.startswith("whet:arithmetic row") and "listed for final" in line for line in problems)


def test_a_changed_row_no_longer_has_its_id(data: Path) -> None:
    first, *rest = read_rows(data, "ft_train")
    assert isinstance(first.record, Conversation)
    changed = replace(first, record=replace(first.record, completion="<answer>0</answer>"))
    rewrite(data, "ft_train", [changed, *rest])
    problems = check(data).problems
    assert len(problems) == 2
    assert "listed for ft_train, but not in its file as it was then" in problems[0]


def test_a_moved_row_straddles_its_cluster(data: Path) -> None:
    """A held-out question copied into training with other names and numbers, and every list mended to match."""
    asked = next(row for row in read_rows(data, "final") if prompt_in(row.record).slice != "out_of_distribution")
    prompt = prompt_in(asked.record)
    digits = str.maketrans("123456789", "234567891")
    twin = replace(prompt, messages=(Message(role="user", content=prompt.text.translate(digits)),))
    leaked = StoredRow(record=Conversation(prompt=twin, completion="<answer>1</answer>"), cluster="0" * 16)
    rewrite(data, "ft_train", [*read_rows(data, "ft_train"), leaked])
    problems = check(data).problems
    assert any(
        line.startswith("rows that belong together by template straddle") and "ft_train" in line and "final" in line
        for line in problems
    )


def test_a_recorded_cluster_on_two_sides_is_found(data: Path) -> None:
    rows = read_rows(data, "rl_train")
    held_out = read_rows(data, "final")[0].cluster
    rewrite(data, "rl_train", [replace(rows[0], cluster=held_out), *rows[1:]])
    assert any(line.startswith(f"cluster {held_out} straddles") for line in check(data).problems)


def test_unseen_rows_in_training_are_found(data: Path) -> None:
    rows = read_rows(data, "rl_train")
    record = rows[0].record
    assert isinstance(record, Conversation)
    unseen = replace(record, prompt=replace(record.prompt, slice="out_of_distribution"))
    rewrite(data, "rl_train", [replace(rows[0], record=unseen), *rows[1:]])
    assert any("out of distribution, but in rl_train" in line for line in check(data).problems)


def test_rows_that_vanish_from_the_list_are_missed(data: Path) -> None:
    manifest = read_json(data / "manifest.json")
    manifest["rows"] = manifest["rows"][:-1]
    seal(data, manifest)
    problems = check(data).problems
    assert any("160 rows were read, but 159 are accounted for" in line for line in problems)


def test_no_manifest_or_another_format_is_one_line(data: Path) -> None:
    manifest = read_json(data / "manifest.json")
    for version in (3, 99):
        write_json(data / "manifest.json", manifest | {"format": version})
        with pytest.raises(
            DataError, match=f"a manifest of format {version}, and this version reads format 4; prepare"
        ):
            check(data)
    for value in (["rows"], {"rows": []}):
        write_json(data / "manifest.json", value)
        with pytest.raises(DataError, match=r"manifest.json: not a manifest"):
            check(data)
    (data / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        check(data)
    (data / "manifest.json").unlink()
    with pytest.raises(DataError, match=r"no manifest.json; make it with: whet data split"):
        manifest_hash(data)


def test_the_manifest_lists_a_row_on_a_line(data: Path) -> None:
    lines = (data / "manifest.json").read_text().splitlines()
    rows = [line for line in lines if line.startswith('    {"id"')]
    assert len(rows) == 160
    assert json.loads(rows[0].rstrip(",")).keys() == {
        *("id", "carries", "source", "row", "cluster", "purpose", "reason")
    }
