"""The one loop of reinforcement learning, blind to the algorithm: sample, score, update, repeat.

Legend: P prompt, G completion of the same prompt, B = P x G completion, T token of the completion.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whet.algorithms import ALGORITHMS, Algorithm
from whet.core.errors import TrainingStoppedError
from whet.core.files import read_json_lines
from whet.core.order import rows_of_round
from whet.core.recipe import RlSettings, TemplateSettings
from whet.core.records import Prompt, Rollout, Score
from whet.core.runlog import MetricsLog, Progress
from whet.core.seeds import seed_for
from whet.data.manifest import open_for_training
from whet.models.decoder import Decoder
from whet.models.folder.weights import weights_digest
from whet.models.load import load_model
from whet.models.save import save_model
from whet.rewards.combine import RewardSum
from whet.rewards.groups import RewardNews
from whet.rollout.engine import Sampler
from whet.rollout.sampling import SamplingSettings
from whet.tokens.batches import FlatBatch, TokenGroup, flat_batch, micro_batches
from whet.tokens.template import Template
from whet.train.checkpoint import Checkpoints, Start
from whet.train.examples import dropped_line, usable_prompts, write_dropped
from whet.train.policy_log import Clock, TokenTally, reward_metrics, reward_totals, rollout_metrics, write_rollouts
from whet.train.step.guards import DeadSignal, DeadSignalGuard, NonFiniteGuard, require_finite_weights
from whet.train.step.optimizers import adamw
from whet.train.step.schedule import learning_rate_at
from whet.train.step.update import StepStats, step_stats, update
from whet.train.supervised import require_examples

__all__ = ["Learned", "PolicyTrainer", "ScoredBatch", "train_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredBatch:
    """A piece of the step's rollouts that goes through the model at once, with what its losses need.

    A piece has whole completions, but perhaps not a whole group. `old_logprobs_BT` is None when the rollouts are used
    for one update only: then the policy that sampled them is the policy that is updated, and its own
    log-probabilities, detached, are the old ones.
    """

    flat: FlatBatch
    advantages_B: Tensor
    reference_logprobs_BT: Tensor
    old_logprobs_BT: Tensor | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What all updates of a step together did."""

    stats: StepStats
    tally: TokenTally

    def metrics(self) -> dict[str, float | int | None]:
        return {
            **self.tally.metrics(),
            "train/loss": self.stats.loss,
            "train/grad_norm": self.stats.grad_norm,
            "train/skipped_updates": self.stats.skipped,
        }


