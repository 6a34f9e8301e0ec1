import math

import pytest
import torch
from torch import tensor
from torch.testing import assert_close

from whet.algorithms.kl import k1, k2, k3


def test_by_hand() -> None:
    # p = 0.5, q = 0.25: log(p/q) = ln 2 = 0.6931; (ln 2)^2 / 2 = 0.2402; q/p - 1 - log(q/p) = 0.5 - 1 + 0.6931 = 0.1931
    p, q = tensor(0.5).log(), tensor(0.25).log()
    assert_close(k1(p, q), tensor(0.6931), atol=1e-4, rtol=0)
    assert_close(k2(p, q), tensor(0.2402), atol=1e-4, rtol=0)
    assert_close(k3(p, q), tensor(0.1931), atol=1e-4, rtol=0)


def test_expectation_under_the_policy_is_the_divergence() -> None:
    # KL(p || q) = 0.7 ln(0.7/0.4) + 0.3 ln(0.3/0.6) = 0.39173 - 0.20794 = 0.18379; k1 and k3 are unbiased.
    # k2 is not: 0.7 x 0.55962^2 / 2 + 0.3 x 0.69315^2 / 2 = 0.10961 + 0.07207 = 0.18168
    p, q = tensor([0.7, 0.3], dtype=torch.float64), tensor([0.4, 0.6], dtype=torch.float64)
    for estimator in (k1, k3):
        assert float((p * estimator(p.log(), q.log())).sum()) == pytest.approx(0.18379, abs=1e-5)
    assert float((p * k2(p.log(), q.log())).sum()) == pytest.approx(0.18168, abs=1e-5)


def test_equal_policies_differ_by_nothing() -> None:
    logprobs = tensor([-0.1, -3.0, -40.0])
    for estimator in (k1, k2, k3):
        assert estimator(logprobs, logprobs).tolist() == [0.0, 0.0, 0.0]


def test_k2_and_k3_are_never_negative() -> None:
    logprobs = torch.linspace(-9, 0, 50)
    assert bool((k3(logprobs, logprobs.flip(0)) >= 0).all())
    assert bool((k2(logprobs, logprobs.flip(0)) >= 0).all())


def test_gradient_of_k3_is_one_minus_the_ratio() -> None:
    # d/dlogp (q/p - 1 - log q + log p) = 1 - q/p = 1 - 0.5
    logprob = tensor(math.log(0.5), requires_grad=True)
    k3(logprob, tensor(math.log(0.25))).backward()
    assert_close(logprob.grad, tensor(0.5), atol=1e-6, rtol=0)


def test_an_impossible_token_does_not_overflow() -> None:
    # e^20 - 1 - 20, and not infinity
    assert float(k3(tensor(-500.0), tensor(0.0))) == pytest.approx(math.exp(20) - 21, rel=1e-6)
