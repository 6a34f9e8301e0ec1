"""The stages of a run, in order, over its folder. What is complete is not done again; what was cut off goes on.

data -> sft -> reward_model -> rl -> evaluation -> report
"""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from whet.core.digests import hash_ahead, present_digests
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe, Stage
from whet.core.runfolder import RunFolder
from whet.core.runlog import Progress
from whet.core.seeds import seed_for
from whet.core.stage_record import StageRecord, refuse_changes
from whet.core.told import told_lines
from whet.data.manifest import manifest_hash, open_for_training
from whet.data.prepare import prepare
from whet.data.proof.shortfall import shortfalls
from whet.data.proof.summary import example_line
from whet.data.sources.source_files import hub_sources
from whet.evaluation.asked import tasks_to_ask
from whet.evaluation.run import evaluate_stages
from whet.models.folder.found import fetched_folder, resolve_model
from whet.preflight.reads import Reads, reads_base, reads_of, start_of
from whet.preflight.rows import refuse_empty
from whet.report.page import write_report
from whet.rewards.combine import REWARD_MODEL, RewardSum, Scorer, load_reward
from whet.rewards.learned import LearnedReward
from whet.train.policy import train_policy
from whet.train.reward_model import train_reward_model
from whet.train.sft import train_sft

__all__ = ["run"]


def run(
    recipe: Recipe,
    folder: RunFolder,
    *,
    stages: Sequence[Stage] | None = None,
    quiet: bool = False,
    recipe_folder: Path | None = None,
) -> None:
    """Every stage in order; each leaves `complete.json` with what it did and how long it took.

    `recipe_folder` is where the recipe's file lies: relative reward files are found from there.
    """
    progress = Progress(quiet=quiet)
    _repeatable(recipe)
    wanted = stages or recipe.stages()
    done = {stage: complete for stage in wanted if (complete := folder.stage_complete(stage)) is not None}
    todo = [stage for stage in wanted if stage not in done]
    _load_rewards(recipe, todo, recipe_folder)
    base = _base_model(recipe, todo)
    reads = {stage: reads_of(stage, recipe, recipe_folder) for stage in wanted}
    _refuse_changes(folder, reads)
    road = _Road(recipe, folder, progress, recipe_folder, base)
    for stage in wanted:
        if stage in done:
            progress.say(f"{stage}: complete, not done again{_unchecked(stage, done[stage], recipe)}")
        else:
            _do(stage, road, folder.record(stage), reads[stage])
        if stage == "data":
            refuse_empty(recipe, todo, folder.record(stage).complete() or {}, folder.path)
            road.require_columns(todo)


def _do(stage: Stage, road: "_Road", record: StageRecord, reads: Reads) -> None:
    began, outside = time.perf_counter(), present_digests(reads.outside)
    if reads.inside:
        record.begin(reads.inside, outside)
    summary = road.steps[stage]()
    if stage != "report":  # the report is made from the folder each time
        seconds = round(time.perf_counter() - began, 3)
        record.finish({**summary, "seconds": seconds}, inputs=None if reads.inside else outside)


def _unchecked(stage: Stage, done: Mapping[str, Any], recipe: Recipe) -> str:
    """What of a finished stage could not be compared with what it was made from."""
    if "outputs" not in done:
        return "; an older whet did it, its files are not checked"
    hub = ", ".join(hub_sources(recipe.data)) if stage == "data" else ""
    return f"; what the hub holds today under {hub} is not compared" if hub else ""


def _base_model(recipe: Recipe, stages: Sequence[Stage]) -> str:
    """The base model's name; one of the hub that these stages read is fetched, and then is a folder like any other."""
    if not any(reads_base(stage, recipe) for stage in stages) or Path(resolve_model(recipe.model)).is_dir():
        return recipe.model
    return str(fetched_folder(recipe.model))


def _refuse_changes(folder: RunFolder, reads: Mapping[Stage, Reads]) -> None:
    """No stage stands on files that are others than those which the stages that are done read and wrote."""
    done = [record for stage in reads if (record := folder.record(stage)).complete() is not None]
    hash_ahead(path for record in done for path in record.files())
    hash_ahead(path for read in reads.values() for path in read.outside.values())
    problems: dict[str, str] = {}
    for record in done:
        problems = record.problems(present_digests(reads[record.stage].outside)) | problems
    refuse_changes(problems)


def _load_rewards(recipe: Recipe, stages: Sequence[Stage], recipe_folder: Path | None) -> None:
    """Execute the reward files of these stages, so that one that fails is known before anything is trained."""
    names = []
    if recipe.rl is not None and "rl" in stages:
        names += [reward.name for reward in recipe.rl.rewards if reward.name != REWARD_MODEL]
    if recipe.evaluate is not None and "evaluation" in stages:
        names.append(recipe.evaluate.reward)
    for name in names:
        load_reward(name, folder=recipe_folder)


def _repeatable(recipe: Recipe) -> None:
    """The same threads and no hidden randomness: what is random is seeded where it is used."""
    torch.set_num_threads(recipe.threads or os.cpu_count() or 1)
    random.seed(seed_for(recipe.seed, "python"))
    np.random.seed(seed_for(recipe.seed, "numpy") % 2**32)
    torch.manual_seed(seed_for(recipe.seed, "torch"))


