"""The chunked head against log_softmax, with what models do behind it: scales, caps, biases."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from transformers import GraniteConfig, LlamaConfig

from whet.models import head_logprobs as module
from whet.models.head_logprobs import LogitRule, head_logprobs, logit_rule, logits_logprobs

RULES = [LogitRule(), LogitRule(scale=0.25), LogitRule(softcap=2.0), LogitRule(scale=3.0, softcap=1.5)]


def plain(
    hidden: Tensor, head: nn.Linear, targets: Tensor, rule: LogitRule, temperature: float
) -> tuple[Tensor, Tensor]:
    logits = (hidden @ head.weight.t() + (0 if head.bias is None else head.bias)) * rule.scale
    logits = logits if rule.softcap is None else rule.softcap * torch.tanh(logits / rule.softcap)
    distribution = torch.distributions.Categorical(logits=logits / temperature)
    return [distribution.log_prob(targets), distribution.entropy()]


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_values_and_gradients(rule: LogitRule, bias: bool, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_LOGITS", 40)  # of 7 rows of 20: pieces of 2
    monkeypatch.setattr(module, "_KEEP_PROBABILITIES", 10_000 if kept else 0)
    torch.manual_seed(0)
    head, hidden, targets = nn.Linear(6, 20, bias=bias), torch.randn(7, 6, requires_grad=True), torch.randint(20, (7,))
    found, entropy = head_logprobs(hidden, head, targets, temperature=0.7, rule=rule)
    expected, expected_entropy = plain(hidden, head, targets, rule, 0.7)
    assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert_close(entropy, expected_entropy.detach(), atol=1e-6, rtol=1e-5)
    weight = torch.linspace(-1, 2, 7)
    inputs = [hidden, *head.parameters()]
    ours = torch.autograd.grad((found * weight).sum(), inputs)
    theirs = torch.autograd.grad((expected * weight).sum(), inputs)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, atol=1e-6, rtol=1e-4)
    whole, whole_entropy = logits_logprobs(rule(head(hidden)), targets, temperature=0.7)
    assert_close(whole, expected, atol=1e-6, rtol=1e-5)
    assert_close(whole_entropy, expected_entropy.detach(), atol=1e-6, rtol=1e-5)


def test_a_frozen_head_gets_no_gradient_and_costs_none() -> None:
    torch.manual_seed(0)
    head, hidden = nn.Linear(6, 20, bias=False).requires_grad_(False), torch.randn(3, 6, requires_grad=True)
    found, _ = head_logprobs(hidden, head, torch.tensor([1, 2, 3]), temperature=1.0, rule=LogitRule())
    found.sum().backward()
    assert head.weight.grad is None
    assert hidden.grad is not None


def test_an_impossible_token_adds_nothing_to_the_entropy() -> None:
    head = nn.Linear(1, 3, bias=True)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.0, 0.0, -torch.inf]))
    found, entropy = head_logprobs(torch.zeros(1, 1), head, torch.tensor([0]), temperature=1.0, rule=LogitRule())
    # two tokens of probability 1/2: ln 2 each way
    assert_close(found, torch.tensor([-0.6931472]))
    assert_close(entropy, torch.tensor([0.6931472]))


def test_the_rule_by_the_names_that_configs_have() -> None:
    assert logit_rule(LlamaConfig()) == LogitRule()
    assert logit_rule(GraniteConfig(logits_scaling=8.0)) == LogitRule(scale=0.125)
