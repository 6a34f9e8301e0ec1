"""The rendering program's answers, asked in this process."""

import datetime
from typing import Any

import jinja2
import pytest

from whet.tokens.worker import answer, environment

HI = [{"role": "user", "content": "hi"}]


def ask(source: str, known: dict[str, jinja2.Template] | None = None, *, limit: int = 100, **call: Any) -> Any:
    known = {} if known is None else known
    first = answer({"id": "t", "source": source, "date": "2024-02-29"}, known)
    if "broken" in first:
        return first
    request = {"id": "t", "source": None, "variables": {"bos_token": "<s>"}, "limit": limit}
    return answer(request | {"calls": [{"messages": HI} | call]}, known)


def text(source: str, **call: Any) -> str:
    (found,) = ask(source, **call)["renderings"]
    return str(found["text"])


def test_a_template_is_sent_once_and_says_what_it_reads() -> None:
    known: dict[str, jinja2.Template] = {}
    request = {"id": "t", "source": None, "variables": {}, "limit": 9, "calls": [{"messages": HI}]}
    assert answer(request, known) == {"unknown": True}
    sent = answer({"id": "t", "source": "{{ x }}{% set y = 1 %}{{ y }}{{ messages }}", "date": "2024-01-01"}, known)
    assert sent == {"variables": ["messages", "x"]}
    assert "renderings" in answer(request | {"limit": 99}, known)


def test_the_language_of_chat_templates() -> None:
    assert text("{{ bos_token }}{% for m in messages %}{{ m.role }}{{ m['content'] }}{% endfor %}") == "<s>userhi"
    # Blocks take their line with them, loops may break, and what marks trained parts elsewhere renders its body.
    assert text("a\n  {% if true %}\nb\n  {% endif %}\nc") == "a\nb\nc"
    assert text("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "01"
    assert text("{% generation %}{{ messages[0].content }}{% endgeneration %}!") == "hi!"
    assert text("{{ {'a': 'é<'} | tojson }}") == '{"a": "é<"}'
    assert text("{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, ensure_ascii=true) }}") == '{"a": 2, "b": 1}'
    assert text("{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{{ ns.a }}") == "2"
    assert text("{{ tools is none }}{{ tools is defined }}{{ nothing is defined }}") == "TrueTrueFalse"
    assert text("{{ switch }}", switch=False) == "False"


def test_the_day_is_the_one_that_is_given() -> None:
    assert text("{{ strftime_now('%d %b %Y %H:%M') }}") == "29 Feb 2024 00:00"
    assert environment(datetime.date(2001, 9, 9)).from_string("{{ strftime_now('%j') }}").render() == "252"


@pytest.mark.parametrize(
    ("source", "refusal"),
    [
        ("{{ raise_exception('roles must alternate') }}", "refuses it: roles must alternate"),
        ("{{ messages[0].calls[0] }}", "fails on it: UndefinedError: 'dict object' has no attribute 'calls'"),
        ("{{ 1 / 0 }}", "fails on it: ZeroDivisionError: division by zero"),
        ("{{ messages.append(1) }}", "fails on it: SecurityError: access to attribute 'append'"),
        ("{% set n = namespace(__class__=1) %}", "fails on it: SecurityError: a namespace holds no '__class__'"),
        ("{% include 'x' %}", "fails on it: TypeError: no loader for this environment"),
    ],
)
def test_a_call_that_the_template_refuses(source: str, refusal: str) -> None:
    (found,) = ask(source)["renderings"]
    assert found["refusal"].startswith(refusal)


def test_one_refusal_leaves_the_other_calls() -> None:
    known: dict[str, jinja2.Template] = {}
    source = "{% if messages | length > 1 %}{{ raise_exception('no') }}{% endif %}ok"
    answer({"id": "t", "source": source, "date": "2024-01-01"}, known)
    calls = [{"messages": HI}, {"messages": HI * 2}]
    found = answer({"id": "t", "source": None, "variables": {}, "limit": 9, "calls": calls}, known)
    assert found == {"renderings": [{"text": "ok"}, {"refusal": "refuses it: no"}]}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a\n{% if %}", "line 2: Expected an expression, got 'end of statement block'"),
        ("{% for m in messages %}", "line 1: Unexpected end of template"),
        ("{% generation %}", "line 1: Unexpected end of template"),
        ("{{ ''.join(['x' * 60, 'y' * 60]) }}", "it writes more than 100 characters"),
        ("{% for i in range(99999) %}{{ 'x' * 9 }}{% endfor %}", "it writes more than 100 characters"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "it is nested too deeply"),
        ("{{ " + "(" * 5000, "it is nested too deeply"),
    ],
)
def test_a_template_that_cannot_be_used(source: str, reason: str) -> None:
    assert str(ask(source)["broken"]).startswith(reason)
