"""The text of a recipe, YAML or TOML, as plain values with the line of each.

YAML is read as its version 1.2 means it: `1e-5` is a number, `010` is ten, `no` and `1:30` are text. Aliases, tags and
a key that stands twice are refused, so nothing grows and nothing is overwritten unseen.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from whet.core.errors import RecipeError, did_you_mean

__all__ = ["read_recipe_file", "read_value", "read_yaml"]

_LARGEST_FILE = 100_000
_DEEPEST = 20
_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Composes nodes only; what they mean is decided here, in `_value`."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (PyYAML's own way)

    def __init__(self, stream: str, file: str) -> None:
        self.file = file
        self.lines: dict[str, str] = {}
        self.depth = 0
        super().__init__(stream)

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise RecipeError(f"{self.file}:{line}: a YAML alias (*name); write the value out")
        if self.depth == _DEEPEST:
            raise RecipeError(f"{self.file}:{line}: nested deeper than {_DEEPEST} levels; no setting is")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


# What plain text means, by YAML 1.2's core schema: the pattern, and the characters that such a text begins with.
_PLAIN = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}
for _name, (_pattern, _first) in _PLAIN.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)


def read_recipe_file(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a recipe file, and `{"sft.learning_rate": "demo.yaml:7"}`: where each stands."""
    try:
        if path.is_dir():
            raise RecipeError(f"{path}: a folder; give the recipe file in it")
        if path.exists() and not path.is_file():
            raise RecipeError(f"{path}: not a file; a recipe is a YAML or TOML file")
        if path.stat().st_size > _LARGEST_FILE:
            raise RecipeError(f"{path}: larger than {_LARGEST_FILE // 1000} kB; a recipe is a short YAML or TOML file")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = [file.name for suffix in ("*.yaml", "*.yml", "*.toml") for file in path.parent.glob(suffix)]
        raise RecipeError(f"{path}: no such recipe{did_you_mean(path.name, near)}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RecipeError(f"{path.name}:{line}: not UTF-8; save the recipe as UTF-8 text") from error
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror or error})") from error
    return _read_toml(text, path.name) if path.suffix == ".toml" else read_yaml(text, path.name)


def read_yaml(text: str, file: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A YAML mapping and the line of each of its keys; an empty text is an empty mapping."""
    try:
        loader = _Loader(text, file)
        node = loader.get_single_node()
        value = {} if node is None else _value(loader, node, "")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = (
            f"{file}:{mark.line + 1}" if mark else f"{file}:{text[: getattr(error, 'position', 0)].count(chr(10)) + 1}"
        )
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise RecipeError(f"{place}: not valid YAML ({what})") from error
    if not isinstance(value, dict):
        raise RecipeError(f"{file}:1: a recipe is a mapping of settings, name: value (got {_kind(value)})")
    return value, loader.lines


def read_value(text: str) -> Any:
    """What a flag's or a variable's text means: `"1e-5"` is a number, `"[1, 4]"` a list; else the text itself."""
    try:
        loader = _Loader(text, "value")
        node = loader.get_single_node()
        return text if node is None else _value(loader, node, "")
    except (yaml.YAMLError, RecipeError):
        return text


def _kind(value: Any) -> str:
    return {list: "a list", str: "text", bool: "true or false", type(None): "nothing"}.get(type(value), "a number")


def _value(loader: _Loader, node: Any, path: str) -> Any:
    line = f"{loader.file}:{node.start_mark.line + 1}"
    if not node.tag.startswith(_TAG) or ":" in node.tag.removeprefix(_TAG):
        raise RecipeError(f"{line}: a YAML tag ({node.tag}); write the value out")
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for place, item in enumerate(node.value):
            loader.lines[f"{path}.{place}"] = f"{loader.file}:{item.start_mark.line + 1}"
            items.append(_value(loader, item, f"{path}.{place}"))
        return items
    return _scalar(node.tag.removeprefix(_TAG), node.value)


def _mapping(loader: _Loader, node: Any, path: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise RecipeError(f"{loader.file}:{line}: a key that is no word; settings are written name: value")
        key = key_node.value
        full = f"{path}.{key}" if path else key
        if key in result:
            first = loader.lines[full].rpartition(":")[2]
            raise RecipeError(f"{loader.file}:{line}: key {full!r} stands twice, first in line {first}")
        loader.lines[full] = f"{loader.file}:{line}"
        if isinstance(value_node, yaml.ScalarNode) and value_node.tag == f"{_TAG}null" and not value_node.value:
            raise RecipeError(f"{loader.file}:{line}: {full}: nothing stands behind it; write a value, null, or {{}}")
        result[key] = _value(loader, value_node, full)
    return result


def _scalar(tag: str, text: str) -> Any:
    try:
        match tag:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:  # more digits than a number may have: the schema says so
        pass
    return text


def _read_toml(text: str, file: str) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = found[1] if found and found[1] else text.count("\n") + 1
        what = str(error)[: found.start()] if found else str(error)
        raise RecipeError(f"{file}:{line}: not valid TOML ({what})") from error
    except RecursionError:
        raise RecipeError(f"{file}: nested deeper than {_DEEPEST} levels; no setting is") from None
    return value, dict(_toml_lines(text, file))


def _toml_lines(text: str, file: str) -> Iterator[tuple[str, str]]:
    """The line of each table and key; keys of inline tables are found at the line of their table."""
    table, counts = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if (array := re.match(r"\[\[\s*([\w.-]+)\s*\]\]", stripped)) is not None:
            place = counts.get(array[1], 0)
            counts[array[1]] = place + 1
            table = f"{array[1]}.{place}."
            yield table[:-1], f"{file}:{number}"
        elif (header := re.match(r"\[\s*([\w.-]+)\s*\]", stripped)) is not None:
            table = header[1] + "."
            yield header[1], f"{file}:{number}"
        elif (pair := re.match(r"([\w.-]+)\s*=", stripped)) is not None:
            yield table + pair[1], f"{file}:{number}"
