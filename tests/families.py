"""Small random models of many architectures, from configs of transformers, for whatever a stage takes from a model.

Parameters that a fresh model has at 0 or 1 (norms, biases) are moved off them, so that leaving one out shows.
"""

from collections.abc import Callable, Mapping

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

__all__ = ["FAMILIES", "FLAT", "family"]

SIZES = {
    "vocab_size": 90,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = SIZES | {"num_key_value_heads": 2}
GPT = {"vocab_size": 90, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "initializer_range": 0.2}
GPT |= {"bos_token_id": 1, "eos_token_id": 2}
EXPERTS = {"moe_intermediate_size": 24, "num_experts": 4, "num_experts_per_tok": 2}
FALCON = {name: SIZES[name] for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")}
FALCON |= {"initializer_range": 0.2, "bos_token_id": 1, "eos_token_id": 2}
MAMBA = {"vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "initializer_range": 0.2}

# name -> (config class, its settings)
FAMILIES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "llama": ("LlamaConfig", SIZES),
    "llama-grouped-untied": ("LlamaConfig", GROUPED | {"tie_word_embeddings": False}),
    "mistral": ("MistralConfig", GROUPED | {"sliding_window": None}),
    "mistral-window": ("MistralConfig", GROUPED | {"sliding_window": 8}),
    "mixtral": ("MixtralConfig", GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}),
    "qwen2": ("Qwen2Config", GROUPED),
    "qwen3": ("Qwen3Config", GROUPED | {"head_dim": 16}),
    "qwen3-moe": ("Qwen3MoeConfig", GROUPED | EXPERTS | {"head_dim": 16, "decoder_sparse_step": 1}),
    "smollm3": ("SmolLM3Config", GROUPED | {"no_rope_layers": [1, 0]}),
    "gemma": ("GemmaConfig", GROUPED | {"head_dim": 8}),
    "gemma2": (
        "Gemma2Config",
        GROUPED
        | {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8}
        | {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0},
    ),
    "gemma3": ("Gemma3TextConfig", GROUPED | {"head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8}),
    "phi": ("PhiConfig", SIZES | {"partial_rotary_factor": 0.5}),
    "phi3": ("Phi3Config", GROUPED),
    "gpt2": ("GPT2Config", GPT),
    "gpt-neox": ("GPTNeoXConfig", SIZES),
    "gpt-j": ("GPTJConfig", GPT | {"rotary_dim": 4}),
    "opt": (
        "OPTConfig",
        {name: value for name, value in SIZES.items() if name not in ("intermediate_size", "initializer_range")}
        | {"ffn_dim": 48, "init_std": 0.2, "word_embed_proj_dim": 32},
    ),
    "olmo": ("OlmoConfig", GROUPED),
    "olmo2": ("Olmo2Config", GROUPED),
    "granite": (
        "GraniteConfig",
        GROUPED
        | {"logits_scaling": 8.0, "embedding_multiplier": 3.0, "residual_multiplier": 0.5, "attention_multiplier": 0.3},
    ),
    "cohere": ("CohereConfig", GROUPED | {"logit_scale": 0.25}),
    "cohere2": ("Cohere2Config", GROUPED | {"logit_scale": 0.25, "sliding_window": 8}),
    "stablelm": ("StableLmConfig", GROUPED | {"partial_rotary_factor": 0.5}),
    "starcoder2": ("Starcoder2Config", GROUPED | {"sliding_window": 8}),
    "glm4": ("Glm4Config", GROUPED | {"head_dim": 8}),
    "nemotron": ("NemotronConfig", GROUPED),
    "exaone4": ("Exaone4Config", GROUPED | {"sliding_window": 8, "sliding_window_pattern": 2}),
    "deepseek-v3": (
        "DeepseekV3Config",
        SIZES
        | {"num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8}
        | {"qk_nope_head_dim": 8, "v_head_dim": 8, "moe_intermediate_size": 24, "n_routed_experts": 4}
        | {"num_experts_per_tok": 2, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "n_shared_experts": 1},
    ),
    "falcon": ("FalconConfig", FALCON | {"multi_query": True, "parallel_attn": True, "bias": False}),
    "falcon-alibi": ("FalconConfig", FALCON | {"alibi": True}),
    "bloom": (
        "BloomConfig",
        {"vocab_size": 90, "hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.2},
    ),
    "gpt-oss": (
        "GptOssConfig",
        GROUPED | {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8},
    ),
    "mamba": ("MambaConfig", MAMBA),
    "mamba2": ("Mamba2Config", MAMBA | {"num_heads": 8, "head_dim": 8, "n_groups": 1, "expand": 2, "chunk_size": 8}),
    "lfm2": ("Lfm2Config", GROUPED | {"layer_types": ["conv", "full_attention"]}),
    "recurrent-gemma": (
        "RecurrentGemmaConfig",
        SIZES | {"num_hidden_layers": 3, "num_key_value_heads": 1, "attention_window_size": 8},
    ),
}
NOT_FLAT = ("falcon", "falcon-alibi", "bloom", "gpt-oss", "mamba", "mamba2", "lfm2", "recurrent-gemma")
FLAT = tuple(name for name in FAMILIES if name not in NOT_FLAT)


def family(name: str) -> PreTrainedModel:
    """A model of the architecture, the same at every call."""
    kind, settings = FAMILIES[name]
    config: Callable[..., object] = getattr(transformers, kind)
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config(**settings)).eval()
    transformers.logging.set_verbosity(before)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim < 2:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model
