"""What a recipe will do and need, before it is started: rows, steps, tokens, memory. No weights, no data, no torch."""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from whet.core.errors import ModelError
from whet.core.recipe import Recipe
from whet.models.folder.config import ModelShape, read_config, shape_of
from whet.models.folder.found import fetched_config, local_folder
from whet.models.folder.safetensors_header import read_header
from whet.models.folder.weights import weight_files
from whet.models.memory import parameters_of, training_memory

__all__ = ["plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """What is known of the base model from its config and the heads of its weights."""

    shape: ModelShape
    parameters: int


def plan(recipe: Recipe, *, as_json: bool = False) -> str:
    """A short text, or the same as JSON."""
    model = _model(recipe.model)
    stages = {name: entry for name, entry in _stages(recipe, model) if entry is not None}
    if as_json:
        return json.dumps({"model": recipe.model, "parameters": model.parameters, "stages": stages})
    lines = [f"{recipe.model}: {model.parameters / 1e6:.2f} M parameters, float32"]
    if not stages:
        lines.append("the recipe prepares data and neither trains nor evaluates; add sft, reward_model, rl or evaluate")
    for name, entry in stages.items():
        facts = ", ".join(f"{key} {_number(value)}" for key, value in entry.items() if key != "memory")
        lines.append(f"{name:<13}{facts}")
        if "memory" not in entry:
            continue
        parts = ", ".join(f"{part} {size / 2**20:,.0f}" for part, size in entry["memory"].items() if size)
        lines.append(f"{'':<13}memory at most about {sum(entry['memory'].values()) / 2**20:,.0f} MiB ({parts})")
    most = max((sum(entry["memory"].values()) for entry in stages.values() if "memory" in entry), default=0)
    have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if most > have and (recipe.device == "cpu" or not _has_gpu()):
        lines.append(f"this machine has {have / 2**20:,.0f} MiB: too little; lower max_tokens_per_micro_batch")
    return "\n".join(lines)


def _has_gpu() -> bool:
    """Whether the driver shows one; to ask torch would take seconds."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _number(value: int | None) -> str:
    return "not known before the data is read" if value is None else f"{value:,}"


def _model(name: str) -> _Model:
    """From the folder; of a hub's model that is not in the cache the config is fetched, and its size calculated."""
    folder = local_folder(name)
    if folder is not None:
        parameters = sum(entry.size for file in weight_files(name) for entry in read_header(file).values())
        return _Model(shape=shape_of(read_config(folder)), parameters=parameters)
    shape = shape_of(read_config(fetched_config(name).parent))
    calculated = parameters_of(shape)
    if calculated is None:
        raise ModelError(f"model {name!r}: its config.json does not say how large it is; fetch the model first")
    return _Model(shape=shape, parameters=calculated)


def _stages(recipe: Recipe, model: _Model) -> list[tuple[str, dict[str, Any] | None]]:
    sizes = recipe.data.sizes
    return [
        ("sft", None if recipe.sft is None else _supervised(recipe.sft, sizes.ft_train, recipe, model)),
        (
            "reward_model",
            None if recipe.reward_model is None else _supervised(recipe.reward_model, sizes.rm_train, recipe, model),
        ),
        ("rl", None if recipe.rl is None else _reinforcement(recipe, model)),
        ("evaluation", None if recipe.evaluate is None else _evaluation(recipe)),
    ]


def _rows(size: float, recipe: Recipe) -> int | None:
    """Rows of a purpose; a ratio is of rows that are only known for the embedded data or with a limit."""
    if size > 1:
        return int(size)
    known = recipe.data.arithmetic.rows if recipe.data.source == "whet:arithmetic" else recipe.data.limit
    return None if known is None else int(size * known)


def _supervised(settings: Any, size: float, recipe: Recipe, model: _Model) -> dict[str, Any]:
    rows = _rows(size, recipe)
    steps = None if rows is None else settings.num_train_epochs * math.ceil(rows / settings.batch_size)
    if settings.max_steps is not None:
        steps = settings.max_steps if steps is None else min(steps, settings.max_steps)
    entry = {"rows": rows, "steps": steps}
    tokens = min(settings.max_tokens_per_micro_batch, settings.batch_size * settings.max_length)
    return entry | {"tokens at once": tokens, "memory": _memory(model, tokens=tokens)}


def _reinforcement(recipe: Recipe, model: _Model) -> dict[str, Any]:
    settings = recipe.rl
    assert settings is not None
    rollouts = settings.prompts_per_step * settings.num_generations
    longest = settings.prompts_per_step * settings.max_prompt_length + rollouts * settings.max_completion_length
    tokens = min(settings.max_tokens_per_micro_batch, longest)
    judges = 1 + (recipe.reward_model is not None and any(r.name == "reward_model" for r in settings.rewards))
    cached = min(rollouts, 128) * (settings.max_prompt_length + settings.max_completion_length)
    return {
        "steps": settings.steps,
        "rollouts": settings.steps * rollouts,
        "models held": 1 + judges,
        "tokens at once": tokens,
        "memory": _memory(model, tokens=tokens, other_models=judges, cached_tokens=cached),
    }


def _evaluation(recipe: Recipe) -> dict[str, Any]:
    """Greedy completions of every model on the three sets, and the samples for pass@k of one slice each."""
    settings, sizes = recipe.evaluate, recipe.data.sizes
    assert settings is not None
    rows = [_rows(size, recipe) for size in (sizes.ft_test, sizes.rl_test, sizes.final)]
    known = [row for row in rows if row is not None]
    models = 1 + (recipe.sft is not None) + (recipe.rl is not None)
    return {
        "models": models,
        "prompts": sum(known) if len(known) == len(rows) else None,
        "samples a prompt for pass@k": settings.samples,
        "prompts of a slice sampled": settings.sample_prompts,
    }


def _memory(model: _Model, *, tokens: int, other_models: int = 0, cached_tokens: int = 0) -> dict[str, int]:
    """The parts of the peak in bytes."""
    found = training_memory(
        model.shape,
        parameters=model.parameters,
        tokens=tokens,
        other_models=other_models,
        cached_tokens=cached_tokens,
    )
    return asdict(found)
