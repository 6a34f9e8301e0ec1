"""What must hold of every algorithm of the RL loop.

Legend: P prompt, G completion of the same prompt, B = P x G, T completion token.
"""

import json
import math
from dataclasses import asdict, fields, replace

import pytest
import torch
from family import MASK, NAN, REWARDS, Settings, loss_of, make_batch, make_step, options, part_of
from torch import Tensor, tensor
from torch.testing import assert_close

from whet.algorithms import ALGORITHMS, FAMILY
from whet.algorithms.algorithm import PolicyAlgorithm, TokenBatch

# What learns from rewards alone, with no critic and no teacher.
FROM_REWARDS = sorted(set(FAMILY) - {"ppo", "distillation"})
IN_GROUPS = sorted(name for name in FAMILY if FAMILY[name](options()).needs.groups)
# Every algorithm as it comes, and with everything that can be added to its loss.
PLAIN_AND_FULL = [
    pytest.param(name, added, id=f"{name}{'-full' if added else ''}")
    for name in sorted(FAMILY)
    for added in ({}, {"beta": 0.1, "entropy_coef": 0.02, "kl_placement": "loss"})
]


def made(name: str, **fields: object) -> PolicyAlgorithm:
    return FAMILY[name](options(**fields))


def test_what_the_loop_runs_is_of_the_family() -> None:
    assert {name: FAMILY[name] for name in ALGORITHMS} == dict(ALGORITHMS)


def test_the_algorithms_that_compare_within_a_prompt() -> None:
    assert (
        sorted(["cispo", "dapo", "dr_grpo", "grpo", "gspo", "gspo_token", "reinforce_plus_plus_baseline", "rloo"])
        == IN_GROUPS
    )


@pytest.mark.parametrize("name", FROM_REWARDS)
@pytest.mark.parametrize("reward", [0.0, 0.1, 1.1, 1e8])
def test_uniform_rewards_teach_exactly_nothing(name: str, reward: float) -> None:
    step = make_step(rewards_PG=torch.full((3, 4), reward, dtype=torch.float64))
    assert not made(name).credit(step).advantages_BT.any()


@pytest.mark.parametrize("name", IN_GROUPS)
def test_groups_of_one_teach_exactly_nothing(name: str) -> None:
    step = make_step(rewards_PG=torch.arange(12, dtype=torch.float64)[:, None])
    assert not made(name).credit(step).advantages_BT.any()


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_what_was_not_scored_or_is_not_trained_has_no_advantage(name: str) -> None:
    found_BT = made(name).credit(make_step()).advantages_BT
    assert found_BT.dtype == torch.float64
    assert bool(found_BT.isfinite().all())
    assert found_BT.any()
    assert not found_BT[~MASK].any()
    if name != "distillation":
        assert not found_BT[~torch.isfinite(REWARDS).flatten()].any()


@pytest.mark.parametrize("name", FROM_REWARDS)
def test_without_the_unscorable_the_others_learn_the_same(name: str) -> None:
    # the second completion cannot be scored, and its number of tokens is nobody's concern
    rewards_PG, mask_BT = tensor([[1.0, NAN, 0.0, 0.5]]).double(), MASK[:4]
    kept = [0, 2, 3]
    with_it = made(name).credit(make_step(rewards_PG=rewards_PG, mask_BT=mask_BT)).advantages_BT
    step = make_step(rewards_PG=rewards_PG[:, kept], mask_BT=mask_BT[kept])
    assert_close(with_it[kept], made(name).credit(step).advantages_BT)


@pytest.mark.parametrize(("name", "added"), PLAIN_AND_FULL)
def test_four_micro_batches_are_one_batch(name: str, added: dict[str, float]) -> None:
    algorithm, step = made(name, **added), make_step(beta=added.get("beta", 0.0))
    whole, again = make_batch(algorithm, step), make_batch(algorithm, step)
    loss_of(algorithm, whole)[0].backward()
    pieces = [part_of(again, slice(start, start + 3)) for start in range(0, 12, 3)]
    denominator = math.fsum(algorithm.denominator(piece.mask_BT) for piece in pieces)
    assert denominator == algorithm.denominator(MASK)
    for piece in pieces:
        (algorithm.losses(piece).losses_BT.sum() / denominator).backward()
    assert_close(again.logprobs_BT.grad, whole.logprobs_BT.grad)


