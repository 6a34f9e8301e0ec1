"""What is saved stops where it was taught to, in anyone's `generate`, and keeps its tokenizer as it came."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    PreTrainedTokenizerBase,
)

from whet.core.recipe import TemplateSettings
from whet.models.load import load_model
from whet.models.save import save_model
from whet.models.tokenizer import end_ids

Make = Callable[..., PreTrainedTokenizerBase]
Folder = Callable[..., Path]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def saved(make_tokenizer: Make, random_folder: Folder, tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """A chat model whose turn end is not its tokenizer's end token, and what whet saves of it."""

    def make(settings: TemplateSettings, **names: str | None) -> tuple[Path, Path]:
        source = random_folder(make_tokenizer(CHATML, **names), tmp_path / "source")
        loaded = load_model(str(source))
        words = loaded.template(settings)
        save_model(loaded.model, loaded.tokenizer, tmp_path / "saved", ends=words.ends)
        return source, tmp_path / "saved"

    return make


Saved = Callable[..., tuple[Path, Path]]


@pytest.mark.parametrize("said", ["<|im_end|>", "<|endoftext|>"])
def test_generate_stops_at_the_trained_end_and_at_the_models_own(
    saved: Saved, generate_forced: Callable[..., list[int]], said: str
) -> None:
    _, folder = saved(TemplateSettings())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], return_dict=False)
    script = [20, 21, tokenizer.convert_tokens_to_ids(said), 22, 22, 22]
    assert generate_forced(model, prompt, script) == script[:3]


def test_the_files_name_every_end_the_trained_one_first(saved: Saved) -> None:
    _, folder = saved(TemplateSettings())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ends = [tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")]
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] == ends
    assert GenerationConfig.from_pretrained(folder).eos_token_id == ends
    # Loaded again it is known to end there, in the order that was saved.
    assert load_model(str(folder)).eos_ids == tuple(ends)


def test_an_end_of_the_settings_is_saved(saved: Saved) -> None:
    _, folder = saved(TemplateSettings(ends=("<|im_start|>",)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert GenerationConfig.from_pretrained(folder).eos_token_id[0] == tokenizer.convert_tokens_to_ids("<|im_start|>")


def test_the_tokenizer_stays_as_it_came(saved: Saved) -> None:
    source, folder = saved(TemplateSettings(), bos="<s>")
    before, after = (AutoTokenizer.from_pretrained(place) for place in (source, folder))
    assert before.pad_token is None
    assert after.special_tokens_map == before.special_tokens_map
    assert after.chat_template == before.chat_template == CHATML
    assert after.get_vocab() == before.get_vocab()
    assert {id_: repr(token) for id_, token in after.added_tokens_decoder.items()} == {
        id_: repr(token) for id_, token in before.added_tokens_decoder.items()
    }
    text = "<|im_start|>a <think> 12<|im_end|>\n"
    assert after(text)["input_ids"] == before(text)["input_ids"]


def test_nothing_is_invented_for_a_tokenizer_that_names_little(
    make_tokenizer: Make, random_folder: Folder, tmp_path: Path
) -> None:
    tokenizer = make_tokenizer(eos="<|im_end|>")
    begin = tokenizer.convert_tokens_to_ids("<|im_start|>")
    source = random_folder(tokenizer, tmp_path / "source", bos_token_id=begin)
    loaded = load_model(str(source))
    assert (loaded.tokenizer.bos_token, loaded.tokenizer.pad_token) == (None, None)
    save_model(loaded.model, loaded.tokenizer, tmp_path / "saved", ends=loaded.template(TemplateSettings()).ends)
    again = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert again.special_tokens_map == {"eos_token": "<|im_end|>"}


def test_a_generation_config_that_transformers_finds_odd_is_kept(
    make_tokenizer: Make, random_folder: Folder, tmp_path: Path
) -> None:
    source = random_folder(make_tokenizer(CHATML), tmp_path / "source")
    odd = {"do_sample": False, "temperature": 0.6, "eos_token_id": [1, 2], "transformers_version": "4.40.0"}
    (source / "generation_config.json").write_text(json.dumps(odd))
    loaded = load_model(str(source))
    words = loaded.template(TemplateSettings())
    save_model(loaded.model, loaded.tokenizer, tmp_path / "saved", ends=words.ends)
    kept = json.loads((tmp_path / "saved" / "generation_config.json").read_text())
    assert kept["temperature"] == 0.6
    assert kept["eos_token_id"] == list(words.ends)
    assert set(words.ends) >= {1, 2}


def test_end_ids_one_or_many_in_any_config() -> None:
    config = LlamaConfig(eos_token_id=[5, 7])
    assert end_ids(GenerationConfig(eos_token_id=7), config, None) == (7, 5)
    assert end_ids(LlamaConfig(eos_token_id=None)) == ()
    assert end_ids(LlamaConfig(eos_token_id=2**40)) == ()
