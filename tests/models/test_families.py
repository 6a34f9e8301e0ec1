"""Log-probabilities and gradients of every architecture against its own forward, in groups of one and of eight."""

from collections.abc import Sequence

import pytest
import torch
from families import FAMILIES, FLAT, family
from torch import Tensor
from torch.testing import assert_close
from transformers import PreTrainedModel

from whet.models.decoder import Decoder
from whet.tokens.batches import TokenGroup, flat_batch


def groups(completions: int) -> list[TokenGroup]:
    """Two prompts; longer than the windows of the families, and some tokens untrained."""
    generator = torch.Generator().manual_seed(completions)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, 90, (count,), generator=generator).tolist())

    made = []
    for prompt in (13, 5):
        texts = tuple(ids(4 + 3 * (g % 5)) for g in range(completions))
        masks = tuple(tuple(place % 4 != 2 for place in range(len(text))) for text in texts)
        made.append(TokenGroup(prompt_ids=ids(prompt), completions=texts, loss_masks=masks))
    return made


def own_logprobs(model: PreTrainedModel, made: Sequence[TokenGroup], temperature: float) -> list[Tensor]:
    """Each completion alone, with nothing of ours: zero where a token is not trained."""
    rows = []
    for group in made:
        for completion, mask in zip(group.completions, group.loss_masks, strict=True):
            logits = model(input_ids=torch.tensor([group.prompt_ids + completion]), use_cache=False).logits[0].float()
            logprobs = torch.log_softmax(logits / temperature, dim=-1)[len(group.prompt_ids) - 1 : -1]
            rows.append(logprobs.gather(-1, torch.tensor(completion)[:, None])[:, 0] * torch.tensor(mask))
    return rows


@pytest.mark.parametrize("completions", [1, 8])
@pytest.mark.parametrize("name", FAMILIES)
def test_logprobs_and_gradients_are_the_models_own(name: str, completions: int) -> None:
    model, made = family(name), groups(completions)
    decoder = Decoder(model)
    assert (decoder.kind == "flat") == (name in FLAT), decoder.reason
    found_BT = decoder.logprobs(flat_batch(made), temperature=0.7).logprobs_BT
    own = own_logprobs(model, made, 0.7)
    for row, found in zip(own, found_BT, strict=True):
        assert_close(found[: len(row)], row, atol=2e-5, rtol=1e-5)
        assert not found[len(row) :].any()
    weight_BT = torch.linspace(-1.0, 2.0, found_BT.numel()).view_as(found_BT)
    ours = gradients(model, (found_BT * weight_BT).sum())
    theirs = gradients(
        model, torch.stack([(row * weight[: len(row)]).sum() for row, weight in zip(own, weight_BT, strict=True)]).sum()
    )
    assert ours.keys() == theirs.keys()
    whole = torch.stack([value.norm() for value in theirs.values()]).norm()
    for parameter, value in theirs.items():
        assert float((ours[parameter] - value).norm()) <= 1e-5 * float(value.norm()) + 1e-6 * float(whole), parameter


def gradients(model: PreTrainedModel, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt2", "cohere"])
def test_the_largest_group_is_no_special_case(name: str) -> None:
    """The first token of every completion hangs on the prompt's last: its gradient is their sum, counted once each."""
    model = family(name)
    group = TokenGroup(prompt_ids=(5, 6, 7), completions=((8,), (9,)), loss_masks=((True,), (True,)))
    together = gradients(model, Decoder(model).logprobs(flat_batch([group])).logprobs_BT.sum())
    logits = model(input_ids=torch.tensor([[5, 6, 7]]), use_cache=False).logits[0, -1]
    expected = gradients(model, torch.log_softmax(logits, -1)[[8, 9]].sum())
    for parameter, value in expected.items():
        assert_close(together[parameter], value, atol=1e-5, rtol=1e-4)


def test_a_model_that_hides_a_logit_rule_keeps_its_own_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that no config names: the numbers decide, and the model's own logits are used."""
    model = family("llama")
    plain = model.lm_head.forward
    monkeypatch.setattr(model.lm_head, "forward", lambda hidden: plain(hidden) * 0.5 + 1.0)
    monkeypatch.setattr("whet.models.head_logprobs.nn.Linear", type(model.lm_head), raising=False)
    decoder, made = Decoder(model), groups(3)
    assert decoder.kind == "rows"
    assert decoder.reason is not None
    assert "differ from the model's own" in decoder.reason
    for row, found in zip(own_logprobs(model, made, 1.0), decoder.logprobs(flat_batch(made)).logprobs_BT, strict=True):
        assert_close(found[: len(row)], row, atol=1e-5, rtol=1e-5)


def test_a_window_that_only_the_mask_knows_is_not_taken_as_flat() -> None:
    """The comparison shortens windows, so that one of 4,096 tokens shows on a few."""
    model = family("gemma2")
    model.config.sliding_window = 4096
    for module in model.modules():
        if hasattr(module, "sliding_window"):
            module.sliding_window = None
    decoder = Decoder(model)
    assert decoder.kind != "flat"
    assert model.config.sliding_window == 4096
