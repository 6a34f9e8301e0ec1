"""Where templates end an answer, by what they write behind one."""

from collections.abc import Callable, Sequence

import pytest
from transformers import PreTrainedTokenizerBase

from whet.core.errors import ModelError
from whet.tokens.controls import Controls
from whet.tokens.ends import AnswerEnd, answer_end
from whet.tokens.render import ChatTemplate
from whet.tokens.tags import Tags

Make = Callable[..., PreTrainedTokenizerBase]
TAGS = Tags(thinking=("<think>", "</think>"), answer=("<answer>", "</answer>"))
TOKENS = ("<|u|>", "<|a|>", "<|end|>", "<|stop|>", "<|close|>")


def template(turn: str, last: str = "") -> ChatTemplate:
    """`turn` is what is written of each turn, `last` behind the last one."""
    source = "{% for m in messages %}" + turn + "{% endfor %}" + last
    return ChatTemplate(source, name="some/model", date="2024-01-01", variables={"eos_token": "<|eos|>"})


@pytest.fixture
def find(make_tokenizer: Make) -> Callable[..., AnswerEnd]:
    def found(
        made: ChatTemplate,
        *,
        ends: Sequence[str] = (),
        eos: str | None = "<|eos|>",
        eos_ids: Sequence[str] = (),
        added: Sequence[str] = (),
        system: str | None = None,
    ) -> AnswerEnd:
        tokenizer = make_tokenizer(eos=eos, special=TOKENS, added=added)
        ids = [tokenizer.convert_tokens_to_ids(token) for token in eos_ids]
        controls = Controls(tokenizer, TAGS, ends=ends, eos_ids=ids)
        return answer_end(made, controls, system=system, chosen=next(iter(ends), None))

    return found


Find = Callable[..., AnswerEnd]


def test_the_first_token_behind_an_answer_ends_it(find: Find) -> None:
    end = find(template("<|{{ m.role[0] }}|>{{ m.content }}<|end|>\n"))
    assert (end.text, end.tail) == ("<|end|>", "<|end|>\n")
    assert end.written.startswith("<|u|>What is asked.<|end|>\n<|a|>What is answered.<|end|>")


def test_a_token_that_is_not_special_ends_it_too(find: Find) -> None:
    assert find(template("{{ m.content }}[END]\n"), added=["[END]", "answered"]).text == "[END]"


def test_an_end_that_is_known_comes_before_the_first_token(find: Find) -> None:
    two = template("<|{{ m.role[0] }}|>{{ m.content }}<|close|><|stop|>")
    assert find(two).text == "<|close|>"
    assert find(two, eos_ids=["<|stop|>"]).text == "<|close|><|stop|>"
    assert find(two, eos="<|stop|>").text == "<|close|><|stop|>"


def test_the_end_of_a_conversation_is_not_that_of_a_turn(find: Find) -> None:
    end = find(template("<|{{ m.role[0] }}|>{{ m.content }}<|end|>\n", "{{ eos_token }}"))
    assert (end.text, end.tail) == ("<|end|>", "<|end|>\n<|eos|>")


def test_the_last_answer_may_end_otherwise_than_those_before(find: Find) -> None:
    assert find(template("<|{{ m.role[0] }}|>{{ m.content }}{{ '<|stop|>' if loop.last else '<|end|>' }}")).text == (
        "<|stop|>"
    )


def test_without_a_token_behind_it_the_next_turns_first_is_the_end(find: Find) -> None:
    end = find(template("<|{{ m.role[0] }}|>\n{{ m.content }}"))
    assert (end.text, end.tail) == ("<|u|>", "")


def test_a_template_of_words_ends_with_the_models_own_token(find: Find) -> None:
    end = find(template("### {{ m.role }}:\n{{ m.content }}\n\n"), eos_ids=["<|stop|>"])
    assert (end.text, end.tail) == ("<|eos|>", "\n\n")
    assert find(template("{{ m.role }}: {{ m.content }}\n"), eos=None, eos_ids=["<|stop|>"]).text == "<|stop|>"
    with pytest.raises(ModelError, match="names no end token, so no completion could ever end"):
        find(template("{{ m.role }}: {{ m.content }}\n"), eos=None)


def test_the_settings_decide(find: Find) -> None:
    made = template("<|{{ m.role[0] }}|>{{ m.content }}<|end|>\n")
    end = find(made, ends=["<|stop|>", "<|end|>"])
    assert (end.text, end.tail) == ("<|stop|>", "<|end|>\n")
    with pytest.raises(
        ModelError, match=r"^template\.ends: '<\|stp\|>' is no control token of .*; did you mean '<\|st"
    ):
        find(made, ends=["<|stp|>"])


def test_a_template_that_takes_one_question_only_or_wants_a_system_turn(find: Find) -> None:
    alone = "{% if messages | length > 2 %}{{ raise_exception('one') }}{% endif %}{{ m.content }}<|end|>"
    assert find(template(alone)).text == "<|end|>"
    wanted = "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}{{ m.content }}<|end|>"
    assert find(template(wanted)).text == "<|end|>"
    assert find(template(wanted), system="Be kind.").text == "<|end|>"


def test_templates_of_which_nothing_can_be_trained(find: Find) -> None:
    with pytest.raises(ModelError, match=r"^some/model: its chat template leaves an answer out, so none"):
        find(template("{{ m.content if m.role == 'user' else '' }}<|end|>"))
    with pytest.raises(ModelError, match=r"^some/model: its chat template refuses it: never, though it is one"):
        find(template("{{ raise_exception('never') }}"))
    with pytest.raises(ModelError, match="though it is one question and its answer"):
        find(template("{{ m.content[0].text.strip() }}<|end|>"))
