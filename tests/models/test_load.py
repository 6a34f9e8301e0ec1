import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from whet.core.errors import ModelError
from whet.models.decoder import Decoder
from whet.models.folder.found import resolve_model
from whet.models.heads import reward_model_from
from whet.models.load import load_model, load_reward_model
from whet.models.save import save_model
from whet.models.tiny import TINY_FOLDER
from whet.tokens.batches import TokenGroup, flat_batch

TINY_WEIGHTS = TINY_FOLDER / "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_FOLDER, tmp_path / "model"))


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_embedded_model_is_small_and_whole() -> None:
    loaded = load_model("whet:tiny")
    assert 0.5e6 <= sum(value.numel() for value in loaded.model.parameters()) <= 1.5e6
    assert sum(file.stat().st_size for file in TINY_FOLDER.iterdir()) <= 4_000_000
    for text in ("<think>", "</think>", "<answer>", "</answer>", "7"):
        assert len(loaded.tokenizer(text, add_special_tokens=False)["input_ids"]) == 1, text
    assert len(loaded.tokenizer("2026", add_special_tokens=False)["input_ids"]) == 4


def test_what_is_saved_loads_as_it_was(tmp_path: Path) -> None:
    loaded = load_model("whet:tiny")
    save_model(loaded.model, loaded.tokenizer, tmp_path / "m")
    again = load_model(str(tmp_path / "m"))
    for (name, old), new in zip(loaded.model.named_parameters(), again.model.parameters(), strict=True):
        assert torch.equal(old, new), name
    assert not [file for file in (tmp_path / "m").iterdir() if file.suffix in (".bin", ".pt")]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_comes_back_in_the_type_that_it_came_in(tmp_path: Path, dtype: torch.dtype) -> None:
    loaded = load_model("whet:tiny")
    assert loaded.dtype == torch.float32
    save_model(loaded.model, loaded.tokenizer, tmp_path / "half", dtype=dtype)
    assert (tmp_path / "half" / "model.safetensors").stat().st_size < 0.51 * TINY_WEIGHTS.stat().st_size
    assert json.loads((tmp_path / "half" / "config.json").read_text())["dtype"] == str(dtype).removeprefix("torch.")
    again = load_model(str(tmp_path / "half"))
    assert again.dtype == dtype
    for (name, old), new in zip(loaded.model.named_parameters(), again.model.parameters(), strict=True):
        assert old.dtype == new.dtype == torch.float32, name
        assert torch.equal(old.to(dtype).float(), new), name
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "half")
    assert next(theirs.parameters()).dtype == dtype
    assert theirs.lm_head.weight.data_ptr() == theirs.model.embed_tokens.weight.data_ptr()


def test_what_does_not_fit_the_type_stays_float32(tmp_path: Path) -> None:
    # float16 ends at 65504
    loaded = load_model("whet:tiny")
    with torch.no_grad():
        loaded.model.model.norm.weight[0] = 70_000.0
    save_model(loaded.model, loaded.tokenizer, tmp_path / "m", dtype=torch.float16)
    again = load_model(str(tmp_path / "m"))
    assert again.dtype == torch.float32
    assert json.loads((tmp_path / "m" / "config.json").read_text())["dtype"] == "float32"
    assert float(again.model.model.norm.weight[0].detach()) == 70_000.0


def test_refusals(folder: Path, tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    (folder / "tokenizer.json").rename(tmp_path / "t")
    (folder / "tokenizer_config.json").unlink()
    assert "no tokenizer" in refusal(folder)
    shutil.copy(tmp_path / "t", folder / "tokenizer.json")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {**weights, "model.norm.weight": torch.full((128,), float("nan"))},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    assert "model.norm.weight are not finite" in refusal(folder)
    save_file(
        {name: w for name, w in weights.items() if "layers.2" not in name},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    assert "9 missing keys" in refusal(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "can run code when loaded" in refusal(folder)
    assert config["vocab_size"] == 1536
    with pytest.raises(ModelError, match="not embedded; known: whet:tiny"):
        resolve_model("whet:tinny")


def test_a_reward_model_is_what_transformers_says_it_is(tmp_path: Path) -> None:
    loaded = load_model("whet:tiny")
    judge = reward_model_from(loaded, seed=3)
    save_model(judge, loaded.tokenizer, tmp_path / "judge")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "judge").eval()
    ours = Decoder(load_reward_model(str(tmp_path / "judge")).model)
    group = TokenGroup(
        prompt_ids=(1, 74, 75), completions=((894, 67), (20, 21, 22, 2)), loss_masks=((True,) * 2, (True,) * 4)
    )
    found = ours.rewards(flat_batch([group]))
    with torch.no_grad():
        expected = [float(theirs(input_ids=torch.tensor([group.prompt_ids + ids])).logits) for ids in group.completions]
    assert ours.kind == "flat"
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_language_model_is_no_reward_model() -> None:
    with pytest.raises(ModelError):
        load_reward_model("whet:tiny")
