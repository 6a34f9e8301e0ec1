"""What a Python file defines, read from its text: nothing is executed."""

import ast
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from whet.rewards.signature import Parameters

__all__ = ["Source", "SourceError", "read_source"]


class SourceError(ValueError):
    """The file cannot be read as Python; its text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The names that the top level of a file binds.

    `functions` are those written out, with their parameters. `others` are the rest: what a name is when it is surely no
    function, None when only running the file can tell. `is_open` says that the file may bind names not written in it.
    """

    functions: Mapping[str, Parameters]
    others: Mapping[str, str | None]
    is_open: bool
    missing_import: str | None

    def what_instead(self, name: str) -> str | None:
        """What the name is when it is surely no function, "" when there is no such name; None when it may be one."""
        if name in self.functions:
            return None
        if name in self.others:
            return self.others[name]
        return None if self.is_open else ""

    def possible(self) -> list[str]:
        """Names that are functions or may be, for a suggestion."""
        return [*self.functions, *(name for name, what in self.others.items() if what is None)]


def read_source(path: Path) -> Source:
    """Later bindings hide earlier ones, as they do when the file runs."""
    tree = _parsed(path)
    functions: dict[str, Parameters] = {}
    others: dict[str, str | None] = {}
    for statement in _statements(tree.body):
        for name, parameters, what in _bound(statement):
            functions.pop(name, None)
            others.pop(name, None)
            if parameters is None:
                others[name] = what
            else:
                functions[name] = parameters
    return Source(
        functions=functions,
        others=others,
        is_open=any(_binds_anything(node) for node in ast.walk(tree)),
        missing_import=_missing_import(path, tree),
    )


def _parsed(path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of the file's style is not our business
            return ast.parse(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error})") from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        place = f"{path}:{line}" if line else str(path)
        raise SourceError(f"{place} is not valid Python ({getattr(error, 'msg', None) or error})") from error


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement of the top level, those inside `if`, `try`, `with`, `match` and loops too."""
    for statement in body:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, block, []))
            for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
                yield from _statements(part.body)


def _bound(statement: ast.stmt) -> Iterator[tuple[str, Parameters | None, str | None]]:
    """Each name with its parameters when it is a function as written, and what it is when that is surely none."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield statement.name, None if statement.decorator_list else _parameters(statement.args), None
        case ast.ClassDef():
            yield statement.name, None, "is a class"
        case ast.Import() | ast.ImportFrom():
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0], None, None
        case ast.Assign() | ast.AnnAssign():
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        yield name.id, *_value(statement.value if target is name else None)


def _value(value: ast.expr | None) -> tuple[Parameters | None, str | None]:
    match value:
        case ast.Lambda():
            return _parameters(value.args), None
        case ast.Constant() | ast.JoinedStr() | ast.List() | ast.Dict() | ast.Set() | ast.Tuple():
            return None, f"is {ast.unparse(value)[:40]}"
    return None, None


def _parameters(arguments: ast.arguments) -> Parameters:
    kind = inspect.Parameter
    by_place = [*arguments.posonlyargs, *arguments.args]
    required = len(by_place) - len(arguments.defaults)
    found = [
        kind(
            argument.arg,
            kind.POSITIONAL_ONLY if place < len(arguments.posonlyargs) else kind.POSITIONAL_OR_KEYWORD,
            default=kind.empty if place < required else ...,
        )
        for place, argument in enumerate(by_place)
    ]
    if arguments.vararg:
        found.append(kind(arguments.vararg.arg, kind.VAR_POSITIONAL))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(kind(argument.arg, kind.KEYWORD_ONLY, default=kind.empty if default is None else ...))
    if arguments.kwarg:
        found.append(kind(arguments.kwarg.arg, kind.VAR_KEYWORD))
    return {parameter.name: parameter for parameter in found}


def _binds_anything(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom():
            return any(alias.name == "*" for alias in node.names)
        case ast.Call(func=ast.Name(id="exec" | "globals" | "setattr")) | ast.FunctionDef(name="__getattr__"):
            return True
    return False


def _missing_import(path: Path, tree: ast.Module) -> str | None:
    """A package that the file imports outside any block and that is not there."""
    for statement in tree.body:
        names: list[str] = []
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names = [statement.module]
        for package in (name.partition(".")[0] for name in names):
            if package not in sys.modules and importlib.util.find_spec(package) is None:
                is_beside = path.with_name(f"{package}.py").is_file() or path.with_name(package).is_dir()
                hint = (
                    "what lies beside the file is not found; put its folder on PYTHONPATH"
                    if is_beside
                    else "install it"
                )
                return f"{path}:{statement.lineno} imports {package!r}, which is not there; {hint}"
    return None
