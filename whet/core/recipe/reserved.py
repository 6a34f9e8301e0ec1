"""Settings that other trainers have and whet has not yet: whoever writes one is told so, not corrected to another key."""

from collections.abc import Mapping

__all__ = ["not_yet"]

# Sections of our own that are to come, and what they will hold.
_SECTIONS: Mapping[str, str] = {
    "adapter": "adapters",
    "tokens": "added or trained tokens",
    "critic": "critics",
    "launch": "runs on several processes",
    "judge": "judges",
}
# The same things as TRL, Axolotl, LLaMA-Factory and Unsloth spell them, wherever they stand.
_ELSEWHERE: Mapping[str, str] = {
    "added_tokens": "tokens",
    "adapters": "adapter",
    "add_special_tokens": "tokens",
    "critic_learning_rate": "critic",
    "deepspeed": "launch",
    "finetuning_type": "adapter",
    "fsdp": "launch",
    "judges": "judge",
    "load_in_4bit": "adapter",
    "load_in_8bit": "adapter",
    "lora": "adapter",
    "lora_alpha": "adapter",
    "lora_dropout": "adapter",
    "lora_r": "adapter",
    "lora_rank": "adapter",
    "lora_target": "adapter",
    "lora_target_linear": "adapter",
    "lora_target_modules": "adapter",
    "num_nodes": "launch",
    "num_processes": "launch",
    "peft": "adapter",
    "peft_config": "adapter",
    "qlora": "adapter",
    "special_tokens": "tokens",
    "target_modules": "adapter",
    "use_dora": "adapter",
    "use_peft": "adapter",
    "use_rslora": "adapter",
    "use_vllm": "launch",
    "value_model": "critic",
    "vllm_mode": "launch",
}


def not_yet(key: str) -> str | None:
    """What to say of an unknown dotted key that is reserved: `not_yet("adapter.r")` is "whet has no adapters yet"."""
    first, name = key.partition(".")[0], key.rpartition(".")[2].lower().replace("-", "_")
    section = first if first in _SECTIONS else _ELSEWHERE.get(name)
    return None if section is None else f"whet has no {_SECTIONS[section]} yet"
