"""Shared fixtures: small random models of several architectures, real data where it lies beside the checkout."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, Qwen2Config, Qwen3Config

from whet.core.records import Message, Origin, Prompt

SHARED = Path(__file__).parents[2] / "shared" / "data"
SMALL = {
    "vocab_size": 90,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
}
CONFIGS = {
    "llama": lambda: LlamaConfig(**SMALL, num_key_value_heads=4, tie_word_embeddings=True),
    "llama-grouped-untied": lambda: LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=False),
    "qwen2-bias": lambda: Qwen2Config(**SMALL, num_key_value_heads=2),
    "qwen3-qk-norm": lambda: Qwen3Config(**SMALL, num_key_value_heads=2, head_dim=16),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Parallel test workers share the processors."""
    torch.set_num_threads(1)
    yield


@pytest.fixture(params=list(CONFIGS))
def small_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIGS[request.param]()).eval()


@pytest.fixture()
def make_prompt() -> Callable[..., Prompt]:
    def make(text: str = "How many now?", **fields: object) -> Prompt:
        return Prompt(messages=(Message(role="user", content=text),), origin=Origin(source="test", row=0), **fields)

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the real data sets do not lie beside this checkout")
    return SHARED