class _Road:
    """The stages as functions without arguments, joined by the folders that they read and write."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, progress: Progress, recipe_folder: Path | None, base: str
    ) -> None:
        self.recipe = recipe
        self.base = base
        self.folder = folder
        self.progress = progress
        self.recipe_folder = recipe_folder
        self.device = _device(recipe)
        self.steps: Mapping[Stage, Callable[[], dict[str, Any]]] = {
            "data": self.prepare,
            "sft": self.fine_tune,
            "reward_model": self.reward_model,
            "rl": self.reinforce,
            "evaluation": self.evaluate,
            "report": self.report,
        }

    @property
    def data_dir(self) -> Path:
        return self.folder.path / "data"

    def start_of(self, stage: Stage) -> str | Path:
        """The weights a stage starts from: `sft`'s when there are any, else the base model's."""
        before = start_of(stage, self.recipe)
        return self.base if before is None else self.folder.path / before / "model"

    def prepare(self) -> dict[str, Any]:
        manifest = prepare(self.recipe.data, seed=self.recipe.seed, out=self.folder.folder("data"))
        short = [line.replace(" DIR", f" {self.folder.path}") for line in shortfalls(manifest)]
        self.progress.say(*(f"data: {line}" for line in short))
        for source in manifest["sources"]:
            self.progress.say(f"data: {source['name']}, {source['rows']} rows, read as {source['mapping']}")
            if source["example"]:
                self.progress.say(f"data:   {example_line(source)}")
            for line in told_lines(source):
                self.progress.say(f"data:   {line}")
        sizes, requested = (
            {purpose: entry[name] for purpose, entry in manifest["purposes"].items()} for name in ("rows", "requested")
        )
        self.progress.say("data: " + "  ".join(f"{purpose} {rows}" for purpose, rows in sizes.items()))
        if manifest["rejected"]["rows"]:
            self.progress.say(f"data: {manifest['rejected']['rows']} rows refused, see data/rejected.jsonl")
        counted = {"rows": sizes, "requested": requested, "rejected": manifest["rejected"]["rows"]}
        return counted | {"shortfalls": shortfalls(manifest), "manifest": manifest_hash(self.data_dir)}

    def require_columns(self, stages: Sequence[Stage]) -> None:
        """Whether the rows have what the rewards of these stages need, before anything is trained."""
        if "rl" in stages:
            self._rewards(None).require_columns(open_for_training(self.data_dir, "rl_train"), where="rl_train")
        if "evaluation" in stages and self.recipe.evaluate is not None:
            judges_pairs = self.recipe.reward_model is not None
            tasks_to_ask(self.data_dir, self.recipe.evaluate.reward, self._verifier(), judges_pairs=judges_pairs)

    def _rewards(self, learned: Scorer | None) -> RewardSum:
        assert self.recipe.rl is not None
        settings = self.recipe.rl
        limit = settings.max_completion_length
        return RewardSum(settings.rewards, learned=learned, max_completion_length=limit, folder=self.recipe_folder)

    def _verifier(self) -> Callable[..., Any]:
        assert self.recipe.evaluate is not None
        return load_reward(self.recipe.evaluate.reward, folder=self.recipe_folder)

    def fine_tune(self) -> dict[str, Any]:
        assert self.recipe.sft is not None
        summary = train_sft(self.recipe.sft, model=self.start_of("sft"), **self._training("sft"))
        return summary | self._provenance()

    def reward_model(self) -> dict[str, Any]:
        settings = self.recipe.reward_model
        assert settings is not None
        summary = train_reward_model(settings, model=self.start_of("reward_model"), **self._training("reward_model"))
        return summary | self._provenance()

    def reinforce(self) -> dict[str, Any]:
        settings = self.recipe.rl
        assert settings is not None
        learned = None
        if any(reward.name == REWARD_MODEL for reward in settings.rewards):
            folder = self.folder.path / "reward_model" / "model"
            sampled_by = self.start_of("rl")
            learned = LearnedReward(folder, self.recipe.template, device=self.device, sampled_by=sampled_by)
        reward = self._rewards(learned)
        summary = train_policy(settings, model=self.start_of("rl"), reward=reward, **self._training("rl"))
        return summary | self._provenance()

    def evaluate(self) -> dict[str, Any]:
        settings = self.recipe.evaluate
        assert settings is not None
        models: dict[str, str | Path] = {"base": self.base}
        models |= {
            stage: self.folder.path / stage / "model"
            for stage in ("sft", "rl")
            if getattr(self.recipe, stage) is not None
        }
        judge = self.folder.path / "reward_model" / "model" if self.recipe.reward_model is not None else None
        return evaluate_stages(
            self.data_dir,
            models,
            settings,
            verifier=self._verifier(),
            data=self.recipe.data,
            template=self.recipe.template,
            seed=self.recipe.seed,
            out=self.folder.folder("evaluation"),
            reward_model=judge,
            device=self.device,
            progress=self.progress,
        )

    def report(self) -> dict[str, Any]:
        return {"file": write_report(self.folder.path).name}

    def _training(self, stage: Stage) -> dict[str, Any]:
        return {
            "data_dir": self.data_dir,
            "template": self.recipe.template,
            "seed": seed_for(self.recipe.seed, stage),
            "out": self.folder.folder(stage),
            "device": self.device,
            "progress": self.progress,
        }

    def _provenance(self) -> dict[str, Any]:
        """What every stage records of the data it saw."""
        return {"manifest": manifest_hash(self.data_dir)}


def _device(recipe: Recipe) -> torch.device:
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise RecipeError("device is cuda, but torch finds no CUDA device here; use device: auto or cpu")
    use_cuda = recipe.device == "cuda" or (recipe.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_cuda else "cpu")
