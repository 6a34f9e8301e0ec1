"""A saved reward model gives whet's own scores in transformers: alone, and in batches padded on either side."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GlmConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    SmolLM3Config,
    StableLmConfig,
)

from whet.core.errors import ModelError
from whet.models.decoder import Decoder
from whet.models.heads import pad_with, read_up_to, reward_model_from
from whet.models.load import LoadedModel, load_model, load_reward_model
from whet.models.save import save_model
from whet.tokens.batches import TokenGroup, flat_batch

Make = Callable[..., PreTrainedTokenizerBase]
ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None}
SMALL = ENDS | {
    "vocab_size": 900,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
GROUPED = SMALL | {"num_key_value_heads": 2}
SHORT: dict[str, int] = {"vocab_size": 900, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32}
CONFIGS: dict[str, Callable[[], PretrainedConfig]] = {
    "llama": lambda: LlamaConfig(**GROUPED),
    "qwen2": lambda: Qwen2Config(**GROUPED),
    "qwen3": lambda: Qwen3Config(**GROUPED, head_dim=8),
    "qwen3 moe": lambda: Qwen3MoeConfig(
        **GROUPED, head_dim=8, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16
    ),
    "smollm3": lambda: SmolLM3Config(**GROUPED),
    "mistral": lambda: MistralConfig(**GROUPED),
    "mixtral": lambda: MixtralConfig(**GROUPED, num_local_experts=2),
    "gemma": lambda: GemmaConfig(**GROUPED, head_dim=8),
    "gemma2": lambda: Gemma2Config(**GROUPED, head_dim=8),
    "gemma3": lambda: Gemma3TextConfig(**GROUPED, head_dim=8),
    "glm": lambda: GlmConfig(**GROUPED, head_dim=8),
    "phi": lambda: PhiConfig(**GROUPED),
    "phi3": lambda: Phi3Config(**GROUPED),
    "olmo2": lambda: Olmo2Config(**GROUPED),
    "stablelm": lambda: StableLmConfig(**GROUPED),
    "falcon": lambda: FalconConfig(**SHORT, **ENDS),
    "opt": lambda: OPTConfig(**SHORT, **ENDS, ffn_dim=48, max_position_embeddings=64, word_embed_proj_dim=32),
    "gpt-neox": lambda: GPTNeoXConfig(**SMALL),
    "gpt2": lambda: GPT2Config(
        vocab_size=900, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2, **ENDS
    ),
}
ROWS = ([5, 6, 7, 8, 2], [9, 10, 2], [11, 12, 13, 14, 15, 16, 17, 2], [3, 4, 5])


def random_model(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> LoadedModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    return LoadedModel(model=model, tokenizer=tokenizer, name="random", dtype=torch.float32)


def own_scores(folder: Path) -> torch.Tensor:
    groups = [
        TokenGroup(prompt_ids=tuple(row[:1]), completions=(tuple(row[1:]),), loss_masks=((True,) * (len(row) - 1),))
        for row in ROWS
    ]
    with torch.no_grad():
        return Decoder(load_reward_model(str(folder)).model).rewards(flat_batch(groups))


@torch.no_grad()
def their_scores(folder: Path, *, side: str | None = None) -> torch.Tensor:
    """As a stranger would: alone, or padded by the tokenizer that lies there."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    if side is None:
        return torch.cat([model(input_ids=torch.tensor([row])).logits[:, 0] for row in ROWS])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.padding_side = side
    return model(**tokenizer.pad({"input_ids": list(ROWS)}, return_tensors="pt")).logits[:, 0]


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_scores_are_whets_own_anywhere(kind: str, tmp_path: Path) -> None:
    tokenizer = load_model("whet:tiny").tokenizer
    tokenizer.pad_token = tokenizer.eos_token  # as most language models come
    loaded = random_model(tokenizer, CONFIGS[kind]())
    judge = reward_model_from(loaded, seed=1)
    save_model(judge, tokenizer, tmp_path / "judge")
    own = own_scores(tmp_path / "judge")
    assert own.std() > 1e-3
    torch.testing.assert_close(their_scores(tmp_path / "judge"), own, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(their_scores(tmp_path / "judge", side="right"), own, rtol=1e-5, atol=1e-6)
    # transformers counts GPT-2's positions from a row's padding, so its tokenizer is saved to pad on the right.
    assert AutoTokenizer.from_pretrained(tmp_path / "judge").padding_side == "right"
    if kind != "gpt2":
        torch.testing.assert_close(their_scores(tmp_path / "judge", side="left"), own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("special", "pad", "expected"),
    [
        (("<|fim_pad|>", "<unk>"), "<|endoftext|>", "<pad>"),  # one that is held for padding; whet:tiny's is first
        (("<unk>",), "<unk>", "<unk>"),  # its own, which ends nothing
    ],
)
def test_the_pad_token_is_one_that_never_ends(
    make_tokenizer: Make, special: tuple[str, ...], pad: str, expected: str
) -> None:
    tokenizer = make_tokenizer(special=special)
    tokenizer.pad_token = pad
    loaded = random_model(tokenizer, LlamaConfig(**GROUPED | {"vocab_size": 950}))
    judge = reward_model_from(loaded, seed=1)
    assert judge.config.pad_token_id == tokenizer.convert_tokens_to_ids(expected)
    # What a template ends answers with pads nothing either.
    taken = tokenizer.convert_tokens_to_ids(expected)
    assert reward_model_from(loaded, seed=1, ends=[taken]).config.pad_token_id != taken


def test_a_pad_token_is_added_where_there_is_none(shared_gpt2: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    tokenizer = shared_gpt2
    size = len(tokenizer)
    config = GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=64, eos_token_id=size - 1)
    loaded = random_model(tokenizer, config)
    judge = reward_model_from(loaded, seed=1)
    save_model(judge, tokenizer, tmp_path / "judge")
    saved = AutoTokenizer.from_pretrained(tmp_path / "judge")
    assert (saved.pad_token, saved.pad_token_id) == ("<|pad|>", size)
    assert saved.eos_token == tokenizer.eos_token
    assert tokenizer.pad_token is None
    own = own_scores(tmp_path / "judge")
    torch.testing.assert_close(their_scores(tmp_path / "judge", side="right"), own, rtol=1e-5, atol=1e-6)


@pytest.fixture
def shared_gpt2() -> PreTrainedTokenizerBase:
    """GPT-2's kind: one special token, which begins and ends, and an embedding without a row to spare."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    core = Tokenizer(models.BPE(vocab=letters, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.add_special_tokens(["<|endoftext|>"])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


def test_another_trainers_model_is_read_where_it_was_trained_to_be() -> None:
    loaded = load_model("whet:tiny")
    judge = reward_model_from(loaded, seed=1)
    judge.config.pad_token_id = 2
    assert read_up_to(judge, [5, 6, 2]) == (5, 6)
    assert read_up_to(judge, [5, 2, 6, 2, 2]) == (5, 2, 6)
    assert read_up_to(judge, [2, 2]) == (2, 2)
    judge.config.pad_token_id = 0
    assert read_up_to(judge, [5, 6, 2]) == (5, 6, 2)


def test_a_kind_without_classifier_is_one_line() -> None:
    tokenizer = load_model("whet:tiny").tokenizer
    mamba = random_model(tokenizer, MambaConfig(vocab_size=900, hidden_size=32, num_hidden_layers=1))
    with pytest.raises(ModelError, match="transformers has no sequence classifier of this kind"):
        reward_model_from(mamba, seed=1)


def test_padding_is_told_to_the_tokenizer() -> None:
    tokenizer = load_model("whet:tiny").tokenizer
    tokenizer.padding_side = "left"
    assert (pad_with(tokenizer, 1).pad_token, tokenizer.padding_side) == ("<bos>", "right")
