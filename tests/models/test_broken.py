"""A hundred models that cannot be used: one line each that names the folder, in bounded time and memory."""

import re
import shutil
from pathlib import Path

import pytest
from broken_models import CASES, sound_folder

from whet.core.errors import ModelError
from whet.models.folder import tokenizer_check
from whet.models.load import load_model


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound_folder(tmp_path_factory.mktemp("sound") / "model")


def test_the_sound_one_loads(sound: Path) -> None:
    assert load_model(str(sound)).context == 64


@pytest.mark.parametrize("name", list(CASES))
def test_a_broken_model_is_one_line(name: str, sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_check, "_CPU_S", 2)
    monkeypatch.setattr(tokenizer_check, "_MEMORY", 1 << 30)
    folder = Path(shutil.copytree(sound, tmp_path / "model"))
    break_, expected = CASES[name]
    break_(folder)
    with pytest.raises(ModelError) as caught:
        load_model(str(folder))
    said = str(caught.value)
    assert re.search(expected, said), said
    assert str(folder) in said
    assert "\n" not in said
    assert len(said) < 700