@pytest.mark.parametrize(("name", "added"), PLAIN_AND_FULL)
@pytest.mark.parametrize("trash", [-7.0, math.nan, -math.inf, math.inf])
def test_padding_changes_nothing(name: str, added: dict[str, float], trash: float) -> None:
    """Two places before, three after, and whatever stands where the mask is False; credit, losses and gradients."""
    algorithm, step = made(name, **added), make_step(beta=added.get("beta", 0.0))
    batch = make_batch(algorithm, step)
    loss, losses = loss_of(algorithm, batch)
    loss.backward()

    def padded(values_BT: Tensor, fill: float = trash) -> Tensor:
        values_BT = torch.where(MASK, values_BT.detach(), fill)
        return torch.nn.functional.pad(values_BT, (2, 3), value=fill)

    wide = {name: padded(getattr(step, name)) for name in vars_of(step) if name.endswith("_BT") and name != "mask_BT"}
    mask_BT = torch.nn.functional.pad(MASK, (2, 3))
    credit_BT = algorithm.credit(replace(step, mask_BT=mask_BT, **wide)).advantages_BT
    assert_close(credit_BT, padded(batch.advantages_BT, 0.0))
    logprobs_BT = padded(batch.logprobs_BT).requires_grad_()
    other = replace(
        batch,
        logprobs_BT=logprobs_BT,
        old_logprobs_BT=padded(batch.old_logprobs_BT),
        reference_logprobs_BT=None if batch.reference_logprobs_BT is None else padded(batch.reference_logprobs_BT),
        entropy_BT=None if batch.entropy_BT is None else padded(batch.entropy_BT),
        advantages_BT=torch.where(mask_BT, credit_BT, trash),
        mask_BT=mask_BT,
    )
    wide_loss, wide_losses = loss_of(algorithm, other)
    wide_loss.backward()
    assert_close(wide_loss, loss)
    assert_close(logprobs_BT.grad, padded(batch.logprobs_BT.grad, 0.0))
    for field in ("losses_BT", "ratio_BT", "is_clipped_BT", "kl_BT"):
        narrow, wide_values = getattr(losses, field), getattr(wide_losses, field)
        if narrow is not None:
            assert_close(wide_values[:, 2:-3], narrow)
            assert not wide_values[~mask_BT].any()


def vars_of(record: object) -> list[str]:
    return [field.name for field in fields(record) if getattr(record, field.name) is not None]


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_on_policy_the_gradient_is_the_plain_policy_gradient(name: str) -> None:
    # ratio 1, no clip: d loss / d log pi = -weight A / denominator
    algorithm = made(name)
    batch = make_batch(algorithm, make_step(), distance=0.0)
    loss, losses = loss_of(algorithm, batch)
    loss.backward()
    lengths_B1 = MASK.sum(-1, keepdim=True).clamp_min(1)
    weight = {"gspo": 1 / lengths_B1, "gspo_token": 1 / lengths_B1, "dr_grpo": 1 / 8}.get(name, 1.0)
    count = 12 if name in {"gspo", "gspo_token", "dr_grpo", "reinforce", "rloo"} else int(MASK.sum())
    assert_close(batch.logprobs_BT.grad, -weight * batch.advantages_BT / count)
    assert_close(losses.ratio_BT, MASK.double())
    assert not losses.is_clipped_BT.any()


@pytest.mark.parametrize(("name", "added"), PLAIN_AND_FULL)
def test_a_truncated_completion_without_trained_tokens_gives_nothing(name: str, added: dict[str, float]) -> None:
    """`mask_truncated_completions` takes its tokens away; it stays in its group and, where they count, a completion."""
    mask_BT = MASK & (torch.arange(12) % 4 != 3)[:, None]
    algorithm = made(name, **added)
    batch = make_batch(algorithm, make_step(beta=added.get("beta", 0.0), mask_BT=mask_BT))
    loss_of(algorithm, batch)[0].backward()
    assert bool(batch.logprobs_BT.grad.isfinite().all())
    assert not batch.logprobs_BT.grad[3::4].any()
    assert batch.logprobs_BT.grad.any()


