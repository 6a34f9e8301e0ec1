"""Whether the lengths of a recipe can be: what a model was made to read is known before it is loaded."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from whet.core.errors import ModelError
from whet.core.recipe import Recipe
from whet.models.folder.config import read_config, shape_of
from whet.models.folder.found import local_folder

__all__ = ["limit_problems"]


def limit_problems(recipe: Recipe, folder: Path | None) -> list[str]:
    """Lengths that were asked for and are beyond the model's context.

    A length that nobody asked for is a bound like any other: what is longer than the context is dropped and counted.
    """
    context = _context(recipe.model)
    return [] if context is None else list(_beyond(recipe, context))


def _context(model: str) -> int | None:
    """None when it is not known, or when the model cannot be read: another check says why."""
    try:
        found = local_folder(model)
        return None if found is None else shape_of(read_config(found)).max_position_embeddings
    except ModelError:
        return None


def _beyond(recipe: Recipe, context: int) -> Iterator[str]:
    reads = f"{recipe.model} reads at most {context:,} tokens"
    for key in ("sft", "reward_model"):
        if (length := _asked(getattr(recipe, key), "max_length")) > context:
            yield f"{key}.max_length: is {length:,}, but {reads}; lower it, or choose a model with a longer context"
    for key in ("rl", "evaluate"):
        if (length := _asked(getattr(recipe, key), "max_completion_length")) >= context:
            yield f"{key}.max_completion_length: is {length:,}, but {reads}, prompt and completion; lower it"
    prompt, completion = _asked(recipe.rl, "max_prompt_length"), _asked(recipe.rl, "max_completion_length")
    if prompt > context:
        yield f"rl.max_prompt_length: is {prompt:,}, but {reads}; lower it"
    elif prompt and completion < context < prompt + completion:
        yield (
            f"rl.max_prompt_length: {prompt:,} and max_completion_length {completion:,} are "
            f"{prompt + completion:,} tokens, but {reads}; lower one of them"
        )


def _asked(section: BaseModel | None, name: str) -> int:
    """The length as the recipe asks for it, 0 where it is the default's."""
    if section is None:
        return 0
    length = int(getattr(section, name))
    return 0 if length == type(section).model_fields[name].default else length
