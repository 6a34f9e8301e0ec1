"""Shared fixtures: small random models of several architectures, real data where it lies beside the checkout."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from tokenizers import AddedToken, Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from whet.cli import main
from whet.core.records import Message, Origin, Prompt, Role
from whet.models.tiny import TINY_FOLDER

SHARED = Path(__file__).parents[2] / "shared" / "data"
SMALL = {
    "vocab_size": 90,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
}
CONFIGS = {
    "llama": lambda: LlamaConfig(**SMALL, num_key_value_heads=4, tie_word_embeddings=True),
    "llama-grouped-untied": lambda: LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=False),
    "qwen2-bias": lambda: Qwen2Config(**SMALL, num_key_value_heads=2),
    "qwen3-qk-norm": lambda: Qwen3Config(**SMALL, num_key_value_heads=2, head_dim=16),
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Parallel test workers share the processors."""
    torch.set_num_threads(1)


@pytest.fixture(params=list(CONFIGS))
def small_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(CONFIGS[request.param]()).eval()


@pytest.fixture
def make_prompt() -> Callable[..., Prompt]:
    def make(text: str = "How many now?", **fields: object) -> Prompt:
        return Prompt(messages=(Message(role="user", content=text),), origin=Origin(source="test", row=0), **fields)

    return make


@pytest.fixture
def talk() -> Callable[..., Prompt]:
    """A prompt of several turns: `talk(("system", "Be brief."), ("user", "hi"))`."""

    def make(*turns: tuple[Role, str]) -> Prompt:
        messages = tuple(Message(role=role, content=content) for role, content in turns)
        return Prompt(messages=messages, origin=Origin(source="test", row=0))

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the real data sets do not lie beside this checkout")
    return SHARED


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache as its library lays it out, without a hub: the model `owner/name` in one snapshot, `aaa...`."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--owner--name"
    for name in ("blobs", "refs", f"snapshots/{'a' * 40}"):
        (repository / name).mkdir(parents=True)
    (repository / "refs" / "main").write_text("a" * 40)
    for place, file in enumerate(TINY_FOLDER.iterdir()):
        shutil.copy(file, repository / "blobs" / str(place))
        (repository / "snapshots" / ("a" * 40) / file.name).symlink_to(Path("..", "..", "blobs", str(place)))
    return repository


@pytest.fixture
def make_tokenizer(tmp_path: Path) -> Callable[..., PreTrainedTokenizerBase]:
    """whet:tiny's words with control tokens, as a folder would give them back.

    `named` says whether the control tokens stand in the tokenizer's own list, as for Qwen 2.5, or are merely marked as
    special in tokenizer.json, as for Llama 3 and Phi-3; `added` are tokens that are not special.
    """

    def make(
        template: str | dict[str, str] | None = None,
        *,
        eos: str | None = "<|endoftext|>",
        bos: str | None = None,
        special: Sequence[str | AddedToken] = ("<|im_start|>", "<|im_end|>"),
        added: Sequence[str] = ("<think>", "</think>"),
        named: bool = False,
    ) -> PreTrainedTokenizerBase:
        core = Tokenizer.from_file(str(TINY_FOLDER / "tokenizer.json"))
        wanted = [t if isinstance(t, AddedToken) else AddedToken(t, special=True, normalized=False) for t in special]
        wanted += [AddedToken(t, special=True, normalized=False) for t in (bos, eos) if t is not None]
        core.add_special_tokens(wanted)
        core.add_tokens([AddedToken(t, special=False, normalized=False) for t in added])
        names = {"eos_token": eos, "bos_token": bos} | (
            {"additional_special_tokens": list(map(str, special))} if named else {}
        )
        made = PreTrainedTokenizerFast(tokenizer_object=core, **{key: name for key, name in names.items() if name})
        made.chat_template = template
        folder = tmp_path / f"tokenizer{len(list(tmp_path.iterdir()))}"
        made.save_pretrained(folder)
        loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
        return loaded

    return make


class _Says(LogitsProcessor):
    """Makes any model say the ids of `script`, one after the other."""

    def __init__(self, prompt: int, script: Sequence[int]) -> None:
        self.prompt = prompt
        self.script = script

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.script[input_ids.shape[1] - self.prompt]] = 0
        return forced


@pytest.fixture
def generate_forced() -> Callable[..., list[int]]:
    """What `generate` keeps of a script that a model is made to say: it stops where its files tell it to."""

    def generate(model: PreTrainedModel, prompt_ids: Sequence[int], script: Sequence[int]) -> list[int]:
        ids = torch.tensor([list(prompt_ids)])
        written = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=len(script),
            do_sample=False,
            pad_token_id=0,
            logits_processor=LogitsProcessorList([_Says(len(prompt_ids), script)]),
        )
        return list(written[0, len(prompt_ids) :].tolist())

    return generate


@pytest.fixture
def random_folder() -> Callable[..., Path]:
    """A random Llama of one layer beside a tokenizer, as a stranger would have saved it."""

    def make(tokenizer: PreTrainedTokenizerBase, folder: Path, **config: object) -> Path:
        torch.manual_seed(0)
        settings = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            **{"eos_token_id": tokenizer.eos_token_id} | config,
        )
        AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture
def whet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in a fresh folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call


LEAST = """\
name: least
model: whet:tiny
threads: 1
data:
  sizes: {ft_train: 24, ft_validation: 4, ft_test: 4, rm_train: 8, rm_test: 4, rl_train: 8, rl_test: 4, final: 20}
  arithmetic: {rows: 140, reasoning_share: 0.6, out_of_distribution_share: 0.1}
sft: {learning_rate: 1e-3, num_train_epochs: 1, batch_size: 6, eval_steps: 2, save_steps: 2, max_length: 200}
reward_model: {learning_rate: 1e-3, batch_size: 2, save_steps: 2, max_length: 200}
rl:
  learning_rate: 1e-4
  steps: 4
  save_steps: 2
  prompts_per_step: 2
  num_generations: 3
  max_completion_length: 24
  rewards: [{name: answer}, {name: format, weight: 0.1}, {name: reward_model, weight: 0.1}]
evaluate: {max_completion_length: 24, samples: 2, pass_at: [1, 2], sample_prompts: 2}
"""


@pytest.fixture(scope="session")
def least_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole road in a few seconds."""
    path = tmp_path_factory.mktemp("recipe") / "least.yaml"
    path.write_text(LEAST)
    return path


@pytest.fixture(scope="session")
def finished_run(least_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with every stage done."""
    import whet

    return whet.run(least_recipe, run=tmp_path_factory.mktemp("runs") / "least", quiet=True).path
