"""Every mistake a user can make, in one tree. Each is one line: what was given, where, what was expected, what to do.

    WhetError
    ├── RecipeError          a setting is unknown, ill-typed, out of bounds or contradicts another (also ValueError)
    ├── DataError            a file or a row cannot be used (also ValueError)
    │   └── TemplateRefusalError  a row that the model's chat template does not take
    ├── ModelError           a model or tokenizer folder cannot be used (also ValueError)
    ├── RunFolderError       the run folder is in use, belongs to another recipe, or is damaged (also OSError)
    └── TrainingStoppedError the run cannot learn: no trained tokens, no variance, non-finite (also ArithmeticError)

The command line prints a WhetError as its one line and exits with 2; a TrainingStoppedError exits with 1, because the
command was right and the run was not. Anything else is our mistake and keeps its traceback.
"""

from collections.abc import Sequence

__all__ = [
    "DataError",
    "ModelError",
    "RecipeError",
    "RunFolderError",
    "TemplateRefusalError",
    "TrainingStoppedError",
    "WhetError",
    "did_you_mean",
    "first_line",
]


class WhetError(Exception):
    """Root of the tree; its text is what the user reads."""


class RecipeError(WhetError, ValueError):
    """One or more problems in the settings, one line each, all of them at once."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class DataError(WhetError, ValueError):
    """A data file, or a row of one, that cannot be used; names file, row and field."""


class TemplateRefusalError(DataError):
    """A row that the model's chat template does not take; says why. Caught where rows are read, listed and counted."""


class ModelError(WhetError, ValueError):
    """A model or tokenizer that cannot be used; names the folder and the file in it."""


class RunFolderError(WhetError, OSError):
    """A run folder that is in use, made by another recipe, or damaged; names the folder."""


class TrainingStoppedError(WhetError, ArithmeticError):
    """The run was stopped because it could not learn; names the step and the reason. What was saved stays saved."""


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, with the next one when it only announces that; else its type's name.

    >>> first_line(ValueError("Validation error:\\n  heads do not divide\\nmore"))
    'Validation error: heads do not divide'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        return f"{lines[0]} {lines[1]}"
    return lines[0] if lines else type(error).__name__


def did_you_mean(given: str, known: Sequence[str]) -> str:
    """`"; did you mean 'x'?"` for the nearest known name, else the list of names when it is short, else nothing.

    >>> did_you_mean("learning_rte", ["learning_rate", "epochs"])
    "; did you mean 'learning_rate'?"
    """
    import difflib

    names = sorted(known)
    matches = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    if matches:
        return f"; did you mean {matches[0]!r}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 16 else ""
