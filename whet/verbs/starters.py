"""Recipes to start from: the sections of a road with their most used settings, each with what it does."""

from typing import Literal

from whet.core.recipe.file import known_keys

__all__ = ["starter"]

Kind = Literal["demo", "sft", "reward-model", "grpo"]
SECTIONS: dict[str, tuple[str, ...]] = {
    "demo": ("sft", "reward_model", "rl", "evaluate"),
    "sft": ("sft", "evaluate"),
    "reward-model": ("sft", "reward_model", "evaluate"),
    "grpo": ("sft", "rl", "evaluate"),
}
SHOWN = {
    "data": ("source", "config", "split", "preferences", "limit"),
    "sft": ("learning_rate", "num_train_epochs", "batch_size", "max_length"),
    "reward_model": ("learning_rate", "num_train_epochs", "batch_size", "max_length"),
    "rl": (
        "learning_rate",
        "steps",
        "prompts_per_step",
        "num_generations",
        "max_completion_length",
        "temperature",
        "beta",
    ),
    "evaluate": ("max_completion_length", "samples", "sample_prompts"),
}


def starter(kind: Kind) -> str:
    """A valid recipe with a comment on every line, taken from the schema."""
    lines = ["# Every setting: whet settings", f"name: {kind}", "seed: 0", _line("", "model")]
    for section in ("data", *SECTIONS[kind]):
        lines += ["", f"{section}:", *(_line(f"{section}.", name) for name in SHOWN[section])]
        if section == "rl":
            lines += ["  rewards:", "    - {name: answer, weight: 1.0}", "    - {name: format, weight: 0.2}"]
    return "\n".join(lines) + "\n"


def _line(section: str, name: str) -> str:
    field = known_keys()[section + name]
    default = field.get_default()
    value = "null" if default is None else str(default)
    return f"{'  ' if section else ''}{f'{name}: {value}':<34}# {field.description}"
