"""The template settings that a reward model was trained with, kept beside its weights for whoever scores with it."""

from pathlib import Path

from pydantic import ValidationError

from whet.core.errors import DataError, ModelError
from whet.core.files import read_json, write_json
from whet.core.recipe import TemplateSettings

__all__ = ["record_template", "recorded_template"]

_FILE = "whet_template.json"


def record_template(folder: Path, settings: TemplateSettings) -> None:
    """Write the settings into a model's folder."""
    write_json(folder / _FILE, settings.model_dump(mode="json"))


def recorded_template(folder: Path) -> TemplateSettings | None:
    """What the folder says, None where it says nothing, as those of other trainers do."""
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        return TemplateSettings.model_validate(read_json(path))
    except (DataError, ValidationError, UnicodeDecodeError) as error:
        first_line = str(error).splitlines()[0]
        raise ModelError(f"{path}: not the template settings that whet wrote ({first_line}); copy it again") from error