@pytest.mark.parametrize(("name", "added"), PLAIN_AND_FULL)
@pytest.mark.parametrize("impossible", ["logprobs_BT", "old_logprobs_BT", "reference_logprobs_BT", "all"])
def test_an_impossible_token_makes_no_infinite_loss(name: str, added: dict[str, float], impossible: str) -> None:
    algorithm = made(name, **added)
    batch = make_batch(algorithm, make_step(beta=added.get("beta", 0.0)))
    at = torch.zeros_like(MASK)
    at[0, 2] = at[7, 1] = True

    def struck(field: str) -> Tensor | None:
        values_BT = getattr(batch, field)
        return (
            values_BT if values_BT is None or impossible not in (field, "all") else values_BT.masked_fill(at, -math.inf)
        )

    names = ("logprobs_BT", "old_logprobs_BT", "reference_logprobs_BT")
    loss, _ = loss_of(algorithm, replace(batch, **{field: struck(field) for field in names}))
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(batch.logprobs_BT.grad.isfinite().all())


@pytest.mark.parametrize("name", sorted(FAMILY))
@pytest.mark.parametrize("field", ["logprobs_BT", "old_logprobs_BT"])
def test_a_nan_at_a_trained_token_is_not_hidden(name: str, field: str) -> None:
    algorithm = made(name)
    batch = make_batch(algorithm, make_step())
    broken = getattr(batch, field).detach().clone()
    broken[0, 0] = math.nan
    assert bool(loss_of(algorithm, replace(batch, **{field: broken}))[0].isnan())


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_a_bonus_on_entropy_weighs_as_the_tokens_loss(name: str) -> None:
    algorithm = made(name, entropy_coef=0.25)
    assert algorithm.needs.entropy
    batch = make_batch(algorithm, make_step())
    loss, _ = loss_of(algorithm, batch)
    loss.backward()
    plain = made(name)
    expected_BT = -0.25 * plain.token_weights(MASK).double() / plain.denominator(MASK)
    assert_close(batch.entropy_BT.grad, expected_BT)
    without, _ = loss_of(plain, replace(batch, entropy_BT=None))
    assert_close((loss - without).detach(), (expected_BT * batch.entropy_BT).sum().detach())


@pytest.mark.parametrize("name", sorted(FAMILY))
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize("is_corrected", [False, True])
def test_the_divergence_in_the_loss(name: str, estimator: str, is_corrected: bool) -> None:
    settings = {"beta": 0.3, "kl_placement": "loss", "kl_estimator": estimator, "use_bias_correction_kl": is_corrected}
    algorithm, plain = made(name, **settings), made(name)
    batch = make_batch(algorithm, make_step(beta=0.3))
    found_BT = (algorithm.losses(batch).losses_BT - plain.losses(replace(batch, beta=0.0)).losses_BT).detach()
    gap_BT = (batch.logprobs_BT - batch.reference_logprobs_BT).detach()
    k_BT = {"k1": gap_BT, "k2": gap_BT**2 / 2, "k3": (-gap_BT).exp() - 1 + gap_BT}[estimator]
    if is_corrected:
        k_BT = k_BT * (batch.logprobs_BT - batch.old_logprobs_BT).detach().exp()
    assert_close(found_BT, 0.3 * torch.where(MASK, k_BT, 0.0) * plain.token_weights(MASK))


