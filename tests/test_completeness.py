"""What must hold of every file: it imports, it says what is public, and nothing is declared for nothing."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import whet
from whet.core import errors
from whet.core.recipe import RlSettings

PACKAGE = Path(whet.__file__).parent
MODULES = sorted(module.name for module in pkgutil.walk_packages([str(PACKAGE)], "whet."))
SOURCE = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_names_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    if not hasattr(module, "__path__"):
        assert module.__all__, name
        assert all(hasattr(module, public) for public in module.__all__), name


def test_every_error_of_the_tree_is_raised_somewhere() -> None:
    for name in set(errors.__all__) - {"WhetError", "did_you_mean", "first_line"}:
        assert issubclass(getattr(errors, name), errors.WhetError)
        assert re.search(rf"raise {name}\(", SOURCE), name


def test_the_algorithms_of_the_recipe_are_the_table() -> None:
    from whet.algorithms import ALGORITHMS

    assert set(RlSettings.model_fields["algorithm"].annotation.__args__) == set(ALGORITHMS)


def folder_files(folder: str) -> set[str]:
    return {path.stem for path in (PACKAGE / folder).glob("*.py")} - {"__init__"}


def test_each_table_names_every_file_of_its_folder() -> None:
    """What is added as a file must also stand in its table, and the table is where one looks for it."""
    from whet.algorithms import FAMILY
    from whet.data.alike.views import VIEWS
    from whet.data.layouts import LAYOUTS
    from whet.data.readers import READERS
    from whet.evaluation.tasks import TASKS
    from whet.report.pictures import PICTURES
    from whet.rewards import REWARDS
    from whet.train.step.optimizers import OPTIMIZERS

    def files_of(functions: Iterable[Any]) -> set[str]:
        plain = (getattr(function, "func", function) for function in functions)
        return {function.__module__.rpartition(".")[2] for function in plain}

    assert files_of(FAMILY.values()) == folder_files("algorithms") - {"algorithm", "kl", "masked", "sft"}
    assert files_of(PICTURES.values()) == folder_files("report/pictures") - {"figure", "lines"}
    assert files_of(REWARDS.values()) == folder_files("rewards/verifiers")
    assert files_of(VIEWS.values()) == folder_files("data/alike/views") - {"found"}
    assert files_of(READERS.values()) == folder_files("data/readers") - {"files", "json_list", "json_text", "lines"}
    layouts = folder_files("data/layouts") - {
        "examine",
        "expressions",
        "fields",
        "layout",
        "meanings",
        "recognise",
        "turns",
    }
    assert files_of(layout.read for layout in LAYOUTS) == layouts
    assert files_of(TASKS.values()) == folder_files("evaluation/tasks") - {"task"}
    assert files_of(OPTIMIZERS.values()) == {"optimizers"}


def test_every_folder_says_what_lives_there() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    for folder in folders:
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert said, folder
        assert "." in said.rstrip("."), f"{folder}: one sentence for what lives there, one for what may not"


def test_importing_whet_imports_no_torch() -> None:
    code = "import sys, whet; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_recipe_of_the_repository_is_valid() -> None:
    from whet.core.recipe.file import load_recipe

    recipes = sorted((PACKAGE.parent / "recipes").glob("*.yaml"))
    assert [path.stem for path in recipes] == ["demo", "gsm8k", "smoke"]
    for path in recipes:
        assert load_recipe(path, environ={}).recipe.name == path.stem


def test_no_verb_of_the_package_is_hidden_by_a_module() -> None:
    assert not set(whet.__all__) & {name.removeprefix("whet.") for name in MODULES}


def test_no_two_test_files_share_a_name() -> None:
    """Pytest imports them by their bare names, and would stop at the second."""
    names = [path.name for path in Path(__file__).parent.rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
