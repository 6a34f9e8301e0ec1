"""Settings on the command line: words to dotted keys, and the schema as help. Every flag follows from the schema."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

from whet.core.errors import RecipeError, did_you_mean
from whet.core.recipe.file import known_keys, section_of, shown_default

__all__ = ["settings_help", "split_words"]


def split_words(words: Sequence[str], *, own: Sequence[str] = ()) -> tuple[Path | None, dict[str, str]]:
    """The recipe file, when the first word is no flag, and the dotted settings behind it.

    >>> split_words(["demo.yaml", "--sft.learning-rate", "1e-4", "--seed=3"])
    (PosixPath('demo.yaml'), {'sft.learning_rate': '1e-4', 'seed': '3'})

    `own` are the verb's own flags, for the hint on a word that is neither.
    """
    left = list(words)
    path = Path(left.pop(0)) if left and not left[0].startswith("-") else None
    settings: dict[str, str] = {}
    problems: list[str] = []
    while left:
        word = left.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        key = name.replace("-", "_")
        if not word.startswith("--"):
            problems.append(f"unexpected argument {word!r}; settings are given as --name value")
        elif key not in known_keys() and (near := did_you_mean(f"--{name}", own)).startswith("; did"):
            problems.append(f"unknown flag --{name}{near}")
            left = left if equals or not left or left[0].startswith("--") else left[1:]
        elif not equals and (not left or left[0].startswith("--")):
            flags = [*own, *(_flag(known) for known in known_keys())]
            expects = f"--{name}: a value was expected behind it"
            problems.append(
                expects if key in known_keys() else f"unknown flag --{name}{did_you_mean('--' + name, flags)}"
            )
        else:
            settings[key] = value if equals else left.pop(0)
    if problems:
        raise RecipeError(problems)
    return path, settings


def settings_help(*sections: str) -> str:
    """The settings of these sections (all of them when none is named) as lines of help, fitted to the terminal."""
    head = "Settings of the recipe as flags, with their defaults:"
    return "\n".join([head, *_help_lines(sections, width=max(60, shutil.get_terminal_size((80, 24)).columns))])


def _help_lines(sections: Sequence[str], *, width: int) -> Iterator[str]:
    for key, field in known_keys().items():
        if sections and "." in key and key.partition(".")[0] not in sections:
            continue
        if section_of(field.annotation) is not None:
            if not sections or key.partition(".")[0] in sections:
                yield ""
                yield from textwrap.wrap(f"{key}: {field.description}", width)
            continue
        head = f"  {_flag(key)} {shown_default(field)}"
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        what = f"{field.description} ({' | '.join(choices)})" if len(choices) > 1 else field.description
        lines = textwrap.wrap(what, width - 38, break_long_words=False)
        if len(head) > 36:
            yield head
            head = ""
        for place, line in enumerate(lines):
            yield f"{head if place == 0 else '':<37} {line}"


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"
