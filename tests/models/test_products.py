"""Both ways to compute a product give what torch gives, values and gradients, and a model keeps its layers."""

from collections.abc import Iterator

import pytest
import torch
from families import family
from torch import Tensor, nn
from torch.testing import assert_close

from whet.core.errors import RecipeError
from whet.models import products
from whet.models.decoder import Decoder
from whet.models.products import chosen_products, product, use_chosen_products
from whet.tokens.batches import TokenGroup, flat_batch


@pytest.fixture(params=["torch", "onednn"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("WHET_PRODUCTS", request.param)
    chosen_products.cache_clear()
    if request.param == "onednn" and chosen_products() != "onednn":
        pytest.skip("this torch has no oneDNN products")
    yield request.param
    monkeypatch.delenv("WHET_PRODUCTS")
    chosen_products.cache_clear()


def test_a_product_is_torchs(way: str) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(7, 12), torch.randn(5, 12)
    assert_close(product(x, weight), x @ weight.t(), atol=1e-5, rtol=1e-5)
    assert_close(product(x.double(), weight.double()), x.double() @ weight.double().t())


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_gives_the_same_values_and_gradients(way: str, bias: bool) -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(12, 5, bias=bias), torch.randn(2, 7, 12, requires_grad=True)
    weight = torch.linspace(-1, 2, 70).view(2, 7, 5)

    def all_of() -> list[Tensor]:
        found = layer(x)
        return [found, *torch.autograd.grad((found * weight).sum(), [x, *layer.parameters()])]

    plain = all_of()
    use_chosen_products(layer)
    for ours, theirs in zip(all_of(), plain, strict=True):
        assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        assert_close(layer(x), plain[0], atol=1e-5, rtol=1e-5)


def test_a_models_numbers_are_its_own_either_way(way: str) -> None:
    model = family("qwen2")
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    logits = model(input_ids=ids, use_cache=False).logits[0, 1:-1]
    expected = torch.log_softmax(logits, -1).gather(-1, ids[0, 2:, None])[:, 0]
    decoder = Decoder(model)
    assert decoder.kind == "flat", decoder.reason
    batch = flat_batch([TokenGroup(prompt_ids=(5, 6), completions=((7, 8, 9),), loss_masks=((True,) * 3,))])
    assert_close(decoder.logprobs(batch).logprobs_BT[0], expected, atol=1e-5, rtol=1e-5)
    assert set(model.state_dict()) == set(family("qwen2").state_dict())


def test_another_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHET_PRODUCTS", "mkl")
    chosen_products.cache_clear()
    with pytest.raises(RecipeError, match="WHET_PRODUCTS is 'mkl'"):
        chosen_products()
    monkeypatch.delenv("WHET_PRODUCTS")
    chosen_products.cache_clear()


def test_the_processor_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHET_PRODUCTS", raising=False)
    monkeypatch.setattr(products, "_onednn_is_right", lambda: True)
    for is_wide, chosen in ((True, "onednn"), (False, "torch")):
        monkeypatch.setattr(products, "_is_wide_amd", lambda is_wide=is_wide: is_wide)
        chosen_products.cache_clear()
        assert chosen_products() == chosen
    chosen_products.cache_clear()
