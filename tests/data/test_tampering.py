"""Prepared data tampered with in every way that a proof must not overlook, carelessly and with all hashes mended."""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.files import file_sha256, read_json
from whet.core.recipe import ArithmeticSettings, DataSettings, SizeSettings
from whet.core.records import PURPOSES, Conversation, prompt_in
from whet.data.manifest import UNUSED, StoredRow, read_edges, read_rows, write_edges, write_manifest, write_rows
from whet.data.prepare import prepare
from whet.data.proof.check import check

WORDS = (
    "apple river stone cloud tiger piano maple ocean candle mirror garden rocket velvet copper island thunder"
    " basket lantern walnut harbor saddle pepper cactus marble ribbon falcon meadow cobalt tunnel jacket kettle beacon"
).split()
Files = dict[str, list[StoredRow]]


def row(number: int) -> dict[str, Any]:
    words = random.Random(number).sample(WORDS, 12)
    return {
        "prompt": f"{' '.join(words[:9])} {number}?",
        "completion": f"Because of {words[9]} {number} {words[10]} {words[11]}.",
        "day": f"2024-{number // 28 + 1:02d}-{number % 28 + 1:02d}",
        "author": f"author {number // 2}",
        "kind": "new" if number % 15 == 0 else "old",
    }


def lines(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a column of authors that stay together, dates, a pinned test set, unseen rows and refused ones."""
    folder = tmp_path_factory.mktemp("tampering")
    rows: list[Any] = [row(number) for number in range(150)]
    settings = DataSettings(
        source=lines(
            folder / "rows.jsonl", [*rows, {"prompt": None, "completion": "x"}, {"prompt": "?", "completion": 5}]
        ),
        pinned={"ft_test": lines(folder / "test.jsonl", [row(number) for number in range(200, 208)])},
        group="author",
        time="day",
        out_of_distribution=("kind=new",),
        long_tail="off",
        paraphrase="off",
        sizes=SizeSettings(
            ft_train=0.4, ft_test=0, ft_validation=0.1, rm_train=0.1, rm_test=0.1, rl_train=0.1, rl_test=0.1
        ),
    )
    prepare(settings, seed=0, out=folder / "out")
    return folder / "out"


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "data"))


def test_what_was_not_touched_is_proven(data: Path) -> None:
    assert check(data).problems == ()
    assert {
        len(read_rows(data, name)) > 0 for name in ("ft_train", "ft_test", "rm_train", "rl_train", "rl_test", "final")
    } == {True}


# With no hash mended


def _overwrite(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda data: (data / name).write_bytes(edit((data / name).read_bytes()))


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _swap_files(data: Path) -> None:
    first, second = (data / f"{name}.parquet" for name in ("rl_train", "rl_test"))
    both = first.read_bytes(), second.read_bytes()
    second.write_bytes(both[0])
    first.write_bytes(both[1])


def _link(data: Path) -> None:
    elsewhere = data.parent / "elsewhere.parquet"
    (data / "final.parquet").rename(elsewhere)
    (data / "final.parquet").symlink_to(elsewhere)


CARELESS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte of a file": (_overwrite("ft_train.parquet", _flipped), "ft_train.parquet: altered"),
    "a byte of the edges": (_overwrite("edges.parquet", _flipped), "edges.parquet: altered"),
    "half a file": (_overwrite("rm_test.parquet", lambda content: content[:-40]), "rm_test.parquet: altered"),
    "an empty file": (_overwrite("unused.parquet", lambda content: b""), "unused.parquet: altered"),
    "a byte behind a file": (_overwrite("final.parquet", lambda content: content + b"\0"), "final.parquet: altered"),
    "a file gone": (lambda data: (data / "rl_train.parquet").unlink(), "rl_train.parquet: missing"),
    "the edges gone": (lambda data: (data / "edges.parquet").unlink(), "edges.parquet: missing"),
    "a file more": (
        lambda data: (data / "ft_train2.parquet").write_bytes(b""),
        "ft_train2.parquet: not in the manifest",
    ),
    "files swapped": (_swap_files, "rl_test.parquet: altered"),
    "a link": (_link, "final.parquet: a link"),
    "refusals forgotten": (_overwrite("rejected.jsonl", lambda content: b""), "rejected.jsonl: altered"),
    "refusals damaged": (_overwrite("rejected.jsonl", lambda content: content[1:]), "rejected.jsonl: damaged"),
    "refusals gone": (lambda data: (data / "rejected.jsonl").unlink(), "rejected.jsonl: missing"),
    "a reason": (
        _overwrite("manifest.json", lambda text: text.replace(b'"hash"', b'"Hash"', 1)),
        "manifest.json: altered",
    ),
    "a setting": (
        _overwrite("manifest.json", lambda text: text.replace(b'"seed": 0', b'"seed": 1')),
        "manifest.json: altered",
    ),
    "a space": (_overwrite("manifest.json", lambda text: text.replace(b"  ", b" ", 1)), "manifest.json: altered"),
    "the seal": (
        lambda data: (data / "manifest.json").write_text(json.dumps(read_json(data / "manifest.json"))),
        "manifest.json: altered",
    ),
}


@pytest.mark.parametrize("kind", CARELESS)
def test_what_is_altered_is_named(data: Path, kind: str) -> None:
    tamper, expected = CARELESS[kind]
    tamper(data)
    assert any(line.startswith(expected) for line in check(data).problems)


# With every hash mended, as only a forger or a fault of ours would


def forge(data: Path, edit: Callable[[Files, dict[str, Any]], object]) -> None:
    files: Files = {name: read_rows(data, name) for name in (*PURPOSES, UNUSED)}
    manifest: dict[str, Any] = read_json(data / "manifest.json")
    edit(files, manifest)
    for name, rows in files.items():
        entry = manifest["unused"] if name == UNUSED else manifest["purposes"][name]
        entry["sha256"] = file_sha256(write_rows(data, name, rows))
    seal(data, manifest)


def seal(data: Path, manifest: dict[str, Any]) -> None:
    write_manifest(data, {name: value for name, value in manifest.items() if name != "seal"})


def entry_of(manifest: dict[str, Any], stored: StoredRow) -> dict[str, Any]:
    origin = prompt_in(stored.record).origin
    return next(row for row in manifest["rows"] if (row["source"], row["row"]) == (origin.source, origin.row))  # type: ignore[no-any-return]


def with_columns(stored: StoredRow, **columns: object) -> StoredRow:
    assert isinstance(stored.record, Conversation)
    prompt = stored.record.prompt
    return replace(stored, record=replace(stored.record, prompt=replace(prompt, columns={**prompt.columns, **columns})))


def sibling_in(files: Files, name: str) -> int:
    """The place of a row whose cluster has another row in the same file."""
    clusters = [row.cluster for row in files[name]]
    return next(place for place, cluster in enumerate(clusters) if clusters.count(cluster) > 1)


def _drop(files: Files, manifest: dict[str, Any]) -> None:
    files["final"].pop()


def _drop_and_unlist(files: Files, manifest: dict[str, Any]) -> None:
    manifest["rows"].remove(entry_of(manifest, files["ft_train"].pop()))


def _twice(files: Files, manifest: dict[str, Any]) -> None:
    files["ft_train"].append(files["ft_train"][0])
    manifest["rows"].append(entry_of(manifest, files["ft_train"][0]))


def _reword(files: Files, manifest: dict[str, Any]) -> None:
    first = files["ft_train"][0]
    assert isinstance(first.record, Conversation)
    files["ft_train"][0] = replace(first, record=replace(first.record, completion="Because I say so."))


def _other_answer(files: Files, manifest: dict[str, Any]) -> None:
    first = files["final"][0]
    assert isinstance(first.record, Conversation)
    assert first.record.prompt.answer is None
    files["final"][0] = replace(first, record=replace(first.record, prompt=replace(first.record.prompt, answer="5")))


def _other_slice(files: Files, manifest: dict[str, Any]) -> None:
    first = files["final"][0]
    assert isinstance(first.record, Conversation)
    files["final"][0] = replace(first, record=replace(first.record, prompt=replace(first.record.prompt, slice="easy")))


def _other_column(files: Files, manifest: dict[str, Any]) -> None:
    files["rl_train"][0] = with_columns(files["rl_train"][0], test="assert True")


def _move(files: Files, manifest: dict[str, Any], source: str, place: int, target: str) -> StoredRow:
    moved = files[source].pop(place)
    entry_of(manifest, moved)["purpose"] = target
    files[target].append(replace(moved, ranking=None, provenance=None))
    return moved


def _part(files: Files, manifest: dict[str, Any]) -> None:
    """Half a cluster to the other side, as a cluster of its own."""
    moved = _move(files, manifest, "ft_train", sibling_in(files, "ft_train"), "final")
    files["final"][-1] = replace(files["final"][-1], cluster=moved.id)
    entry_of(manifest, moved)["cluster"] = moved.id


def _rename_cluster(files: Files, manifest: dict[str, Any]) -> None:
    place = sibling_in(files, "ft_train")
    stored = files["ft_train"][place]
    files["ft_train"][place] = replace(stored, cluster="0" * 16)
    entry_of(manifest, stored)["cluster"] = "0" * 16


def _unpin(files: Files, manifest: dict[str, Any]) -> None:
    _move(files, manifest, "ft_test", 0, "ft_train")


def _later(files: Files, manifest: dict[str, Any]) -> None:
    files["ft_train"][0] = with_columns(files["ft_train"][0], day="2031-01-01")


def _timeless(files: Files, manifest: dict[str, Any]) -> None:
    files["rl_test"][0] = with_columns(files["rl_test"][0], day="some day")


def _reversed_ranks(files: Files, manifest: dict[str, Any]) -> None:
    first = files["rm_train"][0]
    assert first.ranking is not None
    ranks = first.ranking.ranks
    files["rm_train"][0] = replace(
        first, ranking=replace(first.ranking, ranks=tuple(max(ranks) - rank for rank in ranks))
    )


def _worse_text(files: Files, manifest: dict[str, Any]) -> None:
    first = files["rm_test"][0]
    assert first.ranking is not None
    texts = ("I do not know.", *first.ranking.completions[1:])
    files["rm_test"][0] = replace(first, ranking=replace(first.ranking, completions=texts))


def _unseen_in_training(files: Files, manifest: dict[str, Any]) -> None:
    place = next(
        place for place, row in enumerate(files["final"]) if prompt_in(row.record).slice == "out_of_distribution"
    )
    _move(files, manifest, "final", place, "rl_train")


def _near_unseen(files: Files, manifest: dict[str, Any]) -> None:
    place = next(
        place
        for place, row in enumerate(files[UNUSED])
        if entry_of(manifest, row)["reason"] == "its cluster is out of distribution"
    )
    _move(files, manifest, UNUSED, place, "ft_train")


def _held_out_copy(files: Files, manifest: dict[str, Any]) -> None:
    """A held-out question in other letters, as a row that nobody read."""
    asked = files["rl_test"][0]
    assert isinstance(asked.record, Conversation)
    prompt = asked.record.prompt
    louder = replace(prompt, messages=tuple(replace(turn, content=turn.content.upper()) for turn in prompt.messages))
    origin = replace(prompt.origin, row=9999)
    copied = replace(asked.record, prompt=replace(louder, origin=origin), completion="Something else.")
    files["ft_train"].append(StoredRow(record=copied, cluster=copied.id))
    entry = {"id": copied.id, "carries": files["ft_train"][-1].carries, "source": origin.source, "row": 9999}
    manifest["rows"].append(entry | {"cluster": copied.id, "purpose": "ft_train", "reason": "hash"})
    manifest["sources"][0]["rows"] += 1


def _other_file(files: Files, manifest: dict[str, Any]) -> None:
    manifest["purposes"]["ft_train"]["file"] = "final.parquet"


def _more_read(files: Files, manifest: dict[str, Any]) -> None:
    manifest["sources"][0]["rows"] += 1


def _fewer_listed(files: Files, manifest: dict[str, Any]) -> None:
    manifest["beyond_limit"] = 3


def _other_purpose_listed(files: Files, manifest: dict[str, Any]) -> None:
    entry_of(manifest, files["ft_train"][0])["purpose"] = "final"


FORGED: dict[str, tuple[Callable[[Files, dict[str, Any]], object], str]] = {
    "a row less": (_drop, "listed for final, but not in its file"),
    "a row less, unlisted": (_drop_and_unlist, "rows were read, but"),
    "a row twice": (_twice, "listed 2 times"),
    "another completion": (_reword, "listed for ft_train, but not in its file"),
    "another answer": (_other_answer, "listed for final, but not in its file"),
    "another slice": (_other_slice, "listed for final, but not in its file"),
    "a column that rewards read": (_other_column, "listed for rl_train, but not in its file"),
    "half a cluster moved": (_part, "rows that belong together by group straddle"),
    "another cluster": (_rename_cluster, "which are listed in two clusters"),
    "a pinned row moved": (_unpin, "pinned to ft_test, but in ft_train"),
    "a training row that is newer": (_later, "is later than"),
    "an evaluation row without a time": (_timeless, "has no time, but is in rl_test"),
    "ranks turned round": (_reversed_ranks, "its ranking in rm_train is not the one"),
    "another text ranked": (_worse_text, "its ranking in rm_test is not the one"),
    "an unseen row trained on": (_unseen_in_training, "out of distribution, but in rl_train"),
    "a neighbour of an unseen row trained on": (_near_unseen, "belongs together with out-of-distribution rows"),
    "a held-out question trained on": (_held_out_copy, "shared_prompt straddle"),
    "a file under another name": (_other_file, "ft_train.parquet: not in the manifest"),
    "a row more read": (_more_read, "rows were read, but"),
    "rows beyond a limit": (_fewer_listed, "rows were read, but"),
    "another purpose listed": (_other_purpose_listed, "in the file of ft_train, but not listed so"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_forged_is_named(data: Path, kind: str) -> None:
    edit, expected = FORGED[kind]
    forge(data, edit)
    problems = check(data).problems
    assert any(expected in line for line in problems), problems
    assert "manifest.json: altered since it was written" not in problems


def _edges_changed(data: Path, edit: Callable[[list[dict[str, Any]]], object]) -> tuple[str, ...]:
    edges = read_edges(data)
    edit(edges)
    manifest = read_json(data / "manifest.json")
    manifest["files"]["edges.parquet"] = file_sha256(write_edges(data, edges))
    seal(data, manifest)
    return check(data).problems


def test_edges_have_to_make_the_clusters(data: Path) -> None:
    rows = len(read_json(data / "manifest.json")["rows"])
    (problem,) = _edges_changed(data, lambda edges: edges.pop())
    assert problem.startswith("edges.parquet: its edges make")
    assert (
        f"edges.parquet: joins rows 0 and {rows}"
        in _edges_changed(data, lambda edges: edges.append(edges[0] | {"first": 0, "second": rows}))[0]
    )


@pytest.mark.parametrize("name", ["purposes", "unused", "files", "seed", "settings", "sources", "rows", "beyond_limit"])
@pytest.mark.parametrize("value", [[], {"ft_train": 1}, "x", [None]])
def test_a_manifest_that_is_not_whole_is_one_line(data: Path, name: str, value: object) -> None:
    manifest = read_json(data / "manifest.json")
    seal(data, manifest | {name: value})
    if value == [] and name in ("rows", "sources"):
        assert any("rows were read, but" in line for line in check(data).problems)
        return
    with pytest.raises(DataError, match=r"manifest.json: not whole") as caught:
        check(data)
    assert "\n" not in str(caught.value)


def test_rows_with_a_null_or_another_type_are_a_damaged_file(data: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = data / "ft_train.parquet"
    whole = pq.read_table(path)
    for column, values in {
        "source": pa.nulls(len(whole), pa.string()),
        "row": pa.array(["1"] * len(whole)),
        "messages": pa.array([[{"role": "user", "content": None}]] * len(whole)),
        "completion": pa.nulls(len(whole), pa.string()),
        "columns": pa.array(["[]"] * len(whole)),
        "kind": pa.array(["tree"] * len(whole)),
    }.items():
        pq.write_table(whole.set_column(whole.schema.get_field_index(column), column, values), path)
        assert "ft_train.parquet: altered since the manifest was written" in check(data).problems
        with pytest.raises(DataError, match="damaged or altered"):
            read_rows(data, "ft_train")


def test_rows_beyond_the_limit_are_accounted_for(tmp_path: Path) -> None:
    settings = DataSettings(arithmetic=ArithmeticSettings(rows=60), limit=20)
    manifest = prepare(settings, seed=0, out=tmp_path / "out")
    assert (len(manifest["rows"]), manifest["beyond_limit"]) == (20, 40)
    assert check(tmp_path / "out").is_proven
