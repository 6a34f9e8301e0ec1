"""Rows that a chat template refuses are dropped and listed, wherever rows are read; the others are trained exactly."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerBase

from whet.core.errors import TrainingStoppedError
from whet.core.recipe import TemplateSettings
from whet.core.records import Comparison, Conversation, Prompt, Ranking
from whet.models.load import load_reward_model
from whet.rewards.learned import LearnedReward
from whet.tokens.template import Template
from whet.train.examples import dropped_line, preference_examples, sft_groups, usable_prompts
from whet.train.supervised import require_examples

Make = Callable[..., PreTrainedTokenizerBase]
Talk = Callable[..., Prompt]
Whet = Callable[..., tuple[int, str, str]]
# Users and assistants in turn, and no system.
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
REFUSED = "the chat template refuses it: roles must alternate"


@pytest.fixture
def strict(make_tokenizer: Make) -> Template:
    return Template(make_tokenizer(STRICT), TemplateSettings())


def test_refused_conversations(strict: Template, talk: Talk) -> None:
    rows = [
        Conversation(prompt=talk(("user", "a"), ("user", "b")), completion="c"),
        Conversation(prompt=talk(("user", "a"), ("assistant", "b"), ("user", "c")), completion="d"),
    ]
    groups, dropped = sft_groups(rows, strict, max_length=99, completion_only_loss=True)
    assert [row.reason for row in dropped] == [REFUSED]
    assert (dropped[0].id, dropped[0].source, dropped[0].row) == (rows[0].id, "test", 0)
    assert groups[0].completions == (strict.completion_ids("d", rows[1].prompt),)
    both, _ = sft_groups(rows, strict, max_length=99, completion_only_loss=True, every_turn=True)
    trained = [id_ for id_, is_trained in zip(both[0].completions[0], both[0].loss_masks[0], strict=True) if is_trained]
    assert strict.tokenizer.decode(trained) == "b<|im_end|>d<|im_end|>"
    assert dropped_line("sft", {REFUSED: 1, "empty completion": 2}) == (
        f"sft: 3 rows left out (2 empty completion, 1 {REFUSED}); see sft/dropped.jsonl",
    )
    assert dropped_line("sft", {}) == ()


def test_refused_rankings_and_prompts(strict: Template, talk: Talk) -> None:
    good, bad = talk(("user", "a")), talk(("system", "a"), ("user", "b"))
    examples, dropped = preference_examples(
        [
            Comparison(prompt=bad, chosen="a", rejected="b"),
            Ranking(prompt=good, completions=("a", "b"), ranks=(1, 0)),
        ],
        strict,
        max_length=99,
    )
    assert [row.reason for row in dropped] == [REFUSED]
    assert examples[0].group.completions == tuple(strict.completion_ids(text, good) for text in "ab")
    kept, dropped = usable_prompts([bad, good], strict, max_prompt_length=99)
    assert kept == [good]
    assert [row.reason for row in dropped] == [REFUSED]


def test_what_a_template_refuses_is_no_surprise() -> None:
    require_examples("sft", 1, {REFUSED: 9}, limit=0.1)
    with pytest.raises(TrainingStoppedError, match=f"no row is left to train on .9 {REFUSED}."):
        require_examples("sft", 0, {REFUSED: 9}, limit=0.1)
    with pytest.raises(TrainingStoppedError, match="2 of 12 rows were dropped"):
        require_examples("sft", 1, {REFUSED: 9, "empty completion": 2}, limit=0.1)


@pytest.fixture
def chat_model(make_tokenizer: Make, tmp_path: Path) -> Callable[[str | None], Path]:
    def make(template: str | None) -> Path:
        tokenizer = make_tokenizer(template, eos="<|im_end|>", special=("<|im_start|>",))
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=128,
            eos_token_id=tokenizer.eos_token_id,
        )
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return make


def sft(whet: Whet, model: Path, rows: list[dict[str, object]], *flags: object, run: str = "run") -> tuple[int, str]:
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    others = ("ft_validation", "ft_test", "rm_train", "rm_test", "rl_train", "rl_test", "final")
    sizes = json.dumps({"ft_train": len(rows)} | dict.fromkeys(others, 0))
    small = ("--data.source", "rows.jsonl", "--data.sizes", sizes, "--sft.max-steps", 1, "--threads", 1)
    code, _, said = whet("sft", "--model", model, *small, "--run", run, *flags)
    return code, said


WORDS = "candle quick green camera evening ladder kitchen wooden desert blue garden small".split()


def turns(number: int, *roles: str) -> dict[str, object]:
    texts = (f"{WORDS[number]} {role} {place} {WORDS[-number]}" for place, role in enumerate(roles))
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]}


def test_a_run_over_rows_that_the_template_refuses(whet: Whet, chat_model: Callable[[str], Path]) -> None:
    model = chat_model(STRICT)
    rows = [turns(n, "user", *(("user",) if n % 3 == 0 else ()), "assistant") for n in range(9)]
    code, said = sft(whet, model, rows)
    assert code == 0
    assert f"sft: 3 rows left out (3 {REFUSED}); see sft/dropped.jsonl" in said
    lines = [json.loads(line) for line in Path("run/sft/dropped.jsonl").read_text().splitlines()]
    assert sorted((line["row"], line["reason"]) for line in lines) == [(0, REFUSED), (3, REFUSED), (6, REFUSED)]
    # With a system turn the template takes none: one line, and the command was not wrong.
    code, said = sft(whet, model, rows, "--template.system", "x", run="other")
    assert code == 1
    assert said.strip().splitlines()[-1].startswith(f"sft: no row is left to train on (9 {REFUSED})")


@pytest.mark.parametrize("template", [STRICT, None])
def test_a_run_over_texts(whet: Whet, chat_model: Callable[[str | None], Path], template: str | None) -> None:
    model = chat_model(template)
    rows: list[dict[str, object]] = [{"text": f"{WORDS[n]} and {WORDS[-n]} in the {WORDS[n + 1]}"} for n in range(8)]
    code, said = sft(whet, model, rows)
    assert code == 0, said
    tokens = json.loads(Path("run/sft/example.json").read_text())["tokens"]
    read = "".join(token["text"] for token in tokens)
    assert read.removesuffix("<|im_end|>") in [row["text"] for row in rows]
    assert [token["is_trained"] for token in tokens] == [False] + [True] * (len(tokens) - 1)
    # What was trained on nothing but texts stops at the tokenizer's own end.
    assert AutoTokenizer.from_pretrained("run/sft/model").chat_template == template


def test_a_reward_model_says_which_rows_it_cannot_read(
    whet: Whet, chat_model: Callable[[str], Path], talk: Talk
) -> None:
    from whet.models.heads import reward_model_from
    from whet.models.load import load_model
    from whet.models.save import save_model

    loaded = load_model(str(chat_model(STRICT)))
    save_model(reward_model_from(loaded, seed=1), loaded.tokenizer, Path("judge"))
    judge = LearnedReward(Path("judge"), TemplateSettings(), device=torch.device("cpu"))
    good, bad = talk(("user", "a")), talk(("user", "a"), ("user", "b"))
    (refused,), (first, second) = judge.scores([bad, good], [["x"], ["x", "yes"]])
    assert refused == REFUSED
    ids = load_reward_model("judge").template(TemplateSettings())
    model = load_reward_model("judge").model
    with torch.no_grad():
        for score, text in ((first, "x"), (second, "yes")):
            row = torch.tensor([[*ids.prompt_ids(good), *ids.completion_ids(text, good)]])
            assert score == pytest.approx(float(model(input_ids=row).logits), abs=1e-5)
    lines = [
        {"prompt": [{"role": "user", "content": text}] * count, "completion": "x"}
        for text, count in (("a", 2), ("a", 1))
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, said, _ = whet("score", "rows.jsonl", "--reward", "judge", "--out", "scores.jsonl")
    assert (code, said.split(",")[0]) == (0, "1 of 2 rows scored")
    written = [json.loads(line) for line in Path("scores.jsonl").read_text().splitlines()]
    assert REFUSED in written[0]["unscorable"]
    assert written[1]["score"] == pytest.approx(first, abs=1e-5)
