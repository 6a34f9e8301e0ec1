import json
from pathlib import Path
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

from whet.core.errors import ModelError
from whet.models.folder.config import ModelShape, config_problems, read_config, shape_of

DECODERS = """llama qwen2 qwen3 qwen3_moe mistral mixtral smollm3 gemma gemma2 gemma3 gemma3_text phi phi3 gpt2 gpt_neox
gpt_neo gptj opt olmo2 granite cohere cohere2 falcon stablelm bloom deepseek_v3 gpt_oss glm4 starcoder2 xglm""".split()


def default_config(model_type: str) -> Any:
    return CONFIG_MAPPING[model_type]()


def as_saved(config: Any) -> dict[str, Any]:
    return dict(json.loads(config.to_json_string(use_diff=False)))


@pytest.mark.parametrize(
    ("model_types", "at_least"), [(DECODERS, 30), pytest.param(list(CONFIG_MAPPING), 300, marks=pytest.mark.slow)]
)
def test_no_architecture_that_there_is_is_refused(model_types: list[str], at_least: int) -> None:
    """Every config that transformers can make of nothing; some of them cannot be made."""
    looked_at = 0
    for model_type in model_types:
        try:
            config = as_saved(default_config(model_type))
        except Exception:  # theirs
            continue
        assert list(config_problems(config)) == [], model_type
        looked_at += 1
    assert looked_at >= at_least


@pytest.mark.parametrize("model_type", DECODERS)
def test_sizes_are_those_of_transformers(model_type: str) -> None:
    config = default_config(model_type)
    shape, theirs = shape_of(as_saved(config)), config.get_text_config()
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "max_position_embeddings"):
        assert getattr(shape, name) == getattr(theirs, name, None), name
    if isinstance(getattr(theirs, "num_key_value_heads", None), int):
        assert shape.num_key_value_heads == theirs.num_key_value_heads
    if isinstance(getattr(theirs, "intermediate_size", None), int):
        assert shape.intermediate_size == theirs.intermediate_size
    if isinstance(getattr(theirs, "head_dim", None), int):
        assert shape.head_dim == theirs.head_dim


def test_what_a_config_does_not_say() -> None:
    assert shape_of({"model_type": "x", "n_embd": 12, "n_head": 3, "n_inner": None, "tie_word_embeddings": False}) == (
        ModelShape(
            hidden_size=12,
            num_hidden_layers=None,
            num_attention_heads=3,
            num_key_value_heads=3,
            head_dim=4,
            intermediate_size=48,
            vocab_size=None,
            max_position_embeddings=None,
            tie_word_embeddings=False,
        )
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"n_layer": 10_001}, "n_layer is 10001; what a model can have is 0 to 10,000"),
        ({"text_config": {"audio": {"num_layers": -1}}}, "text_config.audio.num_layers is -1; what a model can have"),
        ({"num_attention_heads": [4, 8, 1 << 20]}, "num_attention_heads is 1048576; what a model can have"),
        ({"hidden_size": None, "vocab_size": 8.0}, None),
        ({"vocab_size": 8.5}, "vocab_size is 8.5, where a whole number was expected"),
        ({"use_cache": True, "layers": [{"kind": "a"}]}, None),
        ({"a\x1b": 1 << 60}, "a\\x1b is 1152921504606846976; what a model can have"),
        ({"mask_value": -3.4e38, "rope_theta": 1e6}, None),
        ({"dtype": "torch.bfloat16", "torch_dtype": None}, None),
        ({"num_attention_heads": 6, "num_key_value_heads": 4}, "num_attention_heads is 6, no multiple of"),
        ({"n_layer": 100, "n_routed_experts": 20_000}, "n_routed_experts is 20,000 in 100 layers"),
    ],
)
def test_values_within_bounds(config: dict[str, Any], expected: str | None) -> None:
    problems = list(config_problems({"model_type": "x", **config}))
    assert len(problems) == (expected is not None)
    assert expected is None or problems[0].startswith(expected)


def test_a_file_that_is_no_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "x", "n_layer": 1e5}')
    with pytest.raises(ModelError, match=rf"^{tmp_path}/config\.json: n_layer is 100000\.0; what"):
        read_config(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json: cannot be read \(No such file or directory\)"):
        read_config(tmp_path)
