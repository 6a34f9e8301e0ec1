"""What each estimate of the divergence teaches, measured: all tokens of a small vocabulary, weighed by probability.

Legend: V token of the vocabulary, S second token; B = V or V x S completion, T completion token.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, tensor
from torch.testing import assert_close

from whet.algorithms.algorithm import ScoredStep, TokenBatch
from whet.algorithms.parts.kl_term import Estimator, KlTerm


def random_logits(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LOGITS_V = random_logits(0, 6)
REFERENCE_V = random_logits(1, 6).log_softmax(-1)
OLD_V = random_logits(2, 6).log_softmax(-1)
ESTIMATORS: tuple[Estimator, ...] = ("k1", "k2", "k3")


def gradient_of(value: Callable[[Tensor], Tensor]) -> Tensor:
    """d value / d logits, where the value is made from the policy's log-probabilities."""
    logits_V = LOGITS_V.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(logits_V.log_softmax(-1)), logits_V)
    return gradient


def reverse_kl(logprobs_V: Tensor) -> Tensor:
    """KL(policy || reference)."""
    return (logprobs_V.exp() * (logprobs_V - REFERENCE_V)).sum()


def forward_kl(logprobs_V: Tensor) -> Tensor:
    """KL(reference || policy)."""
    return (REFERENCE_V.exp() * (REFERENCE_V - logprobs_V)).sum()


def expected_loss(term: KlTerm, *, sampled_V: Tensor) -> Callable[[Tensor], Tensor]:
    """The mean of the loss that is differentiated, over tokens that `sampled_V` drew."""

    def value(logprobs_V: Tensor) -> Tensor:
        batch = TokenBatch(
            logprobs_BT=logprobs_V[:, None],
            old_logprobs_BT=sampled_V[:, None],
            reference_logprobs_BT=REFERENCE_V[:, None],
            advantages_BT=torch.zeros(6, 1),
            mask_BT=torch.ones(6, 1, dtype=torch.bool),
            beta=1.0,
        )
        losses_BT = term.losses(batch, term.estimates(batch))
        assert isinstance(losses_BT, Tensor)
        return (sampled_V.exp() * losses_BT[:, 0]).sum()

    return value


ON_POLICY_V = LOGITS_V.log_softmax(-1)


def test_k1_in_the_loss_teaches_nothing() -> None:
    found = gradient_of(expected_loss(KlTerm(estimator="k1", placement="loss"), sampled_V=ON_POLICY_V))
    assert_close(found, torch.zeros(6, dtype=torch.float64), atol=1e-12, rtol=0)


def test_k2_in_the_loss_has_the_gradient_of_the_divergence() -> None:
    found = gradient_of(expected_loss(KlTerm(estimator="k2", placement="loss"), sampled_V=ON_POLICY_V))
    assert_close(found, gradient_of(reverse_kl))


def test_k3_in_the_loss_has_the_gradient_of_the_other_direction() -> None:
    found = gradient_of(expected_loss(KlTerm(estimator="k3", placement="loss"), sampled_V=ON_POLICY_V))
    assert_close(found, gradient_of(forward_kl))
    assert float((found - gradient_of(reverse_kl)).abs().max()) > 0.05


@pytest.mark.parametrize("sampled_V", [ON_POLICY_V, OLD_V], ids=["on_policy", "off_policy"])
@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_times_the_ratio_it_is_the_divergence_on_and_off_policy(estimator: Estimator, sampled_V: Tensor) -> None:
    term = KlTerm(estimator=estimator, placement="loss", is_corrected=True)
    assert_close(gradient_of(expected_loss(term, sampled_V=sampled_V)), gradient_of(reverse_kl))


def reward_gradient(estimator: Estimator, logits_V: Tensor, reference_V: Tensor) -> Tensor:
    """E[k grad log p], with k as `penalties` has it: a number, not differentiated."""
    logits_V = logits_V.clone().requires_grad_()
    logprobs_V = logits_V.log_softmax(-1)
    step = ScoredStep(
        rewards_PG=torch.zeros(6, 1),
        is_truncated_B=torch.zeros(6, dtype=torch.bool),
        mask_BT=torch.ones(6, 1, dtype=torch.bool),
        beta=1.0,
        old_logprobs_BT=logprobs_V.detach()[:, None],
        reference_logprobs_BT=reference_V[:, None],
    )
    penalties_V = KlTerm(estimator=estimator, placement="reward").penalties(step)[:, 0]
    (gradient,) = torch.autograd.grad((logprobs_V.detach().exp() * penalties_V * logprobs_V).sum(), logits_V)
    return gradient


def test_k1_in_the_reward_has_the_gradient_of_the_divergence() -> None:
    assert_close(reward_gradient("k1", LOGITS_V, REFERENCE_V), gradient_of(reverse_kl))


def test_k3_in_the_reward_is_one_direction_minus_the_other() -> None:
    expected = gradient_of(reverse_kl) - gradient_of(forward_kl)
    assert_close(reward_gradient("k3", LOGITS_V, REFERENCE_V), expected)


@pytest.mark.parametrize(("estimator", "order"), [("k1", 1), ("k2", 2), ("k3", 2)])
def test_near_the_reference_only_k1_in_the_reward_holds_back(estimator: Estimator, order: int) -> None:
    # ten times nearer: the gradient is 10 times smaller for k1, 100 times for k2 and k3
    direction_V = random_logits(3, 6)
    sizes = []
    for distance in (1e-2, 1e-3):
        logits_V = REFERENCE_V + distance * direction_V
        sizes.append(float(reward_gradient(estimator, logits_V, REFERENCE_V).norm()))
    assert sizes[0] / sizes[1] == pytest.approx(10**order, rel=0.1)