class PolicyTrainer:
    """Policy, reference, algorithm and optimizer of one run."""

    def __init__(
        self, settings: RlSettings, policy: nn.Module, reference: nn.Module, template: Template, reward: RewardSum
    ) -> None:
        self.settings = settings
        self.policy = Decoder(policy)
        self.sampler = Sampler(self.policy, template)
        self.reference = Decoder(reference, trains=False)
        self.reward = reward
        self.algorithm: Algorithm = ALGORITHMS[settings.algorithm](settings)
        self.optimizer = adamw(policy, weight_decay=settings.weight_decay)

    def sample(self, prompts: Sequence[Prompt], *, seed: int, step: int) -> list[Rollout]:
        """G rollouts of each prompt; each one's randomness is its own."""
        settings = self.settings
        seeds = [
            seed_for(seed, "rollout", step, prompt.id, sample)
            for prompt in prompts
            for sample in range(settings.num_generations)
        ]
        sampling = SamplingSettings(
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            max_completion_length=settings.max_completion_length,
        )
        return self.sampler.sample(prompts, samples=settings.num_generations, settings=sampling, seeds=seeds)

    def advantages(self, scores: Sequence[Score]) -> Tensor:
        """(P, G) in float64; a completion without a score is NaN to the algorithm and gets 0."""
        values = [math.nan if score.value is None else score.value for score in scores]
        rewards_B = torch.tensor(values, dtype=torch.float64)
        return self.algorithm.advantages(rewards_B.view(-1, self.settings.num_generations))

    def dead_signal(
        self, rollouts: Sequence[Rollout], scores: Sequence[Score], advantages_PG: Tensor
    ) -> DeadSignal | None:
        """Why no trained token of the step has an advantage; None when one has."""
        if all(score.value is None for score in scores):
            return "unscorable"
        teaching = [rollout for rollout, value in zip(rollouts, advantages_PG.flatten(), strict=True) if value != 0]
        if not teaching:
            return "equal"
        return None if any(self._is_trained(rollout) for rollout in teaching) else "cut_off"

    def update(self, rollouts: Sequence[Rollout], advantages_PG: Tensor, *, step: int, seed: int) -> Learned:
        """`num_iterations` passes over the step's minibatches, each pass in an order of its own."""
        minibatches, tally = self.minibatches(rollouts, advantages_PG), TokenTally()
        updates = []
        for iteration in range(self.settings.num_iterations):
            order = np.random.default_rng(seed_for(seed, "minibatch", step, iteration)).permutation(len(minibatches))
            for pieces in (minibatches[index] for index in order):
                counts = [self.algorithm.denominator(piece.flat.mask_BT) for piece in pieces]
                stats = update(
                    self.policy.model,
                    self.optimizer,
                    pieces,
                    lambda piece: self.losses(piece, tally),
                    denominator=max(1.0, math.fsum(counts)),
                    learning_rate=self.learning_rate(step),
                    max_grad_norm=self.settings.max_grad_norm,
                )
                updates.append(stats)
        return Learned(stats=step_stats(updates), tally=tally)

    @torch.no_grad()
    def minibatches(self, rollouts: Sequence[Rollout], advantages_PG: Tensor) -> list[list[ScoredBatch]]:
        """The groups in `minibatches` parts whose sizes differ by at most one, each cut into pieces that fit."""
        size, parts = self.settings.num_generations, self.settings.minibatches
        groups = [self._group(rollouts[start : start + size]) for start in range(0, len(rollouts), size)]
        bounds = [part * len(groups) // parts for part in range(parts + 1)]
        return [self._pieces(groups[start:end], advantages_PG[start:end].flatten()) for start, end in pairwise(bounds)]

    def losses(self, batch: ScoredBatch, tally: TokenTally) -> Tensor:
        """The per-token losses of one piece, logged on the way."""
        scores = self.policy.logprobs(batch.flat, temperature=self.settings.temperature)
        old_BT = scores.logprobs_BT.detach() if batch.old_logprobs_BT is None else batch.old_logprobs_BT
        mask_BT = batch.flat.mask_BT
        losses = self.algorithm.token_losses(
            scores.logprobs_BT, old_BT, batch.reference_logprobs_BT, batch.advantages_B, mask_BT
        )
        tally.add(losses, scores.entropy_BT, mask_BT)
        return losses.losses_BT

    def learning_rate(self, step: int) -> float:
        settings = self.settings
        return learning_rate_at(
            step,
            steps=settings.steps,
            peak=settings.learning_rate,
            warmup_ratio=settings.warmup_ratio,
            kind=settings.lr_scheduler_type,
        )

    def _pieces(self, groups: Sequence[TokenGroup], advantages_B: Tensor) -> list[ScoredBatch]:
        """With reference log-probabilities, and old ones where more than one update needs them."""
        settings, pieces, done = self.settings, [], 0
        is_reused = settings.num_iterations * settings.minibatches > 1
        cut = micro_batches(
            groups,
            max_tokens=settings.max_tokens_per_micro_batch,
            cuts_groups=True,
            repeats_prompts=self.policy.repeats_prompts,
        )
        for piece in cut:
            flat = flat_batch(piece, device=self.policy.device)
            reference = self.reference.logprobs(flat, temperature=settings.temperature)
            old = self.policy.logprobs(flat, temperature=settings.temperature) if is_reused else None
            completions = len(flat.mask_BT)
            pieces.append(
                ScoredBatch(
                    flat=flat,
                    advantages_B=advantages_B[done : done + completions].to(self.policy.device),
                    reference_logprobs_BT=reference.logprobs_BT,
                    old_logprobs_BT=None if old is None else old.logprobs_BT,
                )
            )
            done += completions
        return pieces

    def _group(self, rollouts: Sequence[Rollout]) -> TokenGroup:
        return TokenGroup(
            prompt_ids=rollouts[0].prompt_ids,
            completions=tuple(rollout.completion_ids for rollout in rollouts),
            loss_masks=tuple((self._is_trained(rollout),) * len(rollout.completion_ids) for rollout in rollouts),
        )

    def _is_trained(self, rollout: Rollout) -> bool:
        return not (self.settings.mask_truncated_completions and rollout.is_truncated)


def prompts_for_step(prompts: Sequence[Prompt], *, step: int, count: int, seed: int) -> list[Prompt]:
    """The `count` different prompts of a step (from 0); pure, so a resume replays nothing."""
    return [prompts[row] for row in rows_of_round(step, examples=len(prompts), count=count, seed=seed)]


def train_policy(
    settings: RlSettings,
    *,
    model: str | Path,
    data_dir: Path,
    template: TemplateSettings,
    reward: RewardSum,
    seed: int,
    out: Path,
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """Train `model` by reinforcement learning on the prompts of `rl_train`, write `out/model`, return the summary."""
    loaded = load_model(str(model), device=device)
    words = loaded.template(template)
    prompts, dropped = usable_prompts(
        open_for_training(data_dir, "rl_train"),
        words,
        max_prompt_length=settings.max_prompt_length,
        context=loaded.context,
    )
    counts = write_dropped(out, dropped)
    progress.say(*dropped_line("rl", counts))
    require_examples("rl", len(prompts), counts, limit=settings.max_dropped_share)
    _require_prompts(len(prompts), settings)
    progress.say(*(f"rl: {line}" for line in reward.require_columns(prompts, where="rl_train")))
    # The reference is what the policy starts from: one load, one digest.
    reference = copy.deepcopy(loaded.model)
    start = Start(model=str(model), weights=weights_digest(str(model)))
    trainer = PolicyTrainer(settings, loaded.model, reference, words, reward)
    progress.say(f"rl: {trainer.policy.told}")
    skipped = _train(trainer, prompts, start=start, seed=seed, out=out, progress=progress)
    save_model(loaded.model, loaded.tokenizer, out / "model", dtype=loaded.dtype, ends=words.ends)
    totals = reward_totals(read_json_lines(out / "metrics.jsonl"))
    if totals["unscorable"]:
        completions = settings.steps * settings.prompts_per_step * settings.num_generations
        progress.say(f"rl: {totals['unscorable']} of {completions} completions had no reward; rl/rollouts says why")
    return {
        "prompts": len(prompts),
        "dropped": counts,
        "steps": settings.steps,
        **totals,
        "skipped_updates": skipped,
        "start_weights": start.weights,
        "decoder": trainer.policy.record,
    }


def _require_prompts(prompts: int, settings: RlSettings) -> None:
    if prompts < settings.prompts_per_step:
        raise TrainingStoppedError(
            f"rl: rl_train has {prompts} prompts that can be used, but a step takes {settings.prompts_per_step} "
            f"different ones; lower rl.prompts_per_step to {prompts}, or give rl_train more rows"
        )


def _train(
    trainer: PolicyTrainer, prompts: Sequence[Prompt], *, start: Start, seed: int, out: Path, progress: Progress
) -> int:
    """The loop, from the last whole checkpoint on if there is any; how many updates were skipped as not finite."""
    settings, policy = trainer.settings, trainer.policy.model
    checkpoints = Checkpoints(out / "checkpoints", keep=settings.save_total_limit, start=start)
    log, guards, news = MetricsLog(out / "metrics.jsonl"), _Guards(settings), RewardNews()
    start_step = 0
    if restored := checkpoints.restore(policy, trainer.optimizer):
        start_step = restored.step
        guards.go_on(restored.state)
        progress.say(f"rl: going on after step {start_step} of {settings.steps}", *restored.skipped)
    log.truncate_to(start_step)
    with progress.bar("rl", total=settings.steps, done=start_step) as bar:
        for step in range(start_step, settings.steps):
            clock, done = Clock(), step + 1
            chosen = prompts_for_step(prompts, step=step, count=settings.prompts_per_step, seed=seed)
            rollouts = trainer.sample(chosen, seed=seed, step=step)
            clock.lap("time/sample_s")
            scores = trainer.reward(rollouts)
            advantages_PG = trainer.advantages(scores)
            clock.lap("time/score_s")
            progress.say(*(f"rl: {said}" for said in news.lines(done, rollouts, scores)))
            learned = trainer.update(rollouts, advantages_PG, step=step, seed=seed)
            clock.lap("time/update_s")
            line = {
                "step": done,
                **reward_metrics(rollouts, scores),
                **rollout_metrics(rollouts, advantages_PG),
                **learned.metrics(),
                "train/learning_rate": trainer.learning_rate(step),
                **clock.laps,
            }
            write_rollouts(out, done, rollouts, scores, advantages_PG)
            log.write(line)
            bar.advance(line)
            guards.watch(done, learned.stats, trainer.dead_signal(rollouts, scores, advantages_PG))
            if done % settings.save_steps == 0 or done == settings.steps:
                require_finite_weights(policy, "rl", done)
                checkpoints.save(done, policy, trainer.optimizer, guards.standing())
    return guards.skipped_updates


class _Guards:
    """What stops the loop, and what a checkpoint must hold of it."""

    def __init__(self, settings: RlSettings) -> None:
        self.non_finite, self.dead = NonFiniteGuard("rl"), DeadSignalGuard(limit=settings.max_dead_steps)
        self.skipped_updates = 0

    def watch(self, step: int, stats: StepStats, dead: DeadSignal | None) -> None:
        self.skipped_updates += stats.skipped
        self.non_finite.watch(step, stats)
        self.dead.watch(step, dead)

    def standing(self) -> dict[str, int]:
        return {
            "skipped_updates": self.skipped_updates,
            "skipped_in_a_row": self.non_finite.skipped_in_a_row,
            "dead_in_a_row": self.dead.dead_in_a_row,
        }

    def go_on(self, standing: Mapping[str, int]) -> None:
        self.skipped_updates = standing["skipped_updates"]
        self.non_finite.skipped_in_a_row = standing["skipped_in_a_row"]
        self.dead.dead_in_a_row = standing["dead_in_a_row"]
