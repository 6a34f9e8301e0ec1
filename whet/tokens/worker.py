"""The program that renders chat templates, as a process of its own so that a stranger's template can be stopped.

It reads one request a line and answers with one line, both JSON, until its input ends:

    {"id": "1f", "source": "{{ bos_token }}...", "date": "2025-01-01"}      {"variables": ["bos_token", "messages"]}
    {"id": "1f", "source": null, "variables": {"bos_token": "<s>"}, "limit": 1000000,
     "calls": [{"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": true}]}
                                                                            {"renderings": [{"text": "<s>user: hi"}]}

A call that the template refuses has `{"refusal": reason}` in its place. `{"unknown": true}` asks for the source of an
id; `{"broken": reason}` is said of a template that cannot be used at all.

What a template may use: `cpu_s` seconds of processor time a request, then the kernel ends the process; `memory` bytes
of address space; `limit` characters of output. The language is that of `apply_chat_template` of transformers (jinja2's
immutable sandbox, `raise_exception`, `strftime_now`, `tojson`, loop controls, `{% generation %}`), on the day given.

Imports jinja2 and the standard library only, so that it starts in tens of milliseconds.
"""

import datetime
import json
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any

import jinja2
import jinja2.exceptions
import jinja2.ext
import jinja2.meta
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox
import jinja2.utils

__all__ = ["answer", "environment", "main"]


class _Refusal(jinja2.TemplateError):
    """What a template says through `raise_exception`."""


class _TooLong(Exception):  # noqa: N818 - it never leaves this file
    """More output than the request allows."""


class _Generation(jinja2.ext.Extension):
    """`{% generation %}...{% endgeneration %}` marks what is trained in other programs; here its body is rendered."""

    tags: set[str] = {"generation"}  # noqa: RUF012 - as the base class declares it

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Any) -> Any:
        return caller()


class _Namespace(jinja2.utils.Namespace):
    """jinja2's, without names that begin with an underscore: those lead to Python's own machinery."""

    def __init__(*args: Any, **names: Any) -> None:  # no name is reserved, not even `self`
        self, *rest = args
        values = dict(*rest, **names)
        for name in values:
            _require_plain(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _require_plain(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)


def _require_plain(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace holds no {name!r}")


def environment(date: datetime.date) -> jinja2.Environment:
    """The language of chat templates, on that day."""
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _raise_exception
    made.globals["strftime_now"] = datetime.datetime.combine(date, datetime.time()).strftime
    made.globals["namespace"] = _Namespace
    return made


def _raise_exception(message: Any) -> None:
    raise _Refusal(str(message))


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """Without the escapes for HTML that jinja2's own filter makes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def answer(request: Mapping[str, Any], known: dict[str, jinja2.Template]) -> dict[str, Any]:
    """The answer to one request; `known` keeps the templates that were sent."""
    try:
        if request["source"] is not None:
            language = environment(datetime.date.fromisoformat(request["date"]))
            known[request["id"]] = language.from_string(request["source"])
            return {"variables": sorted(jinja2.meta.find_undeclared_variables(language.parse(request["source"])))}
        if request["id"] not in known:
            return {"unknown": True}
        template = known[request["id"]]
        return {"renderings": [_rendering(template, request, call) for call in request["calls"]]}
    except jinja2.TemplateSyntaxError as error:
        return {"broken": f"line {error.lineno}: {error.message}"}
    except _TooLong:
        return {"broken": f"it writes more than {request['limit']:,} characters"}
    except MemoryError:
        return {"broken": "it needs too much memory"}
    except RecursionError:
        return {"broken": "it is nested too deeply"}


def _rendering(template: jinja2.Template, request: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {"text": _text(template, request["variables"] | call, request["limit"])}
    except _Refusal as error:
        return {"refusal": f"refuses it: {error}"}
    except (_TooLong, MemoryError, RecursionError):
        raise
    except Exception as error:  # a template can raise whatever Python can
        return {"refusal": f"fails on it: {type(error).__name__}: {error}"}


def _text(template: jinja2.Template, variables: Mapping[str, Any], limit: int) -> str:
    pieces, length = [], 0
    for piece in template.generate(tools=None, documents=None, **variables):
        length += len(piece)
        if length > limit:
            raise _TooLong
        pieces.append(piece)
    return "".join(pieces)


def main(cpu_s: float, memory: int) -> None:
    """Answer requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    known: dict[str, jinja2.Template] = {}
    for line in sys.stdin.buffer:
        # Without a handler, the signal of this timer ends the process, wherever in C it is.
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        reply = json.dumps(answer(json.loads(line), known))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(reply + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
