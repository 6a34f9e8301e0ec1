"""What a course asks its students to write (Stanford CS336, assignment 5), in the shapes of its tests.

Expected numbers are computed here, in NumPy's float64 or by the model's own forward. Legend: see the algorithms.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, GPT2Config, PreTrainedModel

from whet.algorithms.grpo import group_advantages, token_weights
from whet.algorithms.masked import masked_mean
from whet.algorithms.parts.ratio import clipped_surrogate, policy_ratio
from whet.algorithms.preferences.dpo import dpo_losses
from whet.algorithms.preferences.log_ratios import completion_log_ratios
from whet.models.decoder import Decoder
from whet.models.head_logprobs import logits_logprobs
from whet.tokens.batches import TokenGroup, flat_batch


def numbers(*shape: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("by_deviation", [True, False])
def test_group_normalised_rewards(by_deviation: bool) -> None:
    # 8 prompts in groups of 4; rewards of 0 and 1 as a verifier gives them, the last group all right
    rewards_PG = (numbers(8, 4, seed=1) > 0).double()
    rewards_PG[-1] = 1.0
    array = rewards_PG.numpy()
    expected = array - array.mean(1, keepdims=True)
    if by_deviation:
        expected = expected / (array.std(1, keepdims=True, ddof=1) + 1e-6)
    found = group_advantages(rewards_PG, scale="group" if by_deviation else "none", epsilon=1e-6)
    assert_close(found, torch.from_numpy(expected), rtol=1e-12, atol=1e-12)
    assert found[-1].tolist() == [0.0] * 4


def test_policy_gradient_loss_is_minus_the_advantage_times_the_logprob() -> None:
    # its gradient, which the ratio of a policy to itself has too
    logprobs_BT, advantages_B1 = (-numbers(2, 10, seed=2).abs()).requires_grad_(), numbers(2, 1, seed=3)
    ratio_BT = policy_ratio(logprobs_BT, logprobs_BT.detach())
    losses_BT, _ = clipped_surrogate(ratio_BT, advantages_B1, low=0.9, high=1.1)
    losses_BT.sum().backward()
    assert_close(logprobs_BT.grad, -advantages_B1.expand(2, 10))


@pytest.mark.parametrize(("cliprange", "spread"), [(0.1, 0.3), (0.1, 5.0), (0.5, 0.05)])
def test_grpo_clip_loss(cliprange: float, spread: float) -> None:
    logprobs, old, advantages = -numbers(2, 10, seed=4).abs(), -numbers(2, 10, seed=4).abs(), numbers(2, 1, seed=6)
    old = old + spread * numbers(2, 10, seed=5)
    ratio = np.exp(logprobs.numpy() - old.numpy())
    expected = -np.minimum(
        ratio * advantages.numpy(), np.clip(ratio, 1 - cliprange, 1 + cliprange) * advantages.numpy()
    )
    found, is_clipped = clipped_surrogate(
        policy_ratio(logprobs, old), advantages, low=1 - cliprange, high=1 + cliprange
    )
    assert_close(found, torch.from_numpy(expected))
    outside = ((ratio > 1 + cliprange) & (advantages.numpy() > 0)) | (
        (ratio < 1 - cliprange) & (advantages.numpy() < 0)
    )
    assert is_clipped.tolist() == outside.tolist()
    assert is_clipped.any() == (spread > cliprange)


def test_masked_mean() -> None:
    values, mask = numbers(2, 10, seed=7), numbers(2, 10, seed=8) > 0
    assert masked_mean(values, mask) == pytest.approx(values.numpy()[mask.numpy()].mean())
    for row in range(2):
        assert masked_mean(values[row], mask[row]) == pytest.approx(values[row].numpy()[mask[row].numpy()].mean())


def test_masked_normalize_is_a_sum_over_a_constant() -> None:
    # Dr. GRPO's weight: what the course divides by is the limit of the length
    values, mask = numbers(2, 10, seed=7), numbers(2, 10, seed=8) > 0
    expected = np.where(mask.numpy(), values.numpy(), 0.0).sum(-1) / 42.0
    found = (values * token_weights(mask, loss_type="dr_grpo", max_completion_length=42)).sum(-1)
    assert_close(found, torch.from_numpy(expected), rtol=1e-6, atol=0)


def test_entropy_and_response_logprobs() -> None:
    logits, labels = 4 * numbers(20, 100, seed=9), torch.arange(20)
    array = logits.numpy()
    logprobs = array - array.max(-1, keepdims=True)
    logprobs = logprobs - np.log(np.exp(logprobs).sum(-1, keepdims=True))
    found, entropy = logits_logprobs(logits, labels, temperature=1.0)
    assert_close(found.double(), torch.from_numpy(logprobs[np.arange(20), np.arange(20)]), rtol=1e-5, atol=1e-5)
    assert_close(entropy.double(), torch.from_numpy(-(np.exp(logprobs) * logprobs).sum(-1)), rtol=1e-5, atol=1e-5)
    # a logit of 1e4 beside others is no NaN
    sure = torch.zeros(1, 5)
    sure[0, 2] = 1e4
    assert logits_logprobs(sure, tensor([2]), temperature=1.0)[1].tolist() == [0.0]


def test_per_instance_dpo() -> None:
    # two small GPT-2s, beta 0.5; each response ends in its end token
    def model(seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)
        config = GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=32, initializer_range=0.3)
        return AutoModelForCausalLM.from_config(config).eval()

    def total(policy: PreTrainedModel, prompt: tuple[int, ...], response: tuple[int, ...]) -> float:
        with torch.no_grad():
            logits = policy(input_ids=torch.tensor([prompt + response])).logits[0].double()
        logprobs = torch.log_softmax(logits, dim=-1)[len(prompt) - 1 : -1]
        return float(sum(logprobs[place, token] for place, token in enumerate(response)))

    policy, reference, beta = model(0), model(1), 0.5
    prompt, chosen, rejected = (5, 9, 11, 3), (7, 8, 30, 0), (21, 0)
    margin = (total(policy, prompt, chosen) - total(reference, prompt, chosen)) - (
        total(policy, prompt, rejected) - total(reference, prompt, rejected)
    )
    batch = flat_batch(
        [TokenGroup(prompt_ids=prompt, completions=(chosen, rejected), loss_masks=((True,) * 4, (True,) * 2))]
    )
    ours = [Decoder(each).logprobs(batch).logprobs_BT.detach() for each in (policy, reference)]
    ratios_B = completion_log_ratios(ours[0], ours[1], batch.mask_BT, average="sum")
    loss = dpo_losses(ratios_B[:1], ratios_B[1:], beta=beta)
    assert float(loss) == pytest.approx(math.log1p(math.exp(-beta * margin)), rel=1e-4)
    assert abs(margin) > 0.1
