"""From a recipe file, the environment, and flags to one valid recipe; every problem at once, each with its line.

Order: default < file < environment (`WHET_SFT__LEARNING_RATE=1e-4`) < flag or keyword (`--sft.learning-rate 1e-4`).
"""

import difflib
import functools
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.recipe.reserved import not_yet
from whet.core.recipe.text import read_recipe_file, read_value
from whet.core.runlog import printable

__all__ = ["LoadedRecipe", "field_table", "json_schema", "known_keys", "load_recipe", "section_of", "shown_default"]

_PREFIX = "WHET_"
# Variables that configure the machine rather than a recipe.
_NOT_SETTINGS = ("WHET_PRODUCTS",)
# What other trainers call a setting of ours.
_CALLED_ELSEWHERE = {
    "base_model": "model",
    "cliprange": "epsilon",
    "dataset": "source",
    "epochs": "num_train_epochs",
    "group_size": "num_generations",
    "kl_coef": "beta",
    "lr": "learning_rate",
    "lr_scheduler": "lr_scheduler_type",
    "max_new_tokens": "max_completion_length",
    "max_seq_length": "max_length",
    "model_name_or_path": "model",
    "num_epochs": "num_train_epochs",
    "per_device_train_batch_size": "batch_size",
    "rl.batch_size": "prompts_per_step",
    "rl.max_steps": "steps",
    "rl.per_device_train_batch_size": "prompts_per_step",
}
_MOST_PROBLEMS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRecipe:
    """A valid recipe and where each value that is not a default came from: `{"sft.learning_rate": "demo.yaml:7"}`.

    `file` is the recipe's file; relative names in it are looked for beside it first. None where there is none.
    """

    recipe: Recipe
    origins: Mapping[str, str]
    file: Path | None = None

    @property
    def folder(self) -> Path | None:
        return None if self.file is None else self.file.parent

    def where(self, key: str) -> str:
        """What an error about a setting begins with: its file and line, its flag or variable, else the file."""
        return _where(key, self.origins, "recipe" if self.file is None else self.file.name)


def load_recipe(
    path: Path | None, *, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> LoadedRecipe:
    """Read and merge; raises one `RecipeError` that lists every problem.

    `overrides` has dotted keys; text values mean what they would in the file, so `"1e-5"` is a number where a number is
    wanted. A mapping for a section changes the settings it names and leaves the others; an empty one adds the section.
    """
    values, origins = ({}, {}) if path is None else read_recipe_file(path)
    problems: list[str] = []
    layers = (_from_environment(os.environ if environ is None else environ), _from_flags(overrides or {}))
    for layer in layers:
        for key, (value, origin) in layer.items():
            try:
                origins = _put(values, key, value, origins, origin)
            except RecipeError as error:
                problems.append(f"{origin}: {error}")
    file = "recipe" if path is None else path.name
    problems += itertools.islice(_unknown(values, origins, file), _MOST_PROBLEMS + 1)
    problems += _switches_for_numbers(values, origins, file)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        problems += itertools.islice(_explained(error, origins, file), _MOST_PROBLEMS + 1)
        raise RecipeError(_lines(problems)) from error
    if problems:
        raise RecipeError(_lines(problems))
    return LoadedRecipe(recipe=recipe, origins=origins, file=path)


def _lines(problems: Sequence[str]) -> list[str]:
    """One terminal line each, in the order of the file's lines, and not a flood of them."""
    lines = [printable(problem, limit=1000).replace("\n", "\\n") for problem in problems]
    lines.sort(key=lambda line: int(found[1]) if (found := re.match(r"[^:]*:(\d+): ", line)) else 0)
    more = [f"and more; these are the first {_MOST_PROBLEMS} problems"] if len(lines) > _MOST_PROBLEMS else []
    return lines[:_MOST_PROBLEMS] + more


@functools.cache
def known_keys() -> Mapping[str, Any]:
    """Every dotted key of the schema with its pydantic field, sections included."""
    return dict(_keys(Recipe, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield prefix + name, field
        if (section := section_of(field.annotation)) is not None:
            yield from _keys(section, f"{prefix}{name}.")


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section class behind `X` or `X | None`; lists of sections, and what may also be a text, are values."""
    kinds = set(get_args(annotation) or (annotation,)) - {type(None)}
    only = kinds.pop() if len(kinds) == 1 else None
    return only if isinstance(only, type) and issubclass(only, BaseModel) else None


def _item_section(annotation: Any) -> type[BaseModel] | None:
    """The section class that the items of a value are of, however deep it stands in the annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _item_section(inner)) is not None), None)


@functools.cache
def _item_sections() -> Mapping[str, type[BaseModel]]:
    """The values that hold sections, such as `rl.rewards`, and the class of these."""
    values = ((key, field.annotation) for key, field in known_keys().items() if section_of(field.annotation) is None)
    return {key: items for key, annotation in values if (items := _item_section(annotation)) is not None}


