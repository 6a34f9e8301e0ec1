"""Which files of a model's folder say what the model is: config, weights, tokenizer, templates."""

from pathlib import Path

__all__ = ["ENDINGS", "model_files"]

ENDINGS = (".json", ".safetensors", ".model", ".txt", ".jinja", ".tiktoken")
# What people read, and the same weights in another form.
_UNREAD = ("license", "notice", "readme", "use_policy", "consolidated")
_TEMPLATES = "additional_chat_templates"


def model_files(folder: Path) -> dict[str, Path]:
    """The files by their names in the folder, sorted; `from_pretrained` reads no others of a safetensors folder."""
    found = [*folder.iterdir(), *(folder / _TEMPLATES).glob("*.jinja")]
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(found)
        if path.suffix in ENDINGS and not path.name.lower().startswith(_UNREAD)
    }
