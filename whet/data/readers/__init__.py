"""Bytes to raw rows, one reader per file format, in bounded pieces. What a row means is no business of a reader's."""
