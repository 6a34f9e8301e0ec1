"""JSON files of a stranger, read within bounds: bytes, depth, and numbers that are numbers."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whet.core.errors import ModelError, first_line

__all__ = ["read_bounded_json", "require_shallow"]

# What is taken out of JSON, in this order, until nothing but brackets is left.
_ESCAPES = re.compile(rb"\\.", re.DOTALL)
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_STRINGS = re.compile(rb'"[^"]*"')
_DEEPEST = 64


def read_bounded_json(path: Path, *, most_bytes: int) -> Any:
    """The file's value; `ModelError` names the file when it is too large, too deep, or no JSON."""
    content = _bounded(path, most_bytes)
    require_shallow(path, content)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON ({first_line(error)})") from error
    strange = next(_not_finite(value, ""), None)
    if strange is not None:
        raise ModelError(f"{path}: {strange}, which is no number; write one, or take the key out")
    return value


def require_shallow(path: Path, content: bytes) -> None:
    """`ModelError` for JSON that is nested deeper than any tokenizer or config; quick for files of many megabytes."""
    deepest = depth = 0
    for bracket in _STRINGS.sub(b"", _ESCAPES.sub(b"", content).translate(None, _NO_STRUCTURE)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise ModelError(f"{path}: nested {deepest} levels deep; no model's file is deeper than {_DEEPEST}")


def _bounded(path: Path, most_bytes: int) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(most_bytes + 1)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > most_bytes:
        raise ModelError(f"{path}: larger than {most_bytes:,} bytes; no model's {path.name} is")
    return content


def _not_finite(value: Any, key: str) -> Iterator[str]:
    """Python's JSON takes NaN, Infinity, and numbers that become infinite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{key or 'it'} is {value}"
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _not_finite(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _not_finite(inner, f"{key}.{place}" if key else str(place))