def test_in_the_reward_a_token_answers_for_what_follows_and_in_the_loss_it_does_not() -> None:
    # two tokens, 3 x 3 completions; the second token's distribution depends on the first
    first_V, second_VS = random_logits(4, 3).requires_grad_(), random_logits(5, 3, 3).requires_grad_()
    policy_VST = torch.stack([first_V.log_softmax(-1)[:, None].expand(3, 3), second_VS.log_softmax(-1)], dim=-1)
    reference_VST = torch.stack(
        [random_logits(6, 3).log_softmax(-1)[:, None].expand(3, 3), random_logits(7, 3, 3).log_softmax(-1)], dim=-1
    )
    policy_BT, reference_BT = policy_VST.reshape(9, 2), reference_VST.reshape(9, 2)
    weight_B = policy_BT.sum(-1).exp()
    parameters = (first_V, second_VS)
    wanted = torch.autograd.grad((weight_B * (policy_BT - reference_BT).sum(-1)).sum(), parameters, retain_graph=True)
    step = ScoredStep(
        rewards_PG=torch.zeros(9, 1),
        is_truncated_B=torch.zeros(9, dtype=torch.bool),
        mask_BT=torch.ones(9, 2, dtype=torch.bool),
        beta=1.0,
        old_logprobs_BT=policy_BT.detach(),
        reference_logprobs_BT=reference_BT,
    )
    penalties_BT = KlTerm(estimator="k1", placement="reward").penalties(step)
    later_BT = penalties_BT.flip(-1).cumsum(-1).flip(-1)
    in_reward = (weight_B.detach()[:, None] * later_BT * policy_BT).sum()
    assert_close(torch.autograd.grad(in_reward, parameters, retain_graph=True), wanted)
    batch = TokenBatch(
        logprobs_BT=policy_BT,
        old_logprobs_BT=policy_BT.detach(),
        reference_logprobs_BT=reference_BT,
        advantages_BT=torch.zeros(9, 2),
        mask_BT=torch.ones(9, 2, dtype=torch.bool),
        beta=1.0,
    )
    term = KlTerm(estimator="k2", placement="loss")
    in_loss = (weight_B.detach()[:, None] * term.losses(batch, term.estimates(batch))).sum()
    found_first, found_second = torch.autograd.grad(in_loss, parameters)
    assert_close(found_second, wanted[1])
    assert float((found_first - wanted[0]).abs().max()) > 0.05


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_penalties_are_weighed_masked_and_in_double_precision(estimator: Estimator) -> None:
    # p 0.5, q 0.25: k1 = 0.6931, k2 = 0.2402, k3 = 0.1931; beta 0.5
    step = ScoredStep(
        rewards_PG=torch.zeros(1, 1),
        is_truncated_B=torch.zeros(1, dtype=torch.bool),
        mask_BT=tensor([[True, False]]),
        beta=0.5,
        old_logprobs_BT=tensor([[0.5, math.nan]]).log(),
        reference_logprobs_BT=tensor([[0.25, math.nan]]).log(),
    )
    found = KlTerm(estimator=estimator, placement="reward").penalties(step)
    expected = {"k1": 0.6931, "k2": 0.2402, "k3": 0.1931}[estimator]
    assert_close(found, tensor([[0.5 * expected, 0.0]]).double(), atol=1e-4, rtol=0)


def test_a_token_that_the_reference_holds_impossible_costs_20_nats_and_is_still_driven_out() -> None:
    logprobs_BT = tensor([[-1.0]]).requires_grad_()
    # d k1 = 1, d k2 = 20, d k3 = 1 - e^-20
    for estimator, value, slope in (("k1", 20.0, 1.0), ("k2", 200.0, 20.0), ("k3", 19.0, 1.0)):
        batch = TokenBatch(
            logprobs_BT=logprobs_BT,
            old_logprobs_BT=tensor([[-1.0]]),
            reference_logprobs_BT=tensor([[-1e4]]),
            advantages_BT=tensor([[0.0]]),
            mask_BT=tensor([[True]]),
            beta=1.0,
        )
        found = KlTerm(estimator=estimator, placement="loss").estimates(batch)
        assert found.item() == pytest.approx(value, rel=1e-6)
        (gradient,) = torch.autograd.grad(found.sum(), logprobs_BT)
        assert gradient.item() == pytest.approx(slope, rel=1e-6)


def test_nothing_is_added_where_nothing_is_asked() -> None:
    step = ScoredStep(
        rewards_PG=torch.zeros(1, 1),
        is_truncated_B=torch.zeros(1, dtype=torch.bool),
        mask_BT=tensor([[True]]),
        beta=0.0,
    )
    assert not KlTerm(estimator="k1", placement="reward").penalties(step).any()
    batch = TokenBatch(
        logprobs_BT=tensor([[-1.0]]),
        old_logprobs_BT=tensor([[-1.0]]),
        advantages_BT=tensor([[0.0]]),
        mask_BT=tensor([[True]]),
        beta=0.0,
    )
    term = KlTerm(estimator="k3", placement="loss")
    assert term.estimates(batch) is None
    assert term.losses(batch, None) == 0.0


def test_what_the_record_says() -> None:
    assert KlTerm(estimator="k3", placement="loss").told(0.04) == "k3 in the loss, weight 0.04"
    assert (
        KlTerm(estimator="k3", placement="loss", is_corrected=True).told(0.04)
        == "k3 in the loss, times the ratio, weight 0.04"
    )
    assert KlTerm(estimator="k1", placement="reward", is_corrected=True).told(0.04) == "k1 in the reward, weight 0.04"
    assert KlTerm(estimator="k3", placement="loss").told(0.0) == "none"
