"""Rows that stop at every step while others go on: each keeps its own numbers, prompt and place."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from whet.core.records import Prompt, Rollout
from whet.models.decoder import Decoder
from whet.rollout.engine import Sampler
from whet.rollout.sampling import SamplingSettings, uniforms

VOCABULARY, LONGEST, TEMPERATURE = 90, 14, 0.7
# A fifth of all tokens ends a completion: most rows leave within five steps, a few are cut off.
STOPS = frozenset(range(0, VOCABULARY, 5))


class Words:
    """A template of letters: each is its number, and every fifth token is an end."""

    stop_ids = STOPS
    ends = tuple(sorted(STOPS))

    class tokenizer:  # noqa: N801
        pad_token_id = 0

    def prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return tuple(ord(letter) % VOCABULARY for letter in prompt.text)

    def decode(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))


def bounds(model: PreTrainedModel, rollout: Rollout) -> tuple[Tensor, Tensor, Tensor]:
    """Where each token's share of [0, 1) begins and ends, and its log-probability, by the model's own forward."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([rollout.prompt_ids + rollout.completion_ids])).logits[0].double()
    probabilities = torch.softmax(logits / TEMPERATURE, dim=-1)[len(rollout.prompt_ids) - 1 : -1]
    ids = torch.tensor(rollout.completion_ids)[:, None]
    own, above = probabilities.gather(-1, ids)[:, 0], probabilities.cumsum(-1).gather(-1, ids)[:, 0]
    return above - own, above, own.log()


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize(("kind", "decode_rows"), [("flat", 1), ("flat", 7), ("flat", 128), ("padded", 7), ("rows", 7)])
def test_every_token_is_the_one_that_its_rows_own_number_falls_on(
    model: PreTrainedModel, make_prompt: Callable[..., Prompt], kind: str, decode_rows: int
) -> None:
    decoder = Decoder(model)
    decoder.kind = kind  # type: ignore[assignment]
    prompts = [make_prompt(text) for text in ("a", "some more words", "of", "another length", "b")]
    settings = SamplingSettings(temperature=TEMPERATURE, max_completion_length=LONGEST)
    rollouts = Sampler(decoder, Words(), decode_rows=decode_rows).sample(  # type: ignore[arg-type]
        prompts, samples=6, settings=settings, seeds=list(range(100, 130))
    )
    assert [(rollout.prompt.text, rollout.sample) for rollout in rollouts] == [
        (prompt.text, sample) for prompt in prompts for sample in range(6)
    ]
    for seed, rollout in zip(range(100, 130), rollouts, strict=True):
        ids, drawn = rollout.completion_ids, torch.from_numpy(uniforms(seed, LONGEST))
        low, high, logprobs = bounds(model, rollout)
        drawn = drawn[: len(ids)]
        assert bool(((low - 1e-5 <= drawn) & (drawn <= high + 1e-5)).all()), seed
        assert list(rollout.logprobs) == pytest.approx(logprobs.tolist(), rel=1e-4, abs=1e-4)
        assert not STOPS & set(ids[:-1])
        assert rollout.finish == ("stop" if ids[-1] in STOPS else "length")
        assert len(ids) == LONGEST or ids[-1] in STOPS
    lengths = [len(rollout.completion_ids) for rollout in rollouts]
    assert len(set(lengths)) > 5
    assert min(lengths) == 1