def shown_default(field: Any) -> str:
    """A field's default as one would write it in the file."""
    default = _plain(field.get_default(call_default_factory=True))
    return (
        str(yaml.safe_dump(default, default_flow_style=True, width=10_000, sort_keys=False))
        .removesuffix("...\n")
        .strip()
    )


def field_table() -> str:
    """The settings as a Markdown table: name, default, what it does."""
    lines = ["| setting | default | what it does |", "| --- | --- | --- |"]
    for key, field in known_keys().items():
        what = re.sub(r"[|<]", r"\\\g<0>", field.description)
        if section_of(field.annotation) is not None:
            lines.append(f"| **{key}** | | {what} |")
        else:
            lines.append(f"| `{key}` | `{shown_default(field)}` | {what} |")
    return "\n".join(lines) + "\n"


def json_schema() -> dict[str, Any]:
    """The schema as JSON Schema, for editors: `# yaml-language-server: $schema=whet.schema.json` atop a recipe."""
    return Recipe.model_json_schema()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found = {}
    for variable, text in sorted(environ.items()):
        if variable.startswith(_PREFIX) and variable not in _NOT_SETTINGS:
            key = variable.removeprefix(_PREFIX).lower().replace("__", ".")
            found[key] = (_meant(key, text), f"environment {variable}")
    return found


