import numpy as np
import torch

from whet.rollout.sampling import SamplingSettings, choose_tokens, uniforms

LOGITS = torch.log(torch.tensor([[0.1, 0.5, 0.3, 0.1]]))


def chosen(uniform: float, **fields: float) -> int:
    settings = SamplingSettings(**{"temperature": 1.0, "max_completion_length": 1, **fields})  # type: ignore[arg-type]
    return int(choose_tokens(LOGITS, torch.tensor([uniform], dtype=torch.float64), settings)[0])


def test_the_cumulative_distribution_is_inverted() -> None:
    # cumulative 0.1, 0.6, 0.9, 1.0
    assert [chosen(u) for u in (0.0, 0.05, 0.11, 0.59, 0.61, 0.89, 0.95)] == [0, 0, 1, 1, 2, 2, 3]


def test_greedy_takes_the_likeliest_and_reports_it_at_temperature_one() -> None:
    token, logprob = choose_tokens(LOGITS, torch.zeros(1), SamplingSettings(temperature=0, max_completion_length=1))
    assert (int(token), round(float(logprob.exp()), 5)) == (1, 0.5)


def test_top_k_and_top_p_cut_and_one_token_always_stays() -> None:
    # of the two likeliest, 0.5 and 0.3, the second starts at 5/8
    assert [chosen(u, top_k=2) for u in (0.0, 0.62, 0.63, 0.99)] == [1, 1, 2, 2]
    assert [chosen(u, top_p=0.6) for u in (0.0, 0.62, 0.63, 0.99)] == [1, 1, 2, 2]
    assert {chosen(u, top_p=0.01) for u in (0.0, 0.5, 0.99)} == {1}


def test_the_logprob_is_of_the_whole_distribution_at_the_temperature() -> None:
    settings = SamplingSettings(temperature=2.0, max_completion_length=1, top_k=1)
    _, logprob = choose_tokens(LOGITS, torch.tensor([0.5]), settings)
    # sqrt of each probability, normalised: sqrt .5 / (2 sqrt .1 + sqrt .5 + sqrt .3) = .70711 / 1.88729
    assert abs(float(logprob.exp()) - 0.70711 / 1.88729) < 1e-4


def test_a_rollouts_numbers_are_its_own() -> None:
    assert np.array_equal(uniforms(7, 5), uniforms(7, 9)[:5])
    assert not np.array_equal(uniforms(7, 5), uniforms(8, 5))
    assert abs(float(np.mean(uniforms(1, 10_000))) - 0.5) < 0.01
