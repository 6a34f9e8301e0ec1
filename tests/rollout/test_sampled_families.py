"""Sampling under every architecture: greedy as `generate`, log-probabilities as the trainer has them."""

from collections.abc import Sequence

import pytest
import torch
from families import FAMILIES, family
from torch.testing import assert_close

from whet.core.records import Message, Origin, Prompt
from whet.rollout.engine import Sampler
from whet.rollout.own_steps import OwnSteps
from whet.rollout.sampling import SamplingSettings
from whet.tokens.batches import TokenGroup, flat_batch

STOPS = [5, 14, 23, 32, 41, 50, 59, 68, 77, 86]


class NumberTemplate:
    """Prompts that are written as their token ids; one token in nine ends a completion."""

    stop_ids = frozenset(STOPS)

    def prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return tuple(map(int, prompt.text.split()))

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


def prompts() -> list[Prompt]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for length in (9, 4, 12, 9):
        text = " ".join(map(str, torch.randint(6, 90, (length,), generator=generator).tolist()))
        made.append(Prompt(messages=(Message(role="user", content=text),), origin=Origin(source="test", row=0)))
    return made


@pytest.mark.parametrize("name", FAMILIES)
def test_greedy_tokens_are_those_of_generate(name: str) -> None:
    model = family(name)
    sampler = Sampler(model, NumberTemplate(), decode_rows=3)  # type: ignore[arg-type]
    settings = SamplingSettings(temperature=0, max_completion_length=14)
    for rollout in sampler.sample(prompts(), samples=1, settings=settings, seeds=[0] * 4):
        ids = torch.tensor([rollout.prompt_ids])
        whole = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=14,
            do_sample=False,
            eos_token_id=STOPS,
            pad_token_id=0,
        )
        assert whole[0, ids.shape[1] :].tolist() == list(rollout.completion_ids)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_sampler_and_the_trainer_agree_on_every_token(name: str) -> None:
    """Groups of 4 of which few are decoded at once, so that rows leave and others enter; longer than any window."""
    sampler = Sampler(family(name), NumberTemplate(), decode_rows=9)  # type: ignore[arg-type]
    settings = SamplingSettings(temperature=0.7, max_completion_length=20)
    rollouts = sampler.sample(prompts(), samples=4, settings=settings, seeds=list(range(16)))
    groups = []
    for start in range(0, 16, 4):
        completions = tuple(rollout.completion_ids for rollout in rollouts[start : start + 4])
        masks = tuple((True,) * len(ids) for ids in completions)
        groups.append(TokenGroup(prompt_ids=rollouts[start].prompt_ids, completions=completions, loss_masks=masks))
    logprobs_BT = sampler.decoder.logprobs(flat_batch(groups), temperature=0.7).logprobs_BT.detach()
    for rollout, row in zip(rollouts, logprobs_BT, strict=True):
        assert_close(torch.tensor(rollout.logprobs), row[: len(rollout.logprobs)], atol=2e-5, rtol=1e-5)
        assert not set(STOPS) & set(rollout.completion_ids[:-1])
    assert len({len(rollout.completion_ids) for rollout in rollouts}) > 1


@pytest.mark.parametrize("name", ["mamba", "falcon", "llama"])
def test_a_cache_that_gives_other_numbers_is_not_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = family(name)
    assert OwnSteps(model).is_cached
    forward = model.forward

    def forgetful(*args: object, **options: object) -> object:
        """A cache that is always empty again."""
        for cache in ("cache", "past_key_values", "cache_params"):
            options.pop(cache, None)
        return forward(*args, **options)

    steps = OwnSteps(model)
    monkeypatch.setattr(steps, "model", type("Forgetful", (), {"__call__": lambda self, **o: forgetful(**o)})())
    for attribute in ("parameters", "get_input_embeddings", "dtype"):
        monkeypatch.setattr(type(steps.model), attribute, getattr(model, attribute), raising=False)
    assert not steps._cache_is_right()


def test_without_a_cache_every_token_is_right_too() -> None:
    model = family("mamba")
    steps = OwnSteps(model)
    steps.is_cached = False
    ids = torch.tensor([[7, 8, 9], [9, 3, 4]])
    with torch.no_grad():
        assert_close(steps.start(ids), model(input_ids=ids).logits[:, -1])
        longer = torch.cat([ids, torch.tensor([[11], [12]])], dim=1)
        assert_close(steps.step(torch.tensor([11, 12])), model(input_ids=longer).logits[:, -1])


@pytest.mark.parametrize("name", ["gpt2", "llama", "falcon", "mamba"])
def test_prompts_at_the_end_of_the_context(name: str) -> None:
    """One token of room, none, and a prompt longer than the context beside an ordinary one."""
    model = family(name)
    model.config.max_position_embeddings = 12
    sampler = Sampler(model, NumberTemplate(), decode_rows=64)  # type: ignore[arg-type]
    made = [
        Prompt(messages=(Message(role="user", content=" ".join(["7"] * length)),), origin=Origin(source="test", row=0))
        for length in (11, 12, 30, 4)
    ]
    settings = SamplingSettings(temperature=1.0, max_completion_length=50)
    found = sampler.sample(made, samples=3, settings=settings, seeds=list(range(12)))
    lengths = [[len(rollout.completion_ids) for rollout in found[at : at + 3]] for at in range(0, 12, 3)]
    assert lengths[0] == [1, 1, 1]
    assert lengths[1] == lengths[2] == [0, 0, 0]
    assert max(lengths[3]) <= 8
    assert {rollout.finish for rollout in found[3:9]} == {"no_room"}
    assert all(rollout.logprobs == () for rollout in found[3:9])
