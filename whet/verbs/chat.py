"""Talking to a run's model on the terminal."""

import sys
from pathlib import Path

import torch

from whet.core.errors import DataError, RunFolderError
from whet.core.recipe import Recipe
from whet.core.recipe.file import load_recipe
from whet.core.records import Message, Origin, Prompt
from whet.core.runlog import printable
from whet.core.seeds import seed_for
from whet.models.load import context_of, load_model
from whet.rollout.engine import Sampler
from whet.rollout.sampling import SamplingSettings

__all__ = ["chat"]


def chat(run: Path, *, stage: str | None, prompt: str | None, temperature: float, max_completion_length: int) -> None:
    """Answer `prompt`, or ask for prompts until the input ends; each is a conversation of its own."""
    recipe = load_recipe(run / "resolved.yaml", environ={}).recipe
    model = _model(run, recipe, stage)
    loaded = load_model(str(model), device=_device(recipe))
    sampler = Sampler(loaded.model, loaded.template(recipe.template))
    settings = SamplingSettings(temperature=temperature, max_completion_length=max_completion_length)
    if prompt is not None:
        print(_answer(sampler, prompt, settings, seed=recipe.seed))  # noqa: T201
        return
    print(f"{model}; an empty line ends", file=sys.stderr)  # noqa: T201
    while text := _asked():
        try:
            print(_answer(sampler, text, settings, seed=recipe.seed))  # noqa: T201
        except DataError as error:
            print(error, file=sys.stderr)  # noqa: T201


def _asked() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def _answer(sampler: Sampler, text: str, settings: SamplingSettings, *, seed: int) -> str:
    asked = Prompt(messages=(Message(role="user", content=text),), origin=Origin(source="chat", row=0))
    length = len(sampler.template.prompt_ids(asked))
    context = context_of(sampler.decoder.model)
    if context is not None and length >= context:
        raise DataError(f"the prompt has {length} tokens, but the model reads at most {context}; shorten it")
    rollout = sampler.sample([asked], samples=1, settings=settings, seeds=[seed_for(seed, "chat", asked.id)])[0]
    return printable(rollout.text) + (" …" if rollout.is_truncated else "")


def _device(recipe: Recipe) -> str:
    return "cuda" if recipe.device != "cpu" and torch.cuda.is_available() else "cpu"


def _model(run: Path, recipe: Recipe, stage: str | None) -> str | Path:
    """The folder of the stage asked for, or of the last one that is there."""
    if stage == "base":
        return recipe.model
    for name in (stage,) if stage else ("rl", "sft"):
        if (run / str(name) / "model").is_dir():
            return run / str(name) / "model"
    if stage:
        raise RunFolderError(f"{run}: has no {stage} model yet; it is there once whet {stage} is done")
    return recipe.model
