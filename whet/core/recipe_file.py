"""From a YAML or TOML file, the environment, and flags to one valid recipe; every problem at once, each with its line.

Order: default < file < environment (`WHET_SFT__LEARNING_RATE=1e-4`) < flag or keyword (`--sft.learning-rate 1e-4`).
"""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from whet.core.errors import RecipeError, did_you_mean
from whet.core.recipe import Recipe

__all__ = ["LoadedRecipe", "field_table", "known_keys", "load_recipe"]

_PREFIX = "WHET_"
# Variables that configure the machine rather than a recipe.
_NOT_SETTINGS = ("WHET_PRODUCTS",)
_LARGEST_FILE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRecipe:
    """A valid recipe and where each value that is not a default came from: `{"sft.learning_rate": "demo.yaml:7"}`."""

    recipe: Recipe
    origins: Mapping[str, str]


def load_recipe(
    path: Path | None, *, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> LoadedRecipe:
    """Read and merge; raises one `RecipeError` that lists every problem.

    `overrides` has dotted keys; text values are read as YAML, so that `"1e-5"` is a number and `"[1, 4]"` a list.
    """
    values, origins = ({}, {}) if path is None else _read(path)
    problems: list[str] = []
    layers = (_from_environment(os.environ if environ is None else environ), _from_flags(overrides or {}))
    for layer in layers:
        for key, (value, origin) in layer.items():
            try:
                _put(values, key.split("."), value)
            except RecipeError as error:
                problems.append(f"{origin}: {error}")
            origins = {old: at for old, at in origins.items() if not old.startswith(f"{key}.")} | {key: origin}
    problems += _unknown(values, origins)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        problems += _explained(error, origins, str(path or "recipe"))
        raise RecipeError(problems) from error
    if problems:
        raise RecipeError(problems)
    return LoadedRecipe(recipe=recipe, origins=origins)


def known_keys(model: type[BaseModel] = Recipe, prefix: str = "") -> dict[str, Any]:
    """Every dotted key of the schema with its pydantic field, sections included."""
    keys: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        keys[prefix + name] = field
        if (section := _section(field.annotation)) is not None:
            keys |= known_keys(section, f"{prefix}{name}.")
    return keys


def field_table() -> str:
    """The settings as a Markdown table: name, default, what it does."""
    lines = ["| setting | default | what it does |", "| --- | --- | --- |"]
    for key, field in known_keys().items():
        if _section(field.annotation) is not None:
            lines.append(f"| **{key}** | | {field.description} |")
            continue
        default = field.get_default(call_default_factory=True)
        shown = yaml.safe_dump(_plain(default), default_flow_style=True).removesuffix("...\n").strip()
        lines.append(f"| `{key}` | `{shown}` | {field.description} |".replace("||", "\\|\\|"))
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section class behind `X` or `X | None`; lists of sections are values."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate if annotation is candidate or type(None) in get_args(annotation) else None
    return None


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses aliases and a key given twice, and keeps the line of every key."""

    def __init__(self, stream: str, name: str) -> None:
        super().__init__(stream)
        self.file = name
        self.lines: dict[str, str] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            line = event.start_mark.line + 1
            raise RecipeError(f"{self.file}:{line}: a YAML alias (*name); write the value out")
        return super().compose_node(parent, index)


def _yaml_value(loader: _Loader, node: Any, path: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(loader.construct_object(key_node)), key_node.start_mark.line + 1
            full = f"{path}.{key}" if path else key
            if key in result:
                raise RecipeError(
                    f"{loader.file}:{line}: key {full!r} stands twice, first in line {loader.lines[full]}"
                )
            loader.lines[full] = f"{loader.file}:{line}"
            result[key] = _yaml_value(loader, value_node, full)
        return result
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            loader.lines[f"{path}.{place}"] = f"{loader.file}:{item.start_mark.line + 1}"
        return [_yaml_value(loader, item, f"{path}.{place}") for place, item in enumerate(node.value)]
    return _number(loader.construct_object(node))


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-5 as text; it is a number here."""
    if isinstance(value, str) and value[:1] in "+-.0123456789" and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise RecipeError(f"{path}: larger than 1 MB; a recipe is a short YAML or TOML file")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = [file.name for suffix in ("*.yaml", "*.yml", "*.toml") for file in path.parent.glob(suffix)]
        raise RecipeError(f"{path}: no such recipe{did_you_mean(path.name, near)}") from None
    except IsADirectoryError:
        raise RecipeError(f"{path}: a folder; give the recipe file in it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: cannot be read ({error}); a recipe is a UTF-8 YAML or TOML file") from error
    if path.suffix == ".toml":
        return _read_toml(path, text)
    loader = _Loader(text, path.name)
    try:
        node = loader.get_single_node()
        value = {} if node is None else _yaml_value(loader, node, "")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise RecipeError(f"{path.name}{line}: not valid YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(value, dict):
        raise RecipeError(f"{path.name}:1: a recipe is a mapping of settings (got {type(value).__name__})")
    return value, loader.lines


def _read_toml(path: Path, text: str) -> tuple[dict[str, Any], dict[str, str]]:
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path.name}: not valid TOML ({error})") from error
    lines, table = {}, ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("[") and not stripped.startswith("[["):
            table = stripped.strip("[]").strip() + "."
            lines[table[:-1]] = f"{path.name}:{number}"
        elif "=" in stripped and not stripped.startswith("#"):
            lines[table + stripped.split("=", 1)[0].strip()] = f"{path.name}:{number}"
    return value, lines


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found = {}
    for variable, text in sorted(environ.items()):
        if variable.startswith(_PREFIX) and variable not in _NOT_SETTINGS:
            key = variable.removeprefix(_PREFIX).lower().replace("__", ".")
            found[key] = (_parsed(text), f"environment {variable}")
    return found


def _from_flags(overrides: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    return {
        key.replace("-", "_"): (_parsed(value) if isinstance(value, str) else value, f"--{key.replace('_', '-')}")
        for key, value in overrides.items()
    }


def _parsed(text: str) -> Any:
    try:
        return _number(yaml.safe_load(text)) if text.strip() else text
    except yaml.YAMLError:
        return text


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    place = values
    for name in path[:-1]:
        if place.get(name) is None:
            place[name] = {}
        place = place[name]
        if not isinstance(place, dict):
            raise RecipeError(f"{'.'.join(path)}: {name} is a single value, not a section")
    place[path[-1]] = value


def _unknown(values: Mapping[str, Any], origins: Mapping[str, str]) -> Iterator[str]:
    known = known_keys()
    for key in _leaves(values):
        if key not in known:
            name = key.rsplit(".", 1)[-1]
            elsewhere = [other for other in known if other.rsplit(".", 1)[-1] == name]
            hint = f"; did you mean {elsewhere[0]!r}?" if elsewhere else did_you_mean(key, _near(key, known))
            yield f"{origins.get(key, 'recipe')}: unknown key {key!r}{hint}"


def _near(key: str, known: Mapping[str, Any]) -> list[str]:
    """The keys of the same section, or all when the section itself is unknown."""
    section = key.rpartition(".")[0]
    siblings = [other for other in known if other.rpartition(".")[0] == section]
    return siblings or list(known)


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    known = known_keys()
    for key, value in values.items():
        full = prefix + str(key)
        if isinstance(value, Mapping) and full in known and _section(known[full].annotation) is not None:
            yield from _leaves(value, f"{full}.")
        else:
            yield full


def _explained(error: ValidationError, origins: Mapping[str, str], file: str) -> Iterator[str]:
    problems = error.errors()
    places = [problem["loc"] for problem in problems]
    for problem in problems:
        if any(other[: len(problem["loc"])] == problem["loc"] and other != problem["loc"] for other in places):
            continue  # a list whose items are wrong is reported by its items
        if problem["type"] == "extra_forbidden" and "." not in str(problem["loc"][-1]):
            inside_list = any(isinstance(part, int) for part in problem["loc"])
            if not inside_list:
                continue  # named by `_unknown`, with a suggestion
        key = ".".join(str(part) for part in problem["loc"] if part not in ("str", "tuple[str, ...]"))
        where = next((origins[at] for at in _upwards(key) if at in origins), Path(file).name)
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key"
        got = problem["input"]
        shown = f" (got {got!r})" if isinstance(got, str | int | float | bool | None) and "got" not in message else ""
        start = "must " if problem["msg"].startswith("Input should") else ""
        yield f"{where}: {key}: {start}{message}{shown}" if key else f"{where}: {start}{message}"


def _upwards(key: str) -> Iterator[str]:
    while key:
        yield key
        key = key.rpartition(".")[0]
