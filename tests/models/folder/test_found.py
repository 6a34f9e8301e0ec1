from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.utils import filter_repo_objects

from whet.core.errors import ModelError
from whet.models.folder.files import model_files
from whet.models.folder.found import fetched_folder, local_folder, resolve_model
from whet.models.tiny import TINY_FOLDER

FILES = """.gitattributes LICENSE.txt README.md USE_POLICY.md config.json consolidated.safetensors
generation_config.json merges.txt model-00001-of-00002.safetensors model-00002-of-00002.safetensors
model.safetensors.index.json modeling.py pytorch_model.bin spiece.model tokenizer.json chat_template.jinja
onnx/config.json onnx/model.safetensors original/consolidated.00.pth original/tokenizer.model
additional_chat_templates/tool.jinja""".split()
READ = """additional_chat_templates/tool.jinja chat_template.jinja config.json generation_config.json merges.txt
model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json spiece.model
tokenizer.json""".split()


def test_what_the_hub_has_in_the_cache_is_a_folder(hub_cache: Path) -> None:
    assert resolve_model("owner/name") == "owner/name"
    assert local_folder("owner/name") == fetched_folder("owner/name") == hub_cache / "snapshots" / ("a" * 40)
    assert local_folder("owner/another") is None
    with pytest.raises(ModelError, match=r"model 'owner/another' cannot be fetched from the hub \(") as caught:
        fetched_folder("owner/another")
    assert "\n" not in str(caught.value)


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert local_folder("whet:tiny") == fetched_folder("whet:tiny") == TINY_FOLDER
    with pytest.raises(ModelError, match="no such folder"):
        fetched_folder(str(tmp_path / "none"))


def test_nothing_is_fetched_that_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, list[str]] = {}

    def snapshot_download(name: str, **options: list[str]) -> str:
        asked.update(options)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert fetched_folder("owner/name") == tmp_path
    patterns = {key: asked[key] for key in ("allow_patterns", "ignore_patterns")}
    fetched = set(filter_repo_objects(FILES, **patterns))
    assert fetched - {"LICENSE.txt"} == set(READ)


def test_the_files_that_say_what_a_model_is(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(model_files(tmp_path)) == sorted(READ)
    assert model_files(tmp_path)["config.json"] == tmp_path / "config.json"
