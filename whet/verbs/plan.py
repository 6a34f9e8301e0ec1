"""What a recipe will do and need, before it is started: rows, steps, tokens, memory. No weights, no data are loaded."""

import json
import math
import os
from typing import Any

import torch
from transformers import AutoConfig

from whet.core.errors import ModelError
from whet.core.recipe import Recipe
from whet.models.folder.found import resolve_model
from whet.models.memory import MemoryPlan, parameters_of, training_memory

__all__ = ["plan"]


def plan(recipe: Recipe, *, as_json: bool = False) -> str:
    """A short text, or the same as JSON."""
    config = _config(recipe.model)
    stages = {name: entry for name, entry in _stages(recipe, config) if entry is not None}
    if as_json:
        return json.dumps({"model": recipe.model, "parameters": parameters_of(config), "stages": stages})
    lines = [f"{recipe.model}: {parameters_of(config) / 1e6:.2f} M parameters, float32"]
    if not stages:
        lines.append("the recipe names no stage that trains or evaluates; add sft, reward_model, rl or evaluate")
    for name, entry in stages.items():
        facts = ", ".join(f"{key} {_number(value)}" for key, value in entry.items() if key != "memory")
        lines.append(f"{name:<13}{facts}")
        if "memory" not in entry:
            continue
        parts = ", ".join(f"{part} {size / 2**20:,.0f}" for part, size in entry["memory"].items() if size)
        lines.append(f"{'':<13}memory at most about {sum(entry['memory'].values()) / 2**20:,.0f} MiB ({parts})")
    most = max((sum(entry["memory"].values()) for entry in stages.values() if "memory" in entry), default=0)
    have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if most > have and (recipe.device == "cpu" or not torch.cuda.is_available()):
        lines.append(f"this machine has {have / 2**20:,.0f} MiB: too little; lower max_tokens_per_micro_batch")
    return "\n".join(lines)


def _number(value: int | None) -> str:
    return "not known before the data is read" if value is None else f"{value:,}"


def _config(model: str) -> Any:
    try:
        return AutoConfig.from_pretrained(resolve_model(model), trust_remote_code=False)
    except (OSError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise ModelError(f"model {model!r}: its config cannot be read: {first_line}") from error


def _stages(recipe: Recipe, config: Any) -> list[tuple[str, dict[str, Any] | None]]:
    sizes = recipe.data.sizes
    return [
        ("sft", None if recipe.sft is None else _supervised(recipe.sft, sizes.ft_train, recipe, config)),
        (
            "reward_model",
            None if recipe.reward_model is None else _supervised(recipe.reward_model, sizes.rm_train, recipe, config),
        ),
        ("rl", None if recipe.rl is None else _reinforcement(recipe, config)),
        ("evaluation", None if recipe.evaluate is None else _evaluation(recipe)),
    ]


def _rows(size: float, recipe: Recipe) -> int | None:
    """Rows of a purpose; a ratio is of rows that are only known for the embedded data or with a limit."""
    if size > 1:
        return int(size)
    known = recipe.data.arithmetic.rows if recipe.data.source == "whet:arithmetic" else recipe.data.limit
    return None if known is None else int(size * known)


def _supervised(settings: Any, size: float, recipe: Recipe, config: Any) -> dict[str, Any]:
    rows = _rows(size, recipe)
    steps = None if rows is None else settings.num_train_epochs * math.ceil(rows / settings.batch_size)
    if settings.max_steps is not None:
        steps = settings.max_steps if steps is None else min(steps, settings.max_steps)
    entry = {"rows": rows, "steps": steps}
    tokens = min(settings.max_tokens_per_micro_batch, settings.batch_size * settings.max_length)
    return entry | {"tokens at once": tokens, "memory": _parts(training_memory(config, tokens=tokens))}


def _reinforcement(recipe: Recipe, config: Any) -> dict[str, Any]:
    settings = recipe.rl
    assert settings is not None
    rollouts = settings.prompts_per_step * settings.num_generations
    longest = settings.prompts_per_step * settings.max_prompt_length + rollouts * settings.max_completion_length
    tokens = min(settings.max_tokens_per_micro_batch, longest)
    judges = 1 + (recipe.reward_model is not None and any(r.name == "reward_model" for r in settings.rewards))
    cached = min(rollouts, 128) * (settings.max_prompt_length + settings.max_completion_length)
    memory = training_memory(config, tokens=tokens, other_models=judges, cached_tokens=cached)
    return {
        "steps": settings.steps,
        "rollouts": settings.steps * rollouts,
        "models held": 1 + judges,
        "tokens at once": tokens,
        "memory": _parts(memory),
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


def _parts(memory: MemoryPlan) -> dict[str, int]:
    names = ("weights", "gradients", "optimizer", "activations", "logits", "other_models", "cache")
    return {name: getattr(memory, name) for name in names}
