"""Pretrains the embedded base model `whet:tiny` and writes it to `whet/models/tiny_weights`.

    python -m whet.models.tiny            # about half an hour on 2 cores

A Llama-architecture transformer of 0.95 M parameters with a byte-level BPE of 1,536 tokens in which every digit stands
alone. It reads the generator's plain text (sums and stories, `pretraining_documents`) and nothing
else: it knows some arithmetic, and neither the tags nor the task. Same seed, same threads, same weights.
"""

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from whet.core.seeds import seed_for
from whet.data.sources.arithmetic import pretraining_documents

__all__ = ["TAGS", "TINY_FOLDER", "pretrain", "tiny_config", "train_tokenizer"]

TINY_FOLDER = Path(__file__).parent / "tiny_weights"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
CONTROL = ("<pad>", "<bos>", "<eos>")
VOCABULARY = 1536
CONTEXT = 512
# GPT-2's pieces, but each digit alone and a space never glued to one, so that 12 is "1" "2" wherever it stands.
PIECES = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def train_tokenizer(*, seed: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE of `VOCABULARY` tokens, tags included as ordinary added tokens, from 60,000 documents."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TAGS),
        special_tokens=list(CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(itertools.islice(pretraining_documents(seed=seed), 60_000), trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def tiny_config() -> LlamaConfig:
    """4 layers of width 128 with 4 heads of 32; tied embeddings."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.05,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def _batches(tokenizer: PreTrainedTokenizerFast, *, seed: int, rows: int, length: int) -> Iterator[Tensor]:
    """Endless (rows, length + 1) batches: documents behind one another as `<bos> ... <eos>`, cut at the row's end."""
    documents = pretraining_documents(seed=seed)
    stream: list[int] = []
    while True:
        while len(stream) < rows * (length + 1):
            texts = list(itertools.islice(documents, 512))
            for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
                stream += [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
        yield torch.tensor(stream[: rows * (length + 1)]).view(rows, length + 1)
        stream = stream[rows * (length + 1) :]


def pretrain(*, tokens: int, seed: int, folder: Path, learning_rate: float = 2.5e-3) -> float:
    """Train from scratch on `tokens` tokens, write the folder, return the last loss (nats per token)."""
    rows, length = 16, 192
    steps = math.ceil(tokens / (rows * length))
    torch.manual_seed(seed_for(seed, "tiny") % 2**63)
    tokenizer = train_tokenizer(seed=seed)
    model = LlamaForCausalLM(tiny_config())
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}],
        lr=learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    began, loss_value = time.monotonic(), math.nan
    for step, batch in zip(
        range(steps), _batches(tokenizer, seed=seed_for(seed, "tiny-text"), rows=rows, length=length), strict=False
    ):
        warm, rest = min(1.0, (step + 1) / 200), step / steps
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * rest)))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(input_ids=batch[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0 or step == steps - 1:
            loss_value = loss.item()
            done = (step + 1) * rows * length
            speed = done / (time.monotonic() - began)
            sys.stderr.write(f"step {step}/{steps} loss {loss_value:.4f} {speed:.0f} tokens/s\n")
        if step % 1500 == 1499 or step == steps - 1:
            _save(model, tokenizer, folder)
    return loss_value


def _save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config["name_or_path"] = "whet:tiny"
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, default=32_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=TINY_FOLDER)
    arguments = parser.parse_args()
    pretrain(tokens=arguments.tokens, seed=arguments.seed, folder=arguments.out)


if __name__ == "__main__":
    main()
