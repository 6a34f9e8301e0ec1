"""The purposes as files, who may open which, and the manifest that says where every row went and why."""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from whet.core.errors import DataError
from whet.core.files import atomic_file, content_id, file_sha256, read_json
from whet.core.records import (
    EVALUATION_PURPOSES,
    PURPOSES,
    TRAINING_PURPOSES,
    Comparison,
    Conversation,
    Message,
    Origin,
    Prompt,
    Purpose,
    Ranking,
    Record,
    prompt_in,
)

__all__ = [
    "FORMAT",
    "UNUSED",
    "Provenance",
    "StoredRow",
    "is_sealed",
    "manifest_hash",
    "open_for_evaluation",
    "open_for_training",
    "read_edges",
    "read_manifest",
    "read_rows",
    "write_edges",
    "write_manifest",
    "write_rows",
]

FORMAT = 4
Provenance = Literal["row", "derived"]
_Row = TypeVar("_Row")
# The file of the rows that serve no purpose: duplicates that were dropped, rows beyond the sizes.
UNUSED = "unused"
# The manifest's last line: the SHA-256 of all that stands above it.
_SEAL = b'  "seal": "'
_ROWS_IN_A_GROUP, _LETTERS_IN_A_GROUP = 20_000, 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A row in a file: the record it was read as, its cluster, and the ranking that a reward model learns from it.

    `provenance` says where that ranking is from: the row itself, or derived from its demonstration.
    """

    record: Record
    cluster: str
    ranking: Ranking | None = None
    provenance: Provenance | None = None

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def carries(self) -> str:
        """A hash of what the row carries and its id is not of: slice, columns, a ranking and its provenance."""
        prompt, ranked = prompt_in(self.record), self.ranking
        ranking = [] if ranked is None else [*ranked.completions, *map(str, ranked.ranks)]
        return content_id(prompt.slice, _columns_text(prompt), self.provenance or "", *ranking)


def open_for_training(data_dir: Path, purpose: Purpose) -> list[Any]:
    """The records of a purpose that training may see; any other purpose is our mistake and refused.

    `ft_*` gives Conversation, `rm_*` Ranking or Comparison, `rl_*` Prompt.
    """
    assert purpose in TRAINING_PURPOSES, f"{purpose} is for evaluation; no path leads from training to it"
    return [_for(purpose, row) for row in read_rows(data_dir, purpose)]


def open_for_evaluation(data_dir: Path, purpose: Purpose) -> list[Any]:
    """The records of a purpose that only evaluation may see; `final` gives Prompt, the others as for training."""
    assert purpose in EVALUATION_PURPOSES, f"{purpose} is for training; evaluate on what was held out"
    return [_for(purpose, row) for row in read_rows(data_dir, purpose)]


def _for(purpose: Purpose, row: StoredRow) -> Record:
    if purpose.startswith("rm_"):
        return row.ranking or row.record
    return row.record if purpose.startswith("ft_") else prompt_in(row.record)


def manifest_hash(data_dir: Path) -> str:
    """SHA-256 of the manifest, which holds the hashes of everything else: the identity of the prepared data."""
    return file_sha256(_manifest_path(data_dir))


def read_manifest(data_dir: Path) -> dict[str, Any]:
    """The manifest as written; one of another version of the format is a `DataError` that says so."""
    path = _manifest_path(data_dir)
    manifest = read_json(path)
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version == FORMAT:
        return dict(manifest)
    if type(version) is not int:
        raise DataError(f"{path}: not a manifest, which says its format; prepare the data again")
    raise DataError(
        f"{path}: a manifest of format {version}, and this version reads format {FORMAT}; prepare the data again"
    )


def write_manifest(data_dir: Path, manifest: Mapping[str, Any]) -> None:
    """Indented JSON, but one line for each row, so that two manifests can be compared by eye; its seal at the end."""
    digest = hashlib.sha256()
    mark = "\x00rows\x00"
    text = json.dumps({**manifest, "rows": mark}, indent=2, ensure_ascii=False, allow_nan=False)
    before, _, after = text.partition(json.dumps(mark))
    with atomic_file(data_dir / "manifest.json") as stream:

        def write(part: str) -> None:
            encoded = part.encode("utf-8", "backslashreplace")
            digest.update(encoded)
            stream.write(encoded)

        write(before + "[")
        for number, row in enumerate(manifest["rows"]):
            write(f"{',' if number else ''}\n    {json.dumps(row, ensure_ascii=False)}")
        write(("\n  ]" if len(manifest["rows"]) else "]") + after.removesuffix("\n}") + ",\n")
        stream.write(_SEAL + f'{digest.hexdigest()}"\n}}\n'.encode())


def is_sealed(data_dir: Path) -> bool:
    """Whether the manifest is, byte for byte, as it was written; whoever writes another one can seal that."""
    above, mark, seal = _manifest_path(data_dir).read_bytes().rpartition(_SEAL)
    return bool(mark) and seal == f'{hashlib.sha256(above).hexdigest()}"\n}}\n'.encode()


def _manifest_path(data_dir: Path) -> Path:
    path = data_dir / "manifest.json"
    if not path.is_file():
        raise DataError(f"{data_dir}: no manifest.json; make it with: whet data split SOURCE --out {data_dir}")
    return path


def _cells(stored: StoredRow) -> dict[str, Any]:
    record, ranking = stored.record, stored.ranking
    prompt = prompt_in(record)
    row: dict[str, Any] = {
        "id": stored.id,
        "cluster": stored.cluster,
        "kind": type(record).__name__.lower(),
        "messages": [
            {"role": turn.role, "content": turn.content, "is_learned": turn.is_learned} for turn in prompt.messages
        ],
        "completion": record.completion if isinstance(record, Conversation) else None,
        "margin": record.margin if isinstance(record, Comparison) else None,
        "provenance": stored.provenance,
        "answer": prompt.answer,
        "slice": prompt.slice,
        "columns": _columns_text(prompt),
        "source": prompt.origin.source,
        "row": prompt.origin.row,
    }
    if isinstance(record, Comparison):
        return row | {"completions": [record.chosen, record.rejected], "ranks": [0, 1]}
    ranked = record if isinstance(record, Ranking) else ranking
    return row | ({"completions": list(ranked.completions), "ranks": list(ranked.ranks)} if ranked else {})


def _columns_text(prompt: Prompt) -> str:
    return json.dumps(_finite(dict(prompt.columns)), sort_keys=True, default=str)


def _finite(value: Any) -> Any:
    """NaN in a column that nothing of ours reads is what tables write for "missing": null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def write_rows(data_dir: Path, name: str, rows: Iterable[StoredRow]) -> Path:
    """`NAME.parquet`, whole or absent; the same rows give the same bytes."""
    import pyarrow as pa

    text = pa.string()
    turn = pa.struct([("role", text), ("content", text), ("is_learned", pa.bool_())])
    fields = {
        "id": text,
        "cluster": text,
        "kind": text,
        "messages": pa.list_(turn),
        "completion": text,
        "completions": pa.list_(text),
        "ranks": pa.list_(pa.int32()),
        "margin": pa.float64(),
        "provenance": text,
        "answer": text,
        "slice": text,
        "columns": text,
        "source": text,
        "row": pa.int64(),
    }
    return _write_table(data_dir / f"{name}.parquet", map(_cells, rows), pa.schema(fields))