def _from_flags(overrides: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    found = {}
    for given, value in overrides.items():
        key = given.replace("-", "_")
        found[key] = (_meant(key, value), f"--{key.replace('_', '-')}")
    return found


def _meant(key: str, value: Any) -> Any:
    """A text's value. Where the setting is a text it stays one: `--name 12`, `--template.system "Think: twice."`."""
    if not isinstance(value, str):
        return value
    kinds = _kinds(key)
    if str in kinds and not (value == "null" and type(None) in kinds):
        is_structure = value.startswith(("[", "{")) and len(kinds) > 1
        return read_value(value) if is_structure else value
    return read_value(value)


def _kinds(key: str) -> tuple[Any, ...]:
    """What the setting may be; for a name in a mapping, such as `data.columns.question`, what its values may be."""
    known = known_keys()
    field, around = known.get(key), known.get(key.rpartition(".")[0])
    if field is not None:
        return () if get_origin(field.annotation) is Mapping else (field.annotation, *get_args(field.annotation))
    is_in_mapping = around is not None and get_origin(around.annotation) is Mapping
    return get_args(around.annotation)[1:] if around is not None and is_in_mapping else ()


def _put(values: dict[str, Any], key: str, value: Any, origins: Mapping[str, str], origin: str) -> dict[str, str]:
    """Set a dotted key in the nested values; gives the origins that hold afterwards."""
    *sections, name = key.split(".")
    place = values
    for section in sections:
        if place.get(section) is None:
            place[section] = {}
        place = place[section]
        if not isinstance(place, dict):
            raise RecipeError(f"{key}: {section} is a single value, not a section")
    known = known_keys().get(key)
    if isinstance(value, Mapping) and known is not None and section_of(known.annotation) is not None:
        if not isinstance(place.get(name), dict):
            place[name] = {}
        for inner, item in value.items():
            origins = _put(values, f"{key}.{inner}", item, origins, origin)
        return dict(origins)
    place[name] = value
    return {old: at for old, at in origins.items() if not old.startswith(f"{key}.")} | {key: origin}


def _unknown(values: Mapping[str, Any], origins: Mapping[str, str], file: str) -> Iterator[str]:
    known = known_keys()
    for path, _ in _leaves(values):
        key = ".".join(path)
        where = _where(key, origins, file)
        if any("." in name for name in path):
            section, _, name = key.rpartition(".")
            yield f"{where}: unknown key {key!r}; write {name!r} in a section {section!r} of its own"
        elif key not in known:
            absent = not_yet(key)
            yield f"{where}: {key}: {absent}" if absent else f"{where}: unknown key {key!r}{_hint(key, values)}"


def _hint(key: str, values: Mapping[str, Any]) -> str:
    """The likeliest known key: the same name in the same section, a like one there, the same name elsewhere."""
    section, _, name = key.rpartition(".")
    name = name.lower().replace("-", "_")
    name = _CALLED_ELSEWHERE.get(f"{section}.{name}", _CALLED_ELSEWHERE.get(name, name))
    known = list(known_keys())
    siblings = {other.rpartition(".")[2]: other for other in known if other.rpartition(".")[0] == section}
    elsewhere = [other for other in known if other.rpartition(".")[2] == name]
    elsewhere.sort(key=lambda other: not isinstance(values.get(other.partition(".")[0]), Mapping))
    near = difflib.get_close_matches(name, siblings, n=1, cutoff=0.7)
    if name in siblings:
        return f"; did you mean {siblings[name]!r}?"
    if near or elsewhere:
        return f"; did you mean {(siblings[near[0]] if near else elsewhere[0])!r}?"
    far = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if far:
        return f"; did you mean {far[0]!r}?"
    return f"; known in {section}: {', '.join(siblings)}" if section else f"; known: {', '.join(siblings)}"


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The names on the way to each value, and the value; an unknown section counts as one value."""
    known = known_keys()
    for name, value in values.items():
        path = (*above, str(name))
        field = known.get(".".join(path))
        if isinstance(value, Mapping) and field is not None and section_of(field.annotation) is not None:
            yield from _leaves(value, path)
        else:
            yield path, value


def _switches_for_numbers(values: Mapping[str, Any], origins: Mapping[str, str], file: str) -> Iterator[str]:
    """`seed: true` would pass as 1."""
    known = known_keys()
    for path, value in _leaves(values):
        key = ".".join(path)
        if isinstance(value, bool) and key in known:
            kinds = (known[key].annotation, *get_args(known[key].annotation))
            if bool not in kinds and (int in kinds or float in kinds):
                yield f"{_where(key, origins, file)}: {key}: must be a number (got {str(value).lower()})"


def _explained(error: ValidationError, origins: Mapping[str, str], file: str) -> Iterator[str]:
    problems = error.errors()
    places = [_place(problem["loc"]) for problem in problems]
    sections = {place[:depth] for place in places for depth in range(len(place))}
    said = set()
    for problem, place in zip(problems, places, strict=True):
        items = _items_around(place)
        if problem["type"] == "extra_forbidden" and items is None:
            continue  # named by `_unknown`, with a suggestion
        if place in sections and place:
            continue  # a list whose items are wrong is reported by its items
        key = ".".join(map(str, place))
        if key in said:
            continue  # each alternative of a union complains
        said.add(key)
        where = _where(key, origins, file)
        if items is not None and problem["type"] == "extra_forbidden":
            yield f"{where}: unknown key {key!r}{_hint_in_item(place, items)}"
        else:
            yield f"{where}: {f'{key}: ' if key else ''}{_message(problem)}"


def _items_around(place: Sequence[int | str]) -> type[BaseModel] | None:
    """The class of the sections in a value, when the place is inside such a value."""
    key = ".".join(map(str, place))
    return next((items for value, items in _item_sections().items() if key.startswith(f"{value}.")), None)


def _hint_in_item(place: Sequence[int | str], items: type[BaseModel]) -> str:
    """As `_hint`, for a key of a section in a value, such as `rl.rewards.0.wieght`."""
    *above, name = place
    near = difflib.get_close_matches(str(name), items.model_fields, n=1, cutoff=0.6)
    section = ".".join(map(str, above))
    return f"; did you mean {f'{section}.{near[0]}'!r}?" if near else f"; known: {', '.join(items.model_fields)}"


def _place(loc: Sequence[int | str]) -> tuple[int | str, ...]:
    """Where a problem is, without pydantic's names of the alternatives of a union."""
    alternatives = {"str", *(items.__name__ for items in _item_sections().values())}
    return tuple(part for part in loc if isinstance(part, int) or (part.isidentifier() and part not in alternatives))


def _message(problem: Any) -> str:
    kind, got, context = problem["type"], problem["input"], problem.get("ctx") or {}
    plain = str(problem["msg"]).removeprefix("Value error, ").replace("Input should", "must")
    messages = {
        "missing": "is missing",
        "mapping_type": "must be a mapping, such as {name: value}",
        "dict_type": "must be a mapping, such as {name: value}",
        "model_type": "is a section: its settings stand below it, each as name: value",
        "tuple_type": "must be a list, such as [1, 2]",
        "too_short": f"must have at least {context.get('min_length')} item",
        "string_type": "must be text; put it in quotes",
        "string_pattern_mismatch": "must be letters, digits, '.', '_' and '-', beginning with a letter or digit",
        "string_too_short": "must not be empty",
        "int_parsing": "must be a whole number",
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_parsing": "must be a number",
        "float_type": "must be a number",
        "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
    }
    message: str = messages.get(kind, plain)
    if kind == "model_type" and problem["loc"] and isinstance(problem["loc"][-1], int):
        message = "must be a mapping, such as {name: answer, weight: 1.0}"
    if kind == "missing" or "got" in message or not isinstance(got, str | int | float | None):
        return message
    shown = "nothing" if got is None else str(got).lower() if isinstance(got, bool) else repr(got)
    return f"{message} (got {printable(shown, limit=80)})"


def _where(key: str, origins: Mapping[str, str], file: str) -> str:
    """The origin of the key, or of the nearest section around it that has one."""
    while key:
        if key in origins:
            return origins[key]
        key = key.rpartition(".")[0]
    return file
