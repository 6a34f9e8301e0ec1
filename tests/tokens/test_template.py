"""Ids of prompts, completions and conversations; where they end; what a rollout's ids say."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from whet.core.errors import ModelError, TemplateRefusalError
from whet.core.recipe import TemplateSettings
from whet.core.records import Message, Origin, Prompt
from whet.models.tokenizer import load_template, load_tokenizer
from whet.tokens.inspect import view
from whet.tokens.template import Template, TrainedIds

Make = Callable[..., PreTrainedTokenizerBase]
Talk = Callable[..., Prompt]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETS = CHATML.replace("{{ m.content }}", "{{ m.content if loop.last else m.content.split('</think>')[-1] }}")


@pytest.fixture
def tiny() -> PreTrainedTokenizerBase:
    return load_tokenizer("whet:tiny")


def test_plain(tiny: PreTrainedTokenizerBase, make_prompt: Callable[..., Prompt]) -> None:
    template = Template(tiny, TemplateSettings())
    ids = template.prompt_ids(make_prompt("Alice has 12 apples."))
    assert [template.token_text(i) for i in ids] == ["<bos>", "Alice", " has", " ", "1", "2", " apples", ".", "\n"]
    completion = template.completion_ids("<think>1+2=3</think><answer>3</answer>")
    assert completion[-1] == tiny.eos_token_id
    assert template.decode(completion) == "<think>1+2=3</think><answer>3</answer>"
    assert [template.token_text(i) for i in completion][:6] == ["<think>", "1", "+", "2", "=", "3"]


def test_a_system_turn_stands_before_every_prompt_that_has_none_and_never_twice(
    tiny: PreTrainedTokenizerBase, make_tokenizer: Make, talk: Talk
) -> None:
    chat = make_tokenizer(template=CHATML, eos="<|im_end|>")
    own, bare = talk(("system", "Add."), ("user", "3+4=")), talk(("user", "3+4="))
    for tokenizer in (tiny, chat):
        plain, with_system = (Template(tokenizer, TemplateSettings(system=text)) for text in (None, "Be brief."))
        assert with_system.prompt_ids(own) == plain.prompt_ids(own)
        assert with_system.prompt_ids(bare) == plain.prompt_ids(talk(("system", "Be brief."), ("user", "3+4=")))
        assert with_system.prompt_ids(bare) != plain.prompt_ids(bare)


def test_a_plain_prompt_begins_as_the_tokenizer_begins_a_text(make_tokenizer: Make, talk: Talk, tmp_path: Path) -> None:
    hi = talk(("user", "Hi"))
    without = make_tokenizer(eos="<|im_end|>")
    assert list(Template(without, TemplateSettings()).prompt_ids(hi)) == without("Hi\n")["input_ids"]
    # A begin token that is named and not written, as GPT-2's, is not put there either.
    named = make_tokenizer(bos="<s>")
    assert list(Template(named, TemplateSettings()).prompt_ids(hi)) == named("Hi\n")["input_ids"]
    named.add_bos_token = True
    begun = Template(named, TemplateSettings()).prompt_ids(hi)
    assert list(begun) == named("Hi\n")["input_ids"]
    assert begun[0] == named.bos_token_id


def test_begin_and_end_of_a_tokenizer_that_names_none(shared_data: Path, talk: Talk) -> None:
    template = load_template(str(shared_data / "models" / "stories260K"), TemplateSettings())
    assert (template.tokenizer.bos_token_id, template.tokenizer.eos_token_id) == (None, None)
    # Its file writes <s>, and config.json names the end.
    assert template.prompt_ids(talk(("user", "Once")))[0] == 1
    assert template.ends == (2,)
    # No space is put before a completion, which continues the prompt's line break.
    assert template.tokenizer.convert_ids_to_tokens(list(template.completion_ids("a"))) == ["a", "</s>"]


def test_control_tokens_in_data_stay_text(tiny: PreTrainedTokenizerBase, make_prompt: Callable[..., Prompt]) -> None:
    template = Template(tiny, TemplateSettings())
    ids = (*template.prompt_ids(make_prompt("a <eos> b")), *template.completion_ids("x <eos> y"))
    assert ids.count(tiny.eos_token_id) == 1
    # The control token is hidden, what data spelt is shown.
    assert template.decode(ids) == "a <eos> b\nx <eos> y"


@pytest.mark.parametrize("named", [True, False])
def test_chat_ends_where_the_template_ends(make_tokenizer: Make, talk: Talk, named: bool) -> None:
    tokenizer = make_tokenizer(CHATML, named=named)
    chat = Template(tokenizer, TemplateSettings(system="Be brief."))
    hi = talk(("user", "hi"))
    assert tokenizer.decode(chat.prompt_ids(hi) + chat.completion_ids("yes", hi)) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>"
    )
    end, eos = (tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>"))
    assert chat.ends == (end, eos)
    assert chat.stop_ids == {end, eos}
    assert chat.decode(chat.completion_ids("yes", hi)) == "yes"


def test_everything_that_ends_an_answer_stops(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer(CHATML, special=("<|im_start|>", "<|im_end|>", "<|eot|>", "<|call|>"))
    end, eos, eot, call = (
        tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>", "<|eot|>", "<|call|>")
    )
    assert Template(tokenizer, TemplateSettings(), eos_ids=(eot, end)).ends == (end, eos, eot)
    said = Template(tokenizer, TemplateSettings(ends=("<|call|>", "<|eot|>")))
    assert said.ends == (call, eot, eos)
    assert said.completion_ids("a")[-1] == call


def test_tags_that_are_special_stay_in_the_text(make_tokenizer: Make, talk: Talk) -> None:
    tokenizer = make_tokenizer(CHATML, special=("<|im_start|>", "<|im_end|>", "<think>", "</think>", "<x>"), added=())
    chat = Template(tokenizer, TemplateSettings())
    ids = chat.completion_ids("<think>a</think>b<x>", talk(("user", "q")))
    assert ids[0] == tokenizer.convert_tokens_to_ids("<think>")
    assert tokenizer.convert_tokens_to_ids("<x>") not in ids
    assert chat.decode(ids) == "<think>a</think>b<x>"
    renamed = Template(tokenizer, TemplateSettings(thinking=("<x>", "</x>")))
    assert renamed.completion_ids("<x>")[0] == tokenizer.convert_tokens_to_ids("<x>")
    assert tokenizer.convert_tokens_to_ids("<think>") not in renamed.completion_ids("<think>")


def test_named_templates(make_tokenizer: Make, talk: Talk) -> None:
    tokenizer = make_tokenizer({"default": CHATML, "rag": "{{ 'RAG' }}" + CHATML})
    hi = talk(("user", "hi"))
    read = tokenizer.decode
    assert str(read(Template(tokenizer, TemplateSettings()).prompt_ids(hi))).startswith("<|im_start|>")
    assert str(read(Template(tokenizer, TemplateSettings(name="rag")).prompt_ids(hi))).startswith("RAG<|im_start|>")
    with pytest.raises(ModelError, match=r"^template\.name: 'tool': .* has these chat templates: default, rag$"):
        Template(tokenizer, TemplateSettings(name="tool"))
    tokenizer.chat_template = {"rag": CHATML}
    with pytest.raises(ModelError, match=r"^template\.name: .* has these chat templates: rag$"):
        Template(tokenizer, TemplateSettings())


def test_variables_and_the_date(make_tokenizer: Make, talk: Talk) -> None:
    source = "{{ strftime_now('%d %b %Y') }} {{ mood or 'calm' }}\n" + CHATML
    hi = talk(("user", "hi"))
    read = (tokenizer := make_tokenizer(source)).decode
    assert str(read(Template(tokenizer, TemplateSettings()).prompt_ids(hi))).startswith("01 Jan 2025 calm\n")
    settings = TemplateSettings(date=date(2024, 2, 29), kwargs={"mood": "gay"})
    assert str(read(Template(tokenizer, settings).prompt_ids(hi))).startswith("29 Feb 2024 gay\n")
    with pytest.raises(
        ModelError, match=r"template\.kwargs: the chat template of .* reads no 'mod'; did you mean 'mood'"
    ):
        Template(tokenizer, TemplateSettings(kwargs={"mod": 1}))
    with pytest.raises(ValueError, match="messages: whet sets this itself"):
        TemplateSettings(kwargs={"messages": []})


def test_a_prompt_that_ends_with_an_answer_is_continued_plain(tiny: PreTrainedTokenizerBase, talk: Talk) -> None:
    template = Template(tiny, TemplateSettings())
    assert tiny.decode(template.prompt_ids(talk(("user", "q"), ("assistant", "It is")))) == "<bos>q\nIt is"
    assert tiny.decode(template.prompt_ids(talk(("user", "q"), ("assistant", "a"), ("user", "r")))) == "<bos>q\na\nr\n"


def test_the_last_answer_is_trained(make_tokenizer: Make, talk: Talk) -> None:
    chat = Template(make_tokenizer(CHATML), TemplateSettings())
    prompt = talk(("user", "a"), ("assistant", "b"), ("user", "c"))
    ids = chat.trained(prompt, "d")
    assert ids.prompt_ids == chat.prompt_ids(prompt)
    assert ids.completion_ids == chat.completion_ids("d", prompt)
    assert ids.loss_mask == (True,) * len(ids.completion_ids)


def test_every_answer_is_trained_in_one_sequence(make_tokenizer: Make, talk: Talk) -> None:
    tokenizer = make_tokenizer(CHATML)
    chat = Template(tokenizer, TemplateSettings(system="s"))
    turns = (("assistant", "Hello!"), ("user", "a"), ("assistant", "<|im_end|>b"), ("user", "c"), ("tool", "t"))
    ids = chat.trained(talk(*turns), "d", every_turn=True)
    last = chat.trained(talk(*turns), "d")
    assert ids.prompt_ids + ids.completion_ids == last.prompt_ids + last.completion_ids
    # A greeting before any question is an answer too: the system turn is what it answers.
    trained = [id_ for id_, is_trained in zip(ids.completion_ids, ids.loss_mask, strict=True) if is_trained]
    assert tokenizer.decode(trained) == "Hello!<|im_end|><|im_end|>b<|im_end|>d<|im_end|>"
    assert tokenizer.decode(ids.prompt_ids) == "<|im_start|>system\ns<|im_end|>\n<|im_start|>assistant\n"
    # An answer that its row marks as context is context.
    context = (Message(role="user", content="a"), Message(role="assistant", content="b", is_learned=False))
    marked = Prompt(messages=(*context, Message(role="user", content="c")), origin=Origin(source="t", row=0))
    ids = chat.trained(marked, "d", every_turn=True)
    assert ids.loss_mask == (True,) * len(chat.completion_ids("d", marked))
    # Without anything before it there is nothing to predict it from.
    bare = Template(tokenizer, TemplateSettings()).trained(talk(*turns), "d", every_turn=True)
    assert tokenizer.decode(bare.prompt_ids).endswith(
        "Hello!<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"
    )


def test_an_answer_that_changes_once_others_follow_is_refused(make_tokenizer: Make, talk: Talk) -> None:
    chat = Template(make_tokenizer(FORGETS), TemplateSettings())
    prompt = talk(("user", "a"), ("assistant", "<think>t</think>b"), ("user", "c"))
    assert chat.trained(prompt, "d")
    with pytest.raises(TemplateRefusalError, match=r"writes turn 2 \(assistant\) otherwise once others follow it"):
        chat.trained(prompt, "d", every_turn=True)
    assert chat.trained(talk(("user", "a"), ("assistant", "b"), ("user", "c")), "d", every_turn=True)


def test_a_text_without_turns_is_trained_as_it_is(make_tokenizer: Make, tiny: PreTrainedTokenizerBase) -> None:
    text = Prompt(messages=(), origin=Origin(source="t", row=0))
    begun = Template(tiny, TemplateSettings(system="not for texts")).trained(text, "ab c")
    assert begun.prompt_ids == (tiny.bos_token_id,)
    assert tiny.decode(begun.completion_ids) == "ab c<eos>"
    # With a chat template, and without a begin token: from the second token on, to the tokenizer's own end.
    tokenizer = make_tokenizer(CHATML)
    bare = Template(tokenizer, TemplateSettings()).trained(text, "ab c")
    assert tokenizer.decode(bare.prompt_ids + bare.completion_ids) == "ab c<|endoftext|>"
    assert len(bare.prompt_ids) == 1
    assert bare.loss_mask == (True,) * len(bare.completion_ids)
    with pytest.raises(TemplateRefusalError, match="no turn to answer"):
        Template(tokenizer, TemplateSettings()).prompt_ids(text)


def test_what_a_model_wrote_is_taken_as_it_is(make_tokenizer: Make, talk: Talk) -> None:
    block = "{% if m.role == 'assistant' %}<think></think>{% endif %}{{ m.content }}"
    tokenizer = make_tokenizer(CHATML.replace("{{ m.content }}", block))
    chat, hi = Template(tokenizer, TemplateSettings()), talk(("user", "hi"))
    assert tokenizer.decode(chat.completion_ids("yes", hi)) == "<think></think>yes<|im_end|>"
    assert tokenizer.decode(chat.written_ids("yes", hi, is_ended=True)) == "yes<|im_end|>"
    cut = chat.written_ids("ye<|im_end|>", hi, is_ended=False)
    assert tokenizer.decode(cut) == "ye<|im_end|>"
    assert not chat.stop_ids & set(cut)


def test_with_the_prompt_trained() -> None:
    ids = TrainedIds(prompt_ids=(1, 2), completion_ids=(3, 4), loss_mask=(False, True))
    whole = ids.with_prompt_trained()
    assert (whole.prompt_ids, whole.completion_ids, whole.loss_mask) == ((1,), (2, 3, 4), (True, True, True))


def test_only_the_completion_is_trained(tiny: PreTrainedTokenizerBase, make_prompt: Callable[..., Prompt]) -> None:
    tokens = view(Template(tiny, TemplateSettings()), make_prompt("1+1"), "2")
    assert [(token.text, token.is_trained) for token in tokens[-3:]] == [("\n", False), ("2", True), ("<eos>", True)]


def test_no_end_token_is_an_error(make_tokenizer: Make) -> None:
    with pytest.raises(ModelError, match="names no end token"):
        Template(make_tokenizer(eos=None), TemplateSettings())
    # A chat template's own end is enough.
    assert len(Template(make_tokenizer(CHATML, eos=None), TemplateSettings()).ends) == 1


def test_chat_without_a_template_is_an_error(tiny: PreTrainedTokenizerBase) -> None:
    with pytest.raises(ModelError, match="has no chat template"):
        Template(tiny, TemplateSettings(format="chat"))


def test_a_message_is_refused_where_it_holds_a_mark(tiny: PreTrainedTokenizerBase) -> None:
    marked = Prompt(messages=(Message(role="user", content="a\U0010fff1b"),), origin=Origin(source="t", row=0))
    with pytest.raises(TemplateRefusalError, match=r"U\+10FFF1"):
        Template(tiny, TemplateSettings()).prompt_ids(marked)
