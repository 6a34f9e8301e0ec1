from collections.abc import Callable

import pytest
from transformers import PreTrainedTokenizerBase

from whet.core.errors import ModelError
from whet.tokens.controls import Controls
from whet.tokens.tags import Tags

Make = Callable[..., PreTrainedTokenizerBase]
TAGS = Tags(thinking=("<think>", "</think>"), answer=("<answer>", "</answer>"))


@pytest.mark.parametrize("named", [True, False])
def test_special_whether_named_or_not(make_tokenizer: Make, named: bool) -> None:
    tokenizer = make_tokenizer(special=("<|x|>", "<think>"), added=("<tool>", "word"), named=named)
    controls = Controls(tokenizer, TAGS, ends=(), eos_ids=())
    assert set(controls.special) == {"<pad>", "<bos>", "<eos>", "<|x|>", "<|endoftext|>"}
    assert set(controls.possible) == {*controls.special, "<tool>"}
    assert controls.special["<|x|>"] == tokenizer.convert_tokens_to_ids("<|x|>")
    assert "<tool>" not in controls.written_in("no such token")
    assert "<tool>" in controls.written_in("a<tool>b")


def test_ends_in_their_order(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer(special=("<|x|>", "<|y|>"))
    x, eos = (tokenizer.convert_tokens_to_ids(token) for token in ("<|x|>", "<|endoftext|>"))
    controls = Controls(tokenizer, TAGS, ends=("<|y|>",), eos_ids=(x, eos, 10**6))
    assert list(controls.ends) == ["<|y|>", "<|endoftext|>", "<|x|>"]
    assert controls.default_end == "<|y|>"
    with pytest.raises(ModelError, match="names no end token"):
        _ = Controls(make_tokenizer(eos=None), TAGS, ends=(), eos_ids=()).default_end