def write_edges(data_dir: Path, edges: Sequence[Mapping[str, Any]]) -> Path:
    """`edges.parquet`: what joined the clusters, by position in the manifest's list of rows."""
    import pyarrow as pa

    fields = {"kind": pa.string(), "first": pa.int64(), "second": pa.int64(), "score": pa.float64()}
    written = (dict(edge, evidence=edge["evidence"].encode("utf-8", "backslashreplace").decode()) for edge in edges)
    return _write_table(data_dir / "edges.parquet", written, pa.schema(fields | {"evidence": pa.string()}))


def _write_table(path: Path, rows: Iterable[Mapping[str, Any]], schema: Any) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic_file(path) as stream, pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for group in _row_groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
    return path


def _row_groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Rows that are written together: few enough for memory, and the same ones each time."""
    group: list[Mapping[str, Any]] = []
    letters = 0
    for row in rows:
        group.append(row)
        letters += sum(len(cell) for cell in row.values() if isinstance(cell, str))
        letters += sum(len(turn["content"]) for turn in row.get("messages", ()))
        letters += sum(map(len, row.get("completions") or ()))
        if len(group) == _ROWS_IN_A_GROUP or letters >= _LETTERS_IN_A_GROUP:
            yield group
            group, letters = [], 0
    if group:
        yield group


def read_rows(data_dir: Path, name: str, *, ids: Collection[str] | None = None) -> list[StoredRow]:
    """The rows of a file, or those with these ids; stages use `open_for_training` and `open_for_evaluation`."""
    assert name in (*PURPOSES, UNUSED)
    return _read_table(data_dir / f"{name}.parquet", _stored, ids=ids)


def read_edges(data_dir: Path) -> list[dict[str, Any]]:
    """What joined the clusters, as `write_edges` took it."""
    return _read_table(data_dir / "edges.parquet", dict)


def _read_table(path: Path, understand: Callable[[Any], _Row], *, ids: Collection[str] | None = None) -> list[_Row]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path}: no such file; make it with: whet data split SOURCE --out {path.parent}")
    try:
        with pq.ParquetFile(path) as file:  # pq.read_table imports pandas where that is installed, 0.4 s
            table = file.read()
        if ids is not None:
            table = table.filter(pc.is_in(table["id"], pa.array(ids, type=pa.string())))
        return [understand(row) for row in table.to_pylist()]
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: damaged or altered ({reason}); prepare the data again") from error


def _stored(row: Mapping[str, Any]) -> StoredRow:
    """The row that `_cells` wrote; `ValueError` when something is of another type, as only altered files have it."""
    turns = row["messages"]
    texts = [
        row["cluster"],
        row["slice"],
        row["source"],
        *(turn[part] for turn in turns for part in ("role", "content")),
    ]
    texts += [*(row["completions"] or ()), *([row["completion"]] if row["kind"] == "conversation" else ())]
    flags = [turn["is_learned"] for turn in turns]
    if not all(isinstance(text, str) for text in texts) or type(row["row"]) is not int:
        raise ValueError("a row without its texts or its place")
    if not all(isinstance(flag, bool) for flag in flags):
        raise ValueError("a turn that does not say whether it is learned")
    columns = json.loads(row["columns"])
    if not isinstance(columns, dict):
        raise ValueError("columns that are no object")
    prompt = Prompt(
        messages=tuple(Message(**turn) for turn in turns),
        origin=Origin(source=row["source"], row=row["row"]),
        answer=row["answer"],
        slice=row["slice"],
        columns=columns,
    )
    ranking = None
    if row["kind"] != "comparison" and row["completions"] is not None:
        ranking = Ranking(prompt=prompt, completions=tuple(row["completions"]), ranks=tuple(row["ranks"]))
    match row["kind"]:
        case "conversation":
            record: Record = Conversation(prompt=prompt, completion=row["completion"])
        case "comparison":
            chosen, rejected = row["completions"]
            record = Comparison(prompt=prompt, chosen=chosen, rejected=rejected, margin=row["margin"])
        case "ranking" if ranking is not None:
            record, ranking = ranking, None
        case "prompt":
            record = prompt
        case kind:
            raise ValueError(f"a row of unknown kind {kind!r}")
    return StoredRow(record=record, cluster=row["cluster"], ranking=ranking, provenance=row["provenance"])
