import os
import warnings
from typing import Any

import pytest

from whet.core.errors import ModelError, TemplateRefusalError
from whet.tokens.render import ChatTemplate, RenderProcess

HI = {"messages": [{"role": "user", "content": "hi"}]}
LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


def chat_template(source: str, **options: Any) -> ChatTemplate:
    return ChatTemplate(source, name="some/model", date="2024-02-29", variables={"eos_token": "</s>"}, **options)


def test_texts_and_refusals() -> None:
    template = chat_template("{{ messages[0].content }}{{ eos_token }}{{ strftime_now('%Y') }}{{ 1 / nought }}")
    assert template.reads >= {"messages", "eos_token", "nought"}
    good, bad = template.render([HI | {"nought": 2}, HI | {"nought": 0}])
    assert good.text == "hi</s>20240.5"
    with pytest.raises(
        TemplateRefusalError, match=r"^the chat template fails on it: ZeroDivisionError: division by zero$"
    ):
        _ = bad.text


def test_a_broken_template_is_one_line_with_the_models_name() -> None:
    with pytest.raises(ModelError, match=r"^some/model: its chat template cannot be used: line 1: Encountered unk"):
        chat_template("{% nonsense %}")
    template = chat_template("{{ raise_exception('a\\nb\\x1b[31m' + 'c' * 999) }}")
    with pytest.raises(TemplateRefusalError) as caught:
        _ = template.render([HI])[0].text
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_template_without_end_is_stopped_and_the_next_one_is_rendered() -> None:
    process = RenderProcess(cpu_s=0.5)
    try:
        before = chat_template("{{ messages[0].content }}", process=process)
        with pytest.raises(ModelError, match=r"does not end within 0\.5 s of processor time"):
            chat_template(LOOP, process=process).render([HI])
        # A new process has not seen the first template yet.
        assert before.render([HI])[0].text == "hi"
    finally:
        process.close()


@pytest.mark.parametrize("source", ["{{ 'x' * 10 ** 10 }}", "{{ '%999999999d' % 1 }}", "{{ [0] * 10 ** 9 }}"])
def test_a_template_that_fills_memory_is_refused(source: str) -> None:
    with pytest.raises(ModelError, match=r"it needs too much memory"):
        chat_template(source).render([HI])


def test_output_is_bounded_by_what_was_put_in() -> None:
    repeated = chat_template("{{ messages[0].content * times }}")
    long = {"messages": [{"role": "user", "content": "x" * 200_000}]}
    assert len(repeated.render([long | {"times": 14}])[0].text) == 2_800_000
    with pytest.raises(ModelError, match="writes more than 3,000,040 characters"):
        repeated.render([long | {"times": 16}])


def test_a_forked_process_renders_in_one_of_its_own() -> None:
    process = RenderProcess()
    template = chat_template("{{ messages[0].content }}", process=process)
    assert template.render([HI])[0].text == "hi"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's threads: the child only renders and leaves
        child = os.fork()
    if child == 0:  # a wrong answer must not reach pytest twice
        os._exit(0 if template.render([HI])[0].text == "hi" and process._owner == os.getpid() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert template.render([HI])[0].text == "hi"
    process.close()
