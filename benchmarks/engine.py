"""The engine against transformers on the same model, the same work, alternating: python benchmarks/engine.py

Peers: transformers' own padded forward with autograd, and `generate`. One JSON line ends the output: `ratios` are ours
/ peer in work per second, `targets` what the project asks for, `fraction_of_limit` of the measured product rate.
"""

import argparse
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from whet.core.recipe import ArithmeticSettings, TemplateSettings
from whet.core.records import Message, Origin, Prompt
from whet.data.sources.arithmetic import arithmetic_rows
from whet.models.decoder import Decoder
from whet.models.load import load_model
from whet.models.products import chosen_products
from whet.rollout.engine import Sampler
from whet.rollout.sampling import SamplingSettings
from whet.tokens.batches import TokenGroup, flat_batch
from whet.tokens.template import Template

TARGETS = {"sft": 2.5, "grpo_update": 3.5, "generate_8x8": 3.2, "generate_1": 1.5}


def padded_loss(model: torch.nn.Module, groups: Sequence[TokenGroup]) -> torch.Tensor:
    """The usual way: a padded row per completion, logits everywhere, -100 where nothing is trained."""
    rows = [(group.prompt_ids, ids) for group in groups for ids in group.completions]
    longest = max(len(prompt) + len(ids) for prompt, ids in rows)
    tokens, labels = torch.zeros(len(rows), longest, dtype=torch.long), torch.full((len(rows), longest), -100)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for row, (prompt, ids) in enumerate(rows):
        size = len(prompt) + len(ids)
        tokens[row, :size], mask[row, :size] = torch.tensor(prompt + ids), 1
        labels[row, len(prompt) : size] = torch.tensor(ids)
    logits = model(input_ids=tokens, attention_mask=mask).logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")


def work(template: Template, count: int, completions: int, *, seed: int) -> list[TokenGroup]:
    rows = list(arithmetic_rows(ArithmeticSettings(rows=count), seed=seed))
    groups = []
    for row in rows:
        prompt = Prompt(messages=(Message(role="user", content=row["prompt"]),), origin=Origin(source="b", row=0))
        ids = tuple(template.completion_ids(row["completions"][0]) for _ in range(completions))
        masks = tuple((True,) * len(completion) for completion in ids)
        groups.append(TokenGroup(prompt_ids=template.prompt_ids(prompt), completions=ids, loss_masks=masks))
    return groups


def alternate(ours: Callable[[], int], peer: Callable[[], int], *, rounds: int) -> tuple[float, float]:
    """Median units per second of both, one after the other in each round, after one warm-up."""
    rates: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for place, run in enumerate((ours, peer)):
            began = time.perf_counter()
            units = run()
            if number:
                rates[place].append(units / (time.perf_counter() - began))
    return statistics.median(rates[0]), statistics.median(rates[1])


def product_rate() -> float:
    """FLOP/s of a large float32 product, the limit that the fractions are of."""
    x, weight = torch.randn(2048, 512), torch.randn(2048, 512)
    best = min(timed(lambda: F.linear(x, weight)) for _ in range(20))
    return 2 * 2048 * 512 * 2048 / best


def timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    random.seed(0)
    loaded = load_model("whet:tiny")
    model, template = loaded.model, Template(loaded.tokenizer, TemplateSettings())
    decoder, sampler = Decoder(model), Sampler(model, template)
    parameters = sum(value.numel() for value in model.parameters())

    def train_ours(groups: Sequence[TokenGroup]) -> int:
        (-decoder.logprobs(flat_batch(groups)).logprobs_BT).sum().backward()
        model.zero_grad()
        return sum(len(ids) + len(group.prompt_ids) for group in groups for ids in group.completions)

    def train_peer(groups: Sequence[TokenGroup]) -> int:
        padded_loss(model, groups).backward()
        model.zero_grad()
        return sum(len(ids) + len(group.prompt_ids) for group in groups for ids in group.completions)

    def generate_ours(prompts: Sequence[Prompt], samples: int, length: int) -> int:
        settings = SamplingSettings(temperature=1.0, max_completion_length=length)
        seeds = list(range(len(prompts) * samples))
        return sum(
            len(r.completion_ids) for r in sampler.sample(prompts, samples=samples, settings=settings, seeds=seeds)
        )

    def generate_peer(prompts: Sequence[Prompt], samples: int, length: int) -> int:
        ids = [template.prompt_ids(prompt) for prompt in prompts for _ in range(samples)]
        longest = max(map(len, ids))
        tokens = torch.tensor([[0] * (longest - len(row)) + list(row) for row in ids])
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in ids])
        with torch.no_grad():
            out = model.generate(
                tokens, attention_mask=mask, max_new_tokens=length, do_sample=True, top_k=0, pad_token_id=0
            )
        return int((out[:, longest:] != 0).sum())

    sft, grpo = work(template, 32, 1, seed=1), work(template, 16, 8, seed=2)
    prompts = [
        Prompt(messages=(Message(role="user", content=row["prompt"]),), origin=Origin(source="b", row=0))
        for row in arithmetic_rows(ArithmeticSettings(rows=8), seed=3)
    ]
    jobs = {
        "sft": (lambda: train_ours(sft), lambda: train_peer(sft)),
        "grpo_update": (lambda: train_ours(grpo), lambda: train_peer(grpo)),
        "generate_8x8": (lambda: generate_ours(prompts, 8, 64), lambda: generate_peer(prompts, 8, 64)),
        "generate_1": (lambda: generate_ours(prompts[:1], 1, 64), lambda: generate_peer(prompts[:1], 1, 64)),
    }
    limit = product_rate()
    ratios, fractions = {}, {}
    print(f"{'work':<14}{'ours tokens/s':>15}{'transformers':>15}{'ratio':>8}{'target':>8}{'of limit':>10}")
    for name, (ours, peer) in jobs.items():
        mine, theirs = alternate(ours, peer, rounds=arguments.rounds)
        flops = (2 if name.startswith("generate") else 6) * parameters
        ratios[name], fractions[name] = round(mine / theirs, 2), round(mine * flops / limit, 3)
        print(f"{name:<14}{mine:>15,.0f}{theirs:>15,.0f}{ratios[name]:>8}{TARGETS[name]:>8}{fractions[name]:>10}")
    machine = (
        f"{platform.machine()}, {arguments.threads} threads, {limit / 1e9:.0f} GFLOP/s, {chosen_products()} products"
    )
    print(json.dumps({"ratios": ratios, "targets": TARGETS, "fraction_of_limit": fractions, "machine": machine}))


if __name__ == "__main__":
    main()
