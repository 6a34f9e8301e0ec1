"""What a reward function asks for, read from its parameters alone.

    f(completion, **row)                                  once per completion: `prompt` and the row's columns
    f(prompts, completions, completion_ids, **columns)    once for all, as in TRL: every column as a list

The name of the first parameter tells them apart.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "GIVEN",
    "Parameters",
    "columns_needed",
    "is_per_completion",
    "parameters_of",
    "required",
    "signature_problem",
]

Parameters = Mapping[str, inspect.Parameter]

_ONE = frozenset({"completion", "prompt"})
_ALL = frozenset({"prompts", "completions", "completion_ids"})
# Every reward is given these; a column of such a name would hide them and is not passed on.
GIVEN = _ONE | _ALL
_WANTED = "a reward is f(completion, **row) or f(prompts, completions, **columns)"


def parameters_of(reward: Callable[..., Any]) -> Parameters:
    """What the function names; anything at all where Python cannot tell, as for some builtins."""
    try:
        return inspect.signature(reward).parameters
    except (TypeError, ValueError):
        return {"columns": inspect.Parameter("columns", inspect.Parameter.VAR_KEYWORD)}


def is_per_completion(parameters: Parameters) -> bool:
    """Whether the function is called once for each completion."""
    return next(iter(parameters), "") == "completion"


def columns_needed(parameters: Parameters) -> list[str]:
    """Parameters without a default that only a column of the data can fill, in order."""
    return [name for name in required(parameters) if name not in GIVEN]


def signature_problem(parameters: Parameters) -> str | None:
    """Why no call of the function could work, whatever columns the data has; None when one could.

    >>> signature_problem(parameters_of(lambda text: 1.0))
    'takes (text), so it sees no completion; a reward is f(completion, **row) or f(prompts, completions, **columns)'
    """
    shown = f"takes ({', '.join(str(parameter) for parameter in parameters.values())})"
    kinds = {parameter.kind for parameter in parameters.values()}
    takes_any = inspect.Parameter.VAR_KEYWORD in kinds
    if not takes_any and not parameters.keys() & (_ALL | {"completion"}):
        return f"{shown}, so it sees no completion; {_WANTED}"
    given = _ONE if is_per_completion(parameters) else _ALL
    if never := [name for name in required(parameters) if name in GIVEN - given]:
        named = " and ".join(map(repr, never))
        return f"{shown}, but {named} would never be given to it; {_WANTED}"
    by_place = [name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_ONLY]
    if nameless := by_place[1 if is_per_completion(parameters) else 0 :]:
        return f"{shown}, but arguments are given by name, and {nameless[0]!r} takes none; drop the '/'"
    return None


def required(parameters: Parameters) -> list[str]:
    """Parameters without a default, in order."""
    return [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY, parameter.POSITIONAL_ONLY)
    ]
