"""What must hold of every file: it imports, it says what is public, and nothing is declared for nothing."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

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
    for name in set(errors.__all__) - {"WhetError", "did_you_mean"}:
        assert issubclass(getattr(errors, name), errors.WhetError)
        assert re.search(rf"raise {name}\(", SOURCE), name


def test_the_algorithms_of_the_recipe_are_the_table() -> None:
    from whet.algorithms import ALGORITHMS

    assert set(RlSettings.model_fields["algorithm"].annotation.__args__) == set(ALGORITHMS)


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
