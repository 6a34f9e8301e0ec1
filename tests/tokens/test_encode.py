"""The twin reads marked text as the tokenizer would, and data's letters as letters. On several kinds of tokenizers."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from whet.core.errors import TemplateRefusalError
from whet.tokens.encode import Encoder, added_tokens, spelt_in

Make = Callable[..., PreTrainedTokenizerBase]


def specials(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    return {token: id_ for token, (id_, is_special) in added_tokens(tokenizer).items() if is_special}


def unigram() -> PreTrainedTokenizerBase:
    """T5's kind: its vocabulary holds the end token as a piece like any other, and finds it in plain text."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((letter, -3.0) for letter in "▁abs</>"), ("▁ab", -1.0)]
    core = Tokenizer(models.Unigram(pieces, unk_id=0))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.add_special_tokens([AddedToken("<unk>", special=True), AddedToken("</s>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="</s>")


def merging() -> PreTrainedTokenizerBase:
    """A BPE whose merges build its own end token, with the prefix of sentencepiece and lower-case letters."""
    vocabulary = {piece: id_ for id_, piece in enumerate(["<unk>", "▁", "a", "<", "e", ">", "<e", "<e>", "▁a"])}
    core = Tokenizer(models.BPE(vocabulary, [("<", "e"), ("<e", ">"), ("▁", "a")], unk_token="<unk>"))
    core.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    core.add_special_tokens([AddedToken("<e>", special=True, normalized=False), AddedToken("<unk>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>", eos_token="<e>")


def test_marks_tell_the_templates_tokens_from_those_that_data_spells(make_tokenizer: Make) -> None:
    encoder = Encoder(tokenizer := make_tokenizer(), specials(make_tokenizer()))
    guarded = encoder.guarded("say <|im_end|>")
    assert "<|im_end|>" not in guarded
    marked = encoder.marked(f"<|im_start|>user\n{guarded}<|im_end|>")
    assert encoder.letters(marked) == "<|im_start|>user\nsay <|im_end|><|im_end|>"
    assert marked.endswith(encoder.mark("<|im_end|>"))
    ids = encoder.ids(marked)
    assert [ids.count(encoder.control_ids[token]) for token in ("<|im_start|>", "<|im_end|>")] == [1, 1]
    assert tokenizer.decode(ids) == "<|im_start|>user\nsay <|im_end|><|im_end|>"
    # Between the marks the letters are cut as the tokenizer cuts text, not around what they spell.
    expected = tokenizer("user\nsay <|im_end|>", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert list(ids[1:-1]) == expected


def test_what_no_data_spells_is_the_tokenizers_own(make_tokenizer: Make) -> None:
    # As for Phi-3: a token takes the line break behind it; as in BERT: one takes the spaces before it.
    sides = [
        AddedToken("<|user|>", special=True, normalized=False, rstrip=True),
        AddedToken("<mask>", special=True, normalized=False, lstrip=True),
    ]
    tokenizer = make_tokenizer(special=sides)
    encoder = Encoder(tokenizer, specials(tokenizer))
    for text in ("<|user|>\n hi  <mask>x<think>y</think>", "a<|user|><|user|> \n\nb <mask>", "", " \n"):
        assert list(encoder.ids(encoder.marked(text))) == tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("make", [unigram, merging])
def test_a_vocabulary_that_holds_its_control_tokens_cannot_be_spelt_either(
    make: Callable[[], PreTrainedTokenizerBase],
) -> None:
    tokenizer = make()
    end = str(tokenizer.eos_token)
    encoder = Encoder(tokenizer, specials(tokenizer))
    # Even with special tokens split, the tokenizer itself reads the letters as its end token.
    assert (
        tokenizer.eos_token_id in tokenizer(f"a{end}", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    )
    assert tokenizer.eos_token_id not in encoder.ids(f"a{end} a")
    assert tokenizer.eos_token_id not in encoder.ids(end)
    own = encoder.ids(encoder.marked(f"a{end}a"))
    assert list(own) == tokenizer(f"a{end}a", add_special_tokens=False)["input_ids"]
    assert own.count(tokenizer.eos_token_id) == 1


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(["<|im_end|>", "<|im_", "end|>", "<|", "|>", "<think>", "a", " ", "\n", "é", "<"])),
    own=st.booleans(),
)
def test_no_text_spells_a_control_token(pieces: list[str], own: bool) -> None:
    encoder = PROPERTY["encoder"]
    text = "".join(pieces)
    around = "<|im_start|>" if own else ""
    marked = encoder.marked(f"{around}{encoder.guarded(text)}{around}")
    assert encoder.letters(marked) == f"{around}{text}{around}"
    found = [id_ for id_ in encoder.ids(marked) if id_ in encoder.control_ids.values()]
    assert found == [encoder.control_ids["<|im_start|>"]] * (2 if own else 0)
    assert PROPERTY["tokenizer"].decode(encoder.ids(marked)) == f"{around}{text}{around}"


PROPERTY: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _property(make_tokenizer: Make) -> None:
    if not PROPERTY:
        tokenizer = make_tokenizer()
        PROPERTY.update(tokenizer=tokenizer, encoder=Encoder(tokenizer, specials(tokenizer)))


def test_a_token_that_is_no_added_one_has_a_mark_too(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer()
    (word,) = tokenizer("Alice", add_special_tokens=False)["input_ids"]
    encoder = Encoder(tokenizer, {"Alice": word})
    assert word not in encoder.ids("Alice")
    assert encoder.ids(encoder.mark("Alice")) == (word,)


def test_continuing_leaves_the_ids_before_as_they_are(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer()
    encoder = Encoder(tokenizer, specials(tokenizer))
    before = encoder.marked("<|im_start|>a\n")
    whole = encoder.ids(before + "b c")
    assert encoder.ids(before) + encoder.ids_behind(before, "b c") == whole
    # The tokenizer joins a space and the word behind it; behind a prompt that ends with the space they stay two.
    (joined,), (space,) = encoder.ids(" apples"), encoder.ids(" ")
    assert encoder.ids(before + " apples")[-1] == joined
    assert encoder.ids(before + " ")[-1] == space
    assert encoder.ids_behind(before + " ", "apples") == encoder.ids("apples")
    # No space is put before a text that continues another.
    piece = Encoder(merging(), {})
    assert piece.ids("a") == (8,)
    assert piece.ids_behind("a", "a") == (2,)


def test_reserved_characters_are_refused(make_tokenizer: Make) -> None:
    encoder = Encoder(make_tokenizer(), {})
    for character in "\U0010fff1\U0010fff2\U0010fff3\U0010fff4":
        with pytest.raises(TemplateRefusalError, match=f"the text holds U[+]{ord(character):X}, which stands for"):
            encoder.guarded(f"a{character}b")


def test_tokens_in_a_text_longest_first() -> None:
    assert spelt_in("x<a>y<ab>", ["<a>", "<ab>", "<"]) == [("<a>", 4), ("<ab>", 9)]
    assert spelt_in("<a>", []) == []


def test_a_tokenizer_written_in_python() -> None:
    from transformers import ByT5Tokenizer

    tokenizer = ByT5Tokenizer()
    encoder = Encoder(tokenizer, {"</s>": 1, "<pad>": 0})
    assert encoder.ids(encoder.marked("a</s>b")) == (100, 1, 101)
    assert encoder.ids("a</s>") == (100, *(ord(letter) + 3 for letter in "</s>"))
