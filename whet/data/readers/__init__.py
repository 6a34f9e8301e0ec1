"""Bytes to raw rows, one reader per file format, in bounded pieces. What a row means is decided elsewhere.

A text file is read row by row, compressed or not; Parquet and Arrow files up to a thousand rows at a time. A row of
more than `data.max_row_bytes` is refused before it is held. The exception is a `.json` file that holds one object with
the rows in it: it is held whole, and refused when it is large.

Add a format: write a reader `(path, reading) -> rows` in a file of its own, and put it into READERS with its ending.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from whet.data.readers.columnar import arrow_rows, parquet_rows
from whet.data.readers.json_rows import json_line_rows, json_rows
from whet.data.readers.lines import Reading
from whet.data.readers.tables import csv_rows, tsv_rows

__all__ = ["READERS", "Reader"]

Reader = Callable[[Path, Reading], Iterator[Any]]

READERS: Mapping[str, Reader] = {
    ".jsonl": json_line_rows,
    ".json": json_rows,
    ".csv": csv_rows,
    ".tsv": tsv_rows,
    ".parquet": parquet_rows,
    ".arrow": arrow_rows,
}
