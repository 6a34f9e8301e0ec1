"""Every chat template that TRL ships, the models' own and its versions for training. Needs the extra `[peers]`.

Prompt and completion are the ids of the template's rendering by transformers, or, where it would leave thinking out,
the answer's words behind the prompt; or the row or the template is refused with the reason.
"""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from whet.core.errors import ModelError, TemplateRefusalError
from whet.core.recipe import TemplateSettings
from whet.core.records import Prompt
from whet.models.load import load_model
from whet.models.save import save_model
from whet.tokens.template import Template

Make = Callable[..., PreTrainedTokenizerBase]
Talk = Callable[..., Prompt]

TRL = importlib.util.find_spec("trl")
if TRL is None or TRL.origin is None:
    pytest.skip("TRL is not installed (pip install 'whet[peers]')", allow_module_level=True)
FILES = {path.stem: path for path in sorted((Path(TRL.origin).parent / "chat_templates").glob("*.jinja"))}
# They want the parts of a message as a list, for images.
IMAGES = ("idefics3", "smolvlm", "llava_next")
# How an answer without thinking and one with it are trained: as the template writes the text ("raw"), or its thinking
# apart from it ("apart"), in its own words ("own"), or not at all, because the prompt opens or closes the thinking.
OPENS, CLOSES = "opens <think> before the answer", "closes </think> before the answer"
TRAINED: dict[str, tuple[str, str]] = {
    "deepseek_r1_distill": (OPENS, "own"),
    "deepseek_r1_distill_training": (OPENS, "raw"),
    "deepseekv3": (OPENS, "own"),
    "diffusion_gemma": ("raw", "apart"),
    "gemma4_v5": ("raw", "apart"),
    "glm4moe": ("raw", "apart"),
    "gptoss": ("raw", "apart"),
    "lfm2_2_5": ("raw", "apart"),
    "lfm2_2_5_v2": ("raw", "apart"),
    "lfm2_2_5_vl": ("raw", "apart"),
    "muse_glimmer": ("raw", "apart"),
    "nemotron_3_5_lightning": (OPENS, "apart"),
    "nemotron_3_nano": (OPENS, "apart"),
    "nemotron_3_super": (OPENS, "apart"),
    "nemotron_3_ultra": (OPENS, "apart"),
    "qwen3": ("raw", "apart"),
    "qwen3_5_nothink": ("raw", CLOSES),
    "qwen3_5_think": ("raw", "apart"),
    "qwen3_6": ("raw", "apart"),
    "qwen3_8": ("raw", "apart"),
}
# What ends an answer where it is not the end token of the family's tokenizer.
EOS = {
    "gemma": "<eos>",
    "llama": "<|eot_id|>",
    "deepseek": "<｜end▁of▁sentence｜>",
    "gptoss": "<|return|>",
    "phi": "<|endoftext|>",
}
ENDS = {
    "gemma4": "<turn|>",
    "diffusion_gemma": "<turn|>",
    "gemma": "<end_of_turn>",
    "phi": "<|end|>",
    "muse": "<|eot|>",
    "glm": "<|user|>",
    "cohere": "<|END_OF_TURN_TOKEN|>",
}
CONTROL = re.compile(
    r"<\|[A-Za-z_]+\|>|<｜[^｜<>]+｜>|<(?:start|end)_of_turn>|<\|?turn\|?>|<\|?channel\|?>|\[gMASK\]|<sop>|<image>"
)
PLAIN, THINKS = "All good.", "<think>\nso so\n</think>\n\nAll good."
# Those whose prompt closes the thinking when `enable_thinking` is false.
SWITCHED = (
    "glm4moe",
    "nemotron_3_5_lightning",
    "nemotron_3_nano",
    "nemotron_3_super",
    "nemotron_3_ultra",
    "qwen3",
    "qwen3_5_nothink",
    "qwen3_5_think",
    "qwen3_6",
    "qwen3_8",
)
SHAPES: dict[str, dict[str, str]] = {
    "raw plain": {"content": PLAIN},
    "raw thinks": {"content": THINKS},
    "apart thinks": {"content": PLAIN, "reasoning_content": "so so", "thinking": "so so"},
}


def of_family(name: str, table: dict[str, Any], default: Any) -> Any:
    return next((value for start, value in table.items() if name.startswith(start)), default)


@pytest.fixture(autouse=True)
def _one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers on the day that `template.date` has by default."""
    day = TemplateSettings().date
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", SimpleNamespace(now=lambda: day))


@pytest.fixture
def tokenizer_of(make_tokenizer: Make) -> Callable[[str], PreTrainedTokenizerBase]:
    def make(name: str) -> PreTrainedTokenizerBase:
        """With the control tokens that the template writes, none of them named, and its family's end token."""
        source = FILES[name].read_text()
        eos = of_family(name, EOS, "<|im_end|>" if "<|im_end|>" in source else "<eos>")
        special = tuple(dict.fromkeys(token for token in CONTROL.findall(source) if token != eos))
        return make_tokenizer(source, eos=eos, bos="<bos>", special=special)

    return make


