from pathlib import Path

import pytest

from whet.core.errors import ModelError
from whet.core.recipe import TemplateSettings
from whet.tokens.recorded import record_template, recorded_template


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    assert recorded_template(tmp_path) is None
    settings = TemplateSettings(format="plain", system="Be brief. \u2603")
    record_template(tmp_path, settings)
    assert recorded_template(tmp_path) == settings


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"format": "none"}', b'{"sytem": "x"}', b"\xff"])
def test_a_damaged_record_is_one_line(tmp_path: Path, content: bytes) -> None:
    record_template(tmp_path, TemplateSettings())
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    with pytest.raises(ModelError, match="not the template settings that whet wrote") as caught:
        recorded_template(tmp_path)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
