import inspect
import warnings
from pathlib import Path

import pytest

from whet.rewards.signature import parameters_of
from whet.rewards.source import SourceError, read_source

MINE = """
from __future__ import annotations
import json, os.path
from functools import partial as bound

number: int = 3
texts = ["a"]
pair, other = 1, 2
judge = bound(print)
lambda_ = lambda completion, **row: 1.0

class Judge: ...

def plain(completion, /, answer, level=2, *rest, only, also=None, **row): ...
async def later(completions): ...

@bound
def decorated(x): ...

if number:
    def inside(completion): ...
else:
    texts = inside
try:
    import no_such_package_at_all
except ImportError as error:
    fallback = None
    def guarded(completion): ...
match number:
    case 3:
        def matched(completion): ...

def hidden(completion): ...
hidden = 4
fallback = json
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "mine.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_functions_and_other_names_of_the_top_level(tmp_path: Path) -> None:
    source = read_source(written(tmp_path, MINE))
    assert set(source.functions) == {"lambda_", "plain", "later", "inside", "guarded", "matched"}
    instead = {"number": "is 3", "texts": None, "Judge": "is a class", "hidden": "is 4", "nothing": ""}
    assert {name: source.what_instead(name) for name in instead} == instead
    # what is called, imported, unpacked or decorated may well be a function
    for name in ("judge", "json", "os", "bound", "pair", "other", "decorated", "fallback", "plain"):
        assert source.what_instead(name) is None, name
    assert not source.is_open
    assert source.missing_import is None


def test_parameters_are_those_that_python_itself_sees(tmp_path: Path) -> None:
    path = written(tmp_path, MINE)
    names: dict[str, object] = {}
    exec("def plain(completion, /, answer, level=2, *rest, only, also=None, **row): ...", names)
    expected = parameters_of(names["plain"])  # type: ignore[arg-type]
    found = read_source(path).functions["plain"]
    assert list(found) == list(expected)
    for one, other in zip(found.values(), expected.values(), strict=True):
        assert one.kind is other.kind
        assert (one.default is inspect.Parameter.empty) == (other.default is inspect.Parameter.empty)


@pytest.mark.parametrize("line", ["from json import *", "exec('def f(): ...')", "globals()['f'] = 1"])
def test_a_file_that_may_bind_anything_hides_nothing(tmp_path: Path, line: str) -> None:
    assert read_source(written(tmp_path, line)).what_instead("f") is None


def test_nothing_is_executed(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    read_source(written(tmp_path, f"open({str(flag)!r}, 'w')\nraise SystemExit\n"))
    assert not flag.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\ndef f(:\n", "mine.py:2 is not valid Python"),
        (b"x = '\xff'\n", "is not valid Python"),
        (b"x\0y", "is not valid Python"),
        ("(" * 10_000, "is not valid Python"),
    ],
)
def test_what_is_no_python_says_where(tmp_path: Path, text: str | bytes, expected: str) -> None:
    with pytest.raises(SourceError, match=r"mine\.py") as caught:
        read_source(written(tmp_path, text))
    assert expected in str(caught.value)


def test_warnings_about_the_style_of_a_file_are_not_ours(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "f" in read_source(written(tmp_path, "def f(completion):\n    return '\\d' is 'x'\n")).functions


def test_packages_that_are_not_there(tmp_path: Path) -> None:
    path = written(tmp_path, "import json\nimport helpers_of_mine.deep, os\ndef f(completion): ...\n")
    assert read_source(path).missing_import == (f"{path}:2 imports 'helpers_of_mine', which is not there; install it")
    (tmp_path / "helpers_of_mine.py").write_text("")
    beside = read_source(path).missing_import
    assert beside is not None
    assert beside.endswith("what lies beside the file is not found; put its folder on PYTHONPATH")
