"""Bytes to raw rows, one reader per file format, in bounded pieces. What a row means is decided elsewhere.

A text file is read line by line, compressed or not, so that memory holds its longest line; Parquet and Arrow files are
read a thousand rows at a time. The exception is a `.json` file that holds a list: its text is held whole, its rows are
made one at a time. For what is larger than memory write `.jsonl`.

Add a format: write a reader `(path, columns) -> rows` in a file of its own, and put it into READERS with its ending.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from whet.data.readers.columnar import arrow_rows, parquet_rows
from whet.data.readers.json_rows import json_line_rows, json_rows
from whet.data.readers.tables import csv_rows, tsv_rows

__all__ = ["READERS", "Reader"]

Reader = Callable[[Path, Mapping[str, str]], Iterator[Any]]

READERS: Mapping[str, Reader] = {
    ".jsonl": json_line_rows,
    ".json": json_rows,
    ".csv": csv_rows,
    ".tsv": tsv_rows,
    ".parquet": parquet_rows,
    ".arrow": arrow_rows,
}
