"""The purposes as files, who may open which, and the manifest that says where every row went and why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.core.files import file_sha256, read_json
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
    "StoredRow",
    "manifest_hash",
    "open_for_evaluation",
    "open_for_training",
    "read_purpose",
    "write_purpose",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A record in a purpose's file, with the cluster that it was placed with."""

    record: Record
    cluster: str


def open_for_training(data_dir: Path, purpose: Purpose) -> list[Any]:
    """The records of a purpose that training may see; any other purpose is our mistake and refused."""
    assert purpose in TRAINING_PURPOSES, f"{purpose} is for evaluation; no path leads from training to it"
    return [row.record for row in read_purpose(data_dir, purpose)]


def open_for_evaluation(data_dir: Path, purpose: Purpose) -> list[Any]:
    """The records of a purpose that only evaluation may see."""
    assert purpose in EVALUATION_PURPOSES, f"{purpose} is for training; evaluate on what was held out"
    return [row.record for row in read_purpose(data_dir, purpose)]


def manifest_hash(data_dir: Path) -> str:
    """SHA-256 of the manifest, which holds the hashes of everything else: the identity of the prepared data."""
    path = data_dir / "manifest.json"
    if not path.is_file():
        raise DataError(f"{data_dir}: no manifest.json; make it with: whet data split SOURCE --out {data_dir}")
    return file_sha256(path)


def _columns(record: Record, cluster: str) -> dict[str, Any]:
    prompt = prompt_in(record)
    row: dict[str, Any] = {
        "id": record.id,
        "cluster": cluster,
        "kind": type(record).__name__.lower(),
        "messages": [{"role": turn.role, "content": turn.content} for turn in prompt.messages],
        "completion": record.completion if isinstance(record, Conversation) else None,
        "completions": None,
        "ranks": None,
        "margin": record.margin if isinstance(record, Comparison) else None,
        "answer": prompt.answer,
        "slice": prompt.slice,
        "columns": json.dumps(dict(prompt.columns), ensure_ascii=False, sort_keys=True, default=str),
        "source": prompt.origin.source,
        "row": prompt.origin.row,
    }
    if isinstance(record, Ranking):
        row |= {"completions": list(record.completions), "ranks": list(record.ranks)}
    elif isinstance(record, Comparison):
        row |= {"completions": [record.chosen, record.rejected], "ranks": [0, 1]}
    return row


def write_purpose(path: Path, rows: Sequence[StoredRow]) -> None:
    """One Parquet file; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, turn = pa.string(), pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema(
        [
            ("id", text),
            ("cluster", text),
            ("kind", text),
            ("messages", pa.list_(turn)),
            ("completion", text),
            ("completions", pa.list_(text)),
            ("ranks", pa.list_(pa.int32())),
            ("margin", pa.float64()),
            ("answer", text),
            ("slice", text),
            ("columns", text),
            ("source", text),
            ("row", pa.int64()),
        ]
    )
    table = pa.Table.from_pylist([_columns(row.record, row.cluster) for row in rows], schema=schema)
    pq.write_table(table, path, compression="zstd")


def read_purpose(data_dir: Path, purpose: Purpose) -> list[StoredRow]:
    """Rows of a purpose's file, whoever asks; stages use `open_for_training` and `open_for_evaluation`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert purpose in PURPOSES
    path = data_dir / f"{purpose}.parquet"
    if not path.is_file():
        raise DataError(f"{path}: no such file; make it with: whet data split SOURCE --out {data_dir}")
    try:
        rows = pq.read_table(path).to_pylist()
    except pa.ArrowException as error:
        raise DataError(f"{path}: damaged ({str(error).splitlines()[0]}); prepare the data again") from error
    return [StoredRow(record=_record(row), cluster=row["cluster"]) for row in rows]


def _record(row: Mapping[str, Any]) -> Record:
    prompt = Prompt(
        messages=tuple(Message(role=turn["role"], content=turn["content"]) for turn in row["messages"]),
        origin=Origin(source=row["source"], row=row["row"]),
        answer=row["answer"],
        slice=row["slice"],
        columns=json.loads(row["columns"]),
    )
    match row["kind"]:
        case "conversation":
            return Conversation(prompt=prompt, completion=row["completion"])
        case "ranking":
            return Ranking(prompt=prompt, completions=tuple(row["completions"]), ranks=tuple(row["ranks"]))
        case "comparison":
            chosen, rejected = row["completions"]
            return Comparison(prompt=prompt, chosen=chosen, rejected=rejected, margin=row["margin"])
        case _:
            return prompt


def read_manifest(data_dir: Path) -> dict[str, Any]:
    """The manifest as written."""
    if not (data_dir / "manifest.json").is_file():
        raise DataError(f"{data_dir}: no manifest.json; make it with: whet data split SOURCE --out {data_dir}")
    return dict(read_json(data_dir / "manifest.json"))