@pytest.mark.parametrize("name", FROM_REWARDS)
def test_the_divergence_in_the_reward_of_a_completion(name: str) -> None:
    step = make_step(beta=0.3)
    algorithm = made(name, beta=0.3, kl_placement="reward")
    assert algorithm.needs.old_logprobs
    if name.startswith("reinforce_plus_plus"):
        return  # token by token, in its own test
    penalties_B = (step.old_logprobs_BT - step.reference_logprobs_BT).masked_fill(~MASK, 0.0).sum(-1)
    expected = made(name).credit(make_step(rewards_PG=REWARDS - 0.3 * penalties_B.view(3, 4))).advantages_BT
    assert_close(algorithm.credit(step).advantages_BT, expected)
    batch = make_batch(algorithm, step)
    assert_close(algorithm.losses(batch).losses_BT, made(name).losses(replace(batch, beta=0.0)).losses_BT)


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_half_precision_is_computed_in_full(name: str) -> None:
    algorithm, step = made(name), make_step()
    half = make_batch(algorithm, step, dtype=torch.bfloat16)
    full = replace(half, logprobs_BT=half.logprobs_BT.detach().double(), old_logprobs_BT=half.old_logprobs_BT.double())
    losses_BT = algorithm.losses(half).losses_BT
    assert losses_BT.dtype == torch.float32
    assert_close(losses_BT.double(), algorithm.losses(full).losses_BT, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_what_is_logged_carries_no_gradient_and_arguments_stay(name: str) -> None:
    algorithm = made(name, beta=0.1, entropy_coef=0.1)
    step = make_step(beta=0.1)
    batch = make_batch(algorithm, step)
    given = [value for record in (step, batch) for value in tensors_of(record)]
    copies = [value.detach().clone() for value in given]
    algorithm.credit(step)
    losses = algorithm.losses(batch)
    assert losses.losses_BT.requires_grad
    assert not losses.ratio_BT.requires_grad
    assert not losses.kl_BT.requires_grad
    for value, copy in zip(given, copies, strict=True):
        assert_close(value.detach(), copy, atol=0, rtol=0, equal_nan=True)


def tensors_of(record: object) -> list[Tensor]:
    return [value for name in vars_of(record) if isinstance(value := getattr(record, name), Tensor)]


@pytest.mark.parametrize("name", sorted(FAMILY))
def test_the_record_is_plain_and_whole(name: str) -> None:
    told = asdict(made(name, beta=0.04).conventions("before_first_update"))
    assert json.loads(json.dumps(told)) == told | {"clip": list(told["clip"])}
    assert all(told[field] for field in ("advantage", "ratio", "denominator", "kl"))
    assert told["old_logprobs"] == "before_first_update"
    assert made(name).conventions("sampler").kl == "none"


def test_settings_that_are_given_stand_above_a_papers_own() -> None:
    assert made("dapo").conventions("sampler").clip == pytest.approx((0.8, 1.28))
    assert made("dapo", epsilon=0.1).conventions("sampler").clip == pytest.approx((0.9, 1.28))
    assert made("grpo", epsilon=0.1).conventions("sampler").clip == pytest.approx((0.9, 1.1))
    assert made("gspo", epsilon=0.1, epsilon_high=0.3).conventions("sampler").clip == pytest.approx((0.9, 1.3))
    assert made("dr_grpo", scale_rewards="group").conventions("sampler").advantage.startswith("r - mean of the group, ")
    assert made("gspo", loss_type="dapo").conventions("sampler").denominator == "trained tokens"


def test_a_reference_is_not_held_where_it_has_no_weight() -> None:
    for name in FAMILY:
        assert not made(name).needs.reference
        assert made(name, beta=0.1).needs.reference


def test_the_logged_estimate_needs_a_reference() -> None:
    algorithm = made("grpo")
    batch = make_batch(algorithm, make_step())
    assert algorithm.losses(batch).kl_BT is None
    with_one = replace(batch, reference_logprobs_BT=batch.old_logprobs_BT + 0.1)
    assert isinstance(with_one, TokenBatch)
    found = algorithm.losses(with_one)
    assert float(found.kl_BT.sum()) > 0
    assert_close(found.losses_BT, algorithm.losses(batch).losses_BT)


def test_the_settings_here_are_those_that_algorithms_read() -> None:
    """A setting that no algorithm reads would be tested by nobody."""
    read: set[str] = set()

    class Watched:
        def __getattr__(self, name: str) -> object:
            read.add(name)
            return getattr(Settings(beta=0.1, entropy_coef=0.1, kl_placement="reward"), name)

    for make in FAMILY.values():
        algorithm = make(Watched())
        step = make_step(beta=0.1)
        algorithm.losses(make_batch(algorithm, step))
        algorithm.conventions("sampler")
    assert read == {field.name for field in fields(Settings)}