Of = Callable[[str], PreTrainedTokenizerBase]
TEXT = [name for name in FILES if not name.startswith(IMAGES)]


def trained(name: str) -> tuple[str, str]:
    return TRAINED.get(name, TRAINED.get(name.removesuffix("_training"), ("raw", "raw")))


def own_ids(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], **options: Any) -> tuple[int, ...]:
    return tuple(tokenizer.apply_chat_template(messages, return_dict=False, **options))


@pytest.mark.parametrize("name", TEXT)
def test_prompts_are_the_templates_own(name: str, tokenizer_of: Of, talk: Talk) -> None:
    tokenizer = tokenizer_of(name)
    template = Template(tokenizer, TemplateSettings())
    conversations = [
        [("user", "hi there")],
        [("user", "hi"), ("assistant", "yes\n\n3"), ("user", " and é? ")],
        [("system", "Be kind."), ("user", "hi"), ("assistant", "yes"), ("user", "and?")],
    ]
    for turns in conversations[: 2 if name in ("gemma", "gemma_training") else 3]:
        messages = [{"role": role, "content": content} for role, content in turns]
        assert template.prompt_ids(talk(*turns)) == own_ids(tokenizer, messages, add_generation_prompt=True)
    if name in ("gemma", "gemma_training"):
        with pytest.raises(TemplateRefusalError, match="refuses it: System role not supported"):
            template.prompt_ids(talk(*conversations[2]))


@pytest.mark.parametrize("name", TEXT)
def test_answers_are_the_templates_own(name: str, tokenizer_of: Of, talk: Talk) -> None:
    tokenizer = tokenizer_of(name)
    template = Template(tokenizer, TemplateSettings())
    prompt = talk(("user", "hi there"))
    before = template.prompt_ids(prompt)
    end = tokenizer.convert_tokens_to_ids(of_family(name, ENDS, tokenizer.eos_token))
    for how, text, shape in zip(trained(name), (PLAIN, THINKS), ("plain", "thinks"), strict=True):
        if how in (OPENS, CLOSES):
            with pytest.raises(TemplateRefusalError, match=how):
                template.completion_ids(text, prompt)
            continue
        found = template.completion_ids(text, prompt)
        assert found[-1] == end == template.ends[0]
        assert end in template.stop_ids
        if how == "own":
            assert tokenizer.decode(found[:-1]) == "so so\n</think>\n\nAll good."
            continue
        answer = {"role": "assistant", **SHAPES[f"{how} {shape}"]}
        whole = own_ids(tokenizer, [{"role": "user", "content": "hi there"}, answer])
        # Behind the end a template may write a line break or the conversation's end; GLM writes not even the end.
        written = (*whole, end) if name == "glm4moe" else whole
        assert before + found == written[: len(before + found)]
        assert len(set(written[len(before + found) :])) <= 2
        assert PLAIN in template.decode(found)


@pytest.mark.parametrize("name", [name for name in TEXT if name.removesuffix("_training") in SWITCHED])
def test_thinking_can_be_switched_off(name: str, tokenizer_of: Of, talk: Talk) -> None:
    tokenizer = tokenizer_of(name)
    template = Template(tokenizer, TemplateSettings(kwargs={"enable_thinking": False}))
    prompt = talk(("user", "hi there"))
    messages = [{"role": "user", "content": "hi there"}]
    before = template.prompt_ids(prompt)
    assert before == own_ids(tokenizer, messages, add_generation_prompt=True, enable_thinking=False)
    assert tokenizer.decode(before).rstrip().endswith("</think>")
    assert template.decode(template.completion_ids(PLAIN, prompt)).strip() == PLAIN
    with pytest.raises(TemplateRefusalError, match=CLOSES):
        template.completion_ids(THINKS, prompt)


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(IMAGES)])
def test_templates_for_images_are_refused(name: str, tokenizer_of: Of) -> None:
    with pytest.raises(ModelError, match=r"leaves an answer out|though it is one question and its answer"):
        Template(tokenizer_of(name), TemplateSettings())


@pytest.mark.parametrize("name", [name for name in TEXT if not name.endswith("_training")])
def test_what_is_saved_stops_in_generate(
    name: str,
    tokenizer_of: Of,
    talk: Talk,
    tmp_path: Path,
    random_folder: Callable[..., Path],
    generate_forced: Callable[..., list[int]],
) -> None:
    loaded = load_model(str(random_folder(tokenizer_of(name), tmp_path / "source")))
    template = loaded.template(TemplateSettings())
    save_model(loaded.model, loaded.tokenizer, tmp_path / "saved", ends=template.ends)
    folder = tmp_path / "saved"
    assert AutoTokenizer.from_pretrained(folder).chat_template == FILES[name].read_text()
    prompt = talk(("user", "hi there"))
    text = PLAIN if trained(name)[0] == "raw" else THINKS
    completion = list(template.completion_ids(text, prompt))
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert generate_forced(model, template.prompt_ids(prompt), [*completion, 20, 21, 22]) == completion
