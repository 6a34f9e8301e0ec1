from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

from whet.core.recipe import TemplateSettings
from whet.core.records import Prompt
from whet.models.load import load_model
from whet.models.tokenizer import load_tokenizer
from whet.rollout.engine import Sampler
from whet.rollout.sampling import SamplingSettings
from whet.tokens.template import Template

TEXTS = ("Alice has 3 apples and buys 2 more. How many now?", "3+4=", "Ben owns 7 red kites. He sells 5.", "Once")


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    loaded = load_model("whet:tiny")
    return Sampler(loaded.model, Template(loaded.tokenizer, TemplateSettings()), decode_rows=16)


def test_greedy_tokens_are_those_of_generate(sampler: Sampler, make_prompt: Callable[..., Prompt]) -> None:
    settings = SamplingSettings(temperature=0, max_completion_length=24)
    rollouts = sampler.sample([make_prompt(text) for text in TEXTS], samples=1, settings=settings, seeds=[0] * 4)
    for rollout in rollouts:
        ids = torch.tensor([rollout.prompt_ids])
        whole = sampler.decoder.model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False, pad_token_id=0
        )
        assert list(rollout.completion_ids) == whole[0, ids.shape[1] :].tolist()
        assert rollout.is_truncated == (rollout.completion_ids[-1] != 2)


def test_logprobs_are_the_models_own(sampler: Sampler, make_prompt: Callable[..., Prompt]) -> None:
    settings = SamplingSettings(temperature=0.8, max_completion_length=16, top_k=5)
    for rollout in sampler.sample([make_prompt(TEXTS[0])], samples=3, settings=settings, seeds=[1, 2, 3]):
        with torch.no_grad():
            logits = sampler.decoder.model(input_ids=torch.tensor([rollout.prompt_ids + rollout.completion_ids])).logits
        logprobs = torch.log_softmax(logits[0] / 0.8, dim=-1)[len(rollout.prompt_ids) - 1 : -1]
        expected = logprobs.gather(-1, torch.tensor(rollout.completion_ids)[:, None])[:, 0]
        assert list(rollout.logprobs) == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_rollout_does_not_depend_on_its_company(sampler: Sampler, make_prompt: Callable[..., Prompt]) -> None:
    settings = SamplingSettings(temperature=1.0, max_completion_length=20)
    prompts = [make_prompt(text) for text in TEXTS]
    together = sampler.sample(prompts, samples=8, settings=settings, seeds=list(range(32)))
    alone = sampler.sample(prompts[2:3], samples=8, settings=settings, seeds=list(range(16, 24)))
    assert [r.completion_ids for r in together[16:24]] == [r.completion_ids for r in alone]
    assert [(r.prompt.text, r.sample) for r in together[14:18]] == [
        (TEXTS[1], 6),
        (TEXTS[1], 7),
        (TEXTS[2], 0),
        (TEXTS[2], 1),
    ]
    assert len({r.completion_ids for r in alone}) > 1


def test_grouped_heads_and_other_families(small_model: PreTrainedModel, make_prompt: Callable[..., Prompt]) -> None:
    small_model.resize_token_embeddings(900)
    template = Template(load_tokenizer("whet:tiny"), TemplateSettings())
    flat, own = Sampler(small_model, template), Sampler(small_model, template)
    own.decoder.kind = "padded"
    settings = SamplingSettings(temperature=1.0, max_completion_length=12)
    prompts, seeds = [make_prompt(text) for text in TEXTS], list(range(12))
    found = flat.sample(prompts, samples=3, settings=settings, seeds=seeds)
    expected = own.sample(prompts, samples=3, settings=settings, seeds=seeds)
    assert [r.completion_ids for r in found] == [r.completion_ids for r in expected]


def test_a_completion_ends_where_the_models_context_ends(
    small_model: PreTrainedModel, make_prompt: Callable[..., Prompt]
) -> None:
    small_model.resize_token_embeddings(900)
    small_model.config.max_position_embeddings = 20
    template = Template(load_tokenizer("whet:tiny"), TemplateSettings())
    template.stop_ids = frozenset()
    prompts = [make_prompt("3+4="), make_prompt("3+4=7 8")]
    lengths = [len(template.prompt_ids(prompt)) for prompt in prompts]
    for kind in ("flat", "padded"):
        sampler = Sampler(small_model, template)
        sampler.decoder.kind = kind  # type: ignore[assignment]
        settings = SamplingSettings(temperature=1.0, max_completion_length=50)
        for rollout, length in zip(
            sampler.sample(prompts, samples=1, settings=settings, seeds=[5, 6]), lengths, strict=True
        ):
            assert len(rollout.completion_ids) == 20 - length
            assert rollout.is_truncated
