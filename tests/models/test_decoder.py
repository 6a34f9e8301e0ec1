"""The flat forward against transformers' own, values and gradients."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from families import family
from torch import Tensor
from torch.testing import assert_close
from transformers import PreTrainedModel

from whet.models.decoder import Decoder
from whet.models.load import load_model
from whet.tokens.batches import TokenGroup, flat_batch, micro_batches


def groups(vocabulary: int = 90) -> list[TokenGroup]:
    generator = torch.Generator().manual_seed(1)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, vocabulary, (count,), generator=generator).tolist())

    first = TokenGroup(
        prompt_ids=ids(9),
        completions=(ids(5), ids(12), ids(3)),
        loss_masks=((True,) * 5, (True, False) * 6, (True,) * 3),
    )
    return [first, TokenGroup(prompt_ids=ids(4), completions=(ids(7),), loss_masks=((True,) * 7,))]


def reference(model: PreTrainedModel, group_list: Sequence[TokenGroup], *, temperature: float) -> list[Tensor]:
    """Each completion alone through the model's own forward; masked tokens are 0."""
    rows = []
    for group in group_list:
        for completion, mask in zip(group.completions, group.loss_masks, strict=True):
            logits = model(input_ids=torch.tensor([group.prompt_ids + completion])).logits[0].float()
            logprobs = torch.log_softmax(logits / temperature, dim=-1)[len(group.prompt_ids) - 1 : -1]
            rows.append(logprobs.gather(-1, torch.tensor(completion)[:, None])[:, 0] * torch.tensor(mask))
    return rows


def test_logprobs_and_gradients_are_the_models_own(small_model: PreTrainedModel) -> None:
    decoder = Decoder(small_model)
    assert decoder.kind == "flat", decoder.reason
    batch = flat_batch(groups())
    scores = decoder.logprobs(batch, temperature=0.7)
    weights_BT = torch.linspace(0.5, 2, scores.logprobs_BT.numel()).view(scores.logprobs_BT.shape)
    (scores.logprobs_BT * weights_BT).sum().backward()
    ours = {name: value.grad.clone() for name, value in small_model.named_parameters() if value.grad is not None}
    small_model.zero_grad()
    rows = reference(small_model, groups(), temperature=0.7)
    sum((row * weight[: len(row)]).sum() for row, weight in zip(rows, weights_BT, strict=True)).backward()
    for row, found in zip(rows, scores.logprobs_BT, strict=True):
        assert_close(found[: len(row)], row, atol=1e-5, rtol=1e-5)
    for name, value in small_model.named_parameters():
        assert value.grad is not None
        assert float((ours[name] - value.grad).norm() / value.grad.norm()) < 1e-5, name


def test_entropy_is_of_the_whole_distribution(small_model: PreTrainedModel) -> None:
    group = groups()[1]
    found = Decoder(small_model).logprobs(flat_batch([group]), temperature=2.0).entropy_BT[0]
    logits = small_model(input_ids=torch.tensor([group.prompt_ids + group.completions[0]])).logits[0] / 2.0
    expected = torch.distributions.Categorical(logits=logits).entropy()[len(group.prompt_ids) - 1 : -1]
    assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_company_in_the_batch_changes_nothing(small_model: PreTrainedModel) -> None:
    decoder, (first, second) = Decoder(small_model), groups()
    together = decoder.logprobs(flat_batch([first, second])).logprobs_BT
    alone = decoder.logprobs(flat_batch([second])).logprobs_BT
    assert_close(together[-1, :7], alone[0], atol=1e-6, rtol=1e-5)


def test_a_large_vocabulary_is_computed_again_with_the_same_gradient(
    small_model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradient() -> Tensor:
        small_model.zero_grad()
        Decoder(small_model).logprobs(flat_batch(groups())).logprobs_BT.sum().backward()
        grad = small_model.get_input_embeddings().weight.grad
        assert grad is not None
        return grad.clone()

    kept = gradient()
    monkeypatch.setattr("whet.models.head_logprobs._KEEP_PROBABILITIES", 0)
    monkeypatch.setattr("whet.models.head_logprobs._CHUNK_LOGITS", 200)
    assert_close(gradient(), kept, atol=1e-5, rtol=1e-5)


def test_a_published_model_gives_its_published_numbers(shared_data: Path) -> None:
    # " Once upon a time, there was a little girl named Lily." after <s>: the log-probabilities sum to -1.50206
    ids = (403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426)
    model = load_model(str(shared_data / "models" / "stories260K")).model
    batch = flat_batch([TokenGroup(prompt_ids=(1,), completions=(ids,), loss_masks=((True,) * len(ids),))])
    total = Decoder(model).logprobs(batch).logprobs_BT.detach().sum()
    assert abs(float(total) + 1.50206) < 1e-5


def test_which_way_a_model_goes_is_told_and_recorded(small_model: PreTrainedModel) -> None:
    decoder = Decoder(small_model)
    assert decoder.told == f"{type(small_model).__name__}, flat forward"
    assert decoder.record == {"kind": "flat", "reason": None}
    assert not decoder.repeats_prompts
    other = Decoder(family("bloom"))
    assert other.told.startswith("BloomForCausalLM, padded forward (flat: its numbers differ from the model's own by ")
    assert other.record["kind"] == "padded"
    assert other.repeats_prompts


@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_pieces_of_a_group_are_the_group(name: str) -> None:
    """Eight completions at once, or cut so that few tokens go through together: the same numbers and gradient."""
    model = family(name)
    decoder = Decoder(model)
    whole = TokenGroup(
        prompt_ids=(5, 6, 7),
        completions=tuple((8 + g,) * (1 + g % 3) for g in range(8)),
        loss_masks=tuple((True,) * (1 + g % 3) for g in range(8)),
    )

    def gradient(pieces: Sequence[Sequence[TokenGroup]]) -> tuple[float, Tensor]:
        model.zero_grad(set_to_none=True)
        total = 0.0
        for piece in pieces:
            value = decoder.logprobs(flat_batch(piece)).logprobs_BT.sum()
            value.backward()
            total += float(value.detach())
        grad = model.get_input_embeddings().weight.grad
        assert grad is not None
        return total, grad.clone()

    cut = micro_batches([whole], max_tokens=8, cuts_groups=True, repeats_prompts=decoder.repeats_prompts)
    assert len(cut) >= 3
    at_once, in_pieces = gradient([[whole]]), gradient(cut)
    assert in_pieces[0] == pytest.approx(at_once[0], rel=1e-5)
    assert_close(in_pieces[1], at_once[1], atol=1e-5, rtol=1e-4)
