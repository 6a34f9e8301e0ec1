"""The one loop of reinforcement learning, blind to the algorithm: sample, score, update, repeat.

Legend: P prompt, G completion of the same prompt, B = P x G completion, T token of the completion.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whet.algorithms import ALGORITHMS, Algorithm, TokenLosses
from whet.algorithms.masked import masked_mean
from whet.core.files import write_json_lines
from whet.core.recipe import RlSettings, TemplateSettings
from whet.core.records import Prompt, Rollout, Score
from whet.core.runlog import MetricsLog, Progress
from whet.core.seeds import seed_for
from whet.data.manifest import open_for_training
from whet.models.decoder import Decoder
from whet.models.load import load_model, save_model
from whet.rewards.combine import RewardSum
from whet.rollout.engine import Sampler
from whet.rollout.sampling import SamplingSettings
from whet.tokens.batches import FlatBatch, TokenGroup, flat_batch, micro_batches
from whet.tokens.template import Template
from whet.train.checkpoint import Checkpoints
from whet.train.examples import usable_prompts, write_dropped
from whet.train.step.guards import DeadSignalGuard, NonFiniteGuard, require_finite_weights
from whet.train.step.optimizers import adamw
from whet.train.step.schedule import learning_rate_at
from whet.train.step.update import UpdateStats, update
from whet.train.supervised import require_examples, rows_of_step

__all__ = ["train_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredBatch:
    """A piece of the step's rollouts that goes through the model at once, with what its losses need.

    `old_logprobs_BT` is None when the rollouts are used for one update only: then the policy that sampled them is the
    policy that is updated, and its own log-probabilities, detached, are the old ones.
    """

    flat: FlatBatch
    mask_BT: Tensor
    advantages_B: Tensor
    reference_logprobs_BT: Tensor
    old_logprobs_BT: Tensor | None


class _Tally:
    """Sums over the tokens of a step's updates, for the log."""

    def __init__(self) -> None:
        self.tokens = self.clipped = self.kl = self.entropy = 0.0

    def add(self, losses: TokenLosses, entropy_BT: Tensor, mask_BT: Tensor) -> None:
        self.tokens += float(mask_BT.sum())
        self.clipped += float(losses.is_clipped_BT.sum())
        self.kl += float(losses.kl_BT.sum(dtype=torch.float64))
        self.entropy += float(torch.where(mask_BT, entropy_BT, 0).sum(dtype=torch.float64))

    def metrics(self) -> dict[str, float | None]:
        if not self.tokens:
            return {"rl/kl": None, "rl/entropy": None, "rl/clip_share": None}
        return {
            "rl/kl": self.kl / self.tokens,
            "rl/entropy": self.entropy / self.tokens,
            "rl/clip_share": self.clipped / self.tokens,
        }


class PolicyTrainer:
    """Policy, reference and algorithm of one run."""

    def __init__(
        self, settings: RlSettings, policy: nn.Module, reference: nn.Module, template: Template, reward: RewardSum
    ) -> None:
        self.settings = settings
        self.sampler = Sampler(policy, template)
        self.policy = Decoder(policy)
        self.reference = Decoder(reference)
        self.reward = reward
        self.algorithm: Algorithm = ALGORITHMS[settings.algorithm](settings)

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
        """(P, G); a completion without a score is NaN to the algorithm and gets 0."""
        values = [math.nan if score.value is None else score.value for score in scores]
        return self.algorithm.advantages(torch.tensor(values).view(-1, self.settings.num_generations))

    @torch.no_grad()
    def score_tokens(self, rollouts: Sequence[Rollout], advantages_PG: Tensor) -> list[list[ScoredBatch]]:
        """The step's minibatches, each cut into pieces that fit, with reference and perhaps old log-probabilities."""
        settings, size = self.settings, self.settings.num_generations
        groups = [self._group(rollouts[start : start + size]) for start in range(0, len(rollouts), size)]
        updates = settings.num_iterations * settings.minibatches
        per_minibatch = math.ceil(len(groups) / settings.minibatches)
        minibatches = []
        for start in range(0, len(groups), per_minibatch):
            pieces, at = [], start
            for piece in micro_batches(
                groups[start : start + per_minibatch], max_tokens=settings.max_tokens_per_micro_batch
            ):
                flat = flat_batch(piece, device=self.policy.device)
                reference = self.reference.logprobs(flat, temperature=settings.temperature)
                old = self.policy.logprobs(flat, temperature=settings.temperature) if updates > 1 else None
                pieces.append(
                    ScoredBatch(
                        flat=flat,
                        mask_BT=flat.mask_BT,
                        advantages_B=advantages_PG[at : at + len(piece)].flatten().to(self.policy.device),
                        reference_logprobs_BT=reference.logprobs_BT,
                        old_logprobs_BT=None if old is None else old.logprobs_BT,
                    )
                )
                at += len(piece)
            minibatches.append(pieces)
        return minibatches

    def _group(self, rollouts: Sequence[Rollout]) -> TokenGroup:
        drops = self.settings.mask_truncated_completions
        return TokenGroup(
            prompt_ids=rollouts[0].prompt_ids,
            completions=tuple(rollout.completion_ids for rollout in rollouts),
            loss_masks=tuple(
                (not (drops and rollout.is_truncated),) * len(rollout.completion_ids) for rollout in rollouts
            ),
        )

    def losses(self, batch: ScoredBatch, tally: _Tally) -> Tensor:
        """The per-token losses of one piece, logged on the way."""
        scores = self.policy.logprobs(batch.flat, temperature=self.settings.temperature)
        old_BT = scores.logprobs_BT.detach() if batch.old_logprobs_BT is None else batch.old_logprobs_BT
        losses = self.algorithm.token_losses(
            scores.logprobs_BT, old_BT, batch.reference_logprobs_BT, batch.advantages_B, batch.mask_BT
        )
        tally.add(losses, scores.entropy_BT, batch.mask_BT)
        return losses.losses_BT


def prompts_for_step(prompts: Sequence[Prompt], *, step: int, count: int, seed: int) -> list[Prompt]:
    """The prompts of a step (from 0), each pass over the data in its own order; pure, so a resume replays nothing."""
    rows = rows_of_step(step, examples=len(prompts), batch_size=min(count, len(prompts)), seed=seed)
    return [prompts[row] for row in rows]


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
    policy, reference = load_model(str(model), device=device), load_model(str(model), device=device)
    words = Template(policy.tokenizer, template)
    prompts, dropped = usable_prompts(
        open_for_training(data_dir, "rl_train"),
        words,
        max_prompt_length=settings.max_prompt_length,
        context=policy.context,
    )
    counts = write_dropped(out, dropped)
    require_examples("rl", len(prompts), counts, limit=settings.max_dropped_share)
    trainer = PolicyTrainer(settings, policy.model, reference.model, words, reward)
    optimizer = adamw(policy.model, weight_decay=settings.weight_decay)
    checkpoints = Checkpoints(out / "checkpoints", keep=settings.save_total_limit)
    log = MetricsLog(out / "metrics.jsonl")
    non_finite, dead = NonFiniteGuard("rl"), DeadSignalGuard(limit=settings.max_dead_steps)
    start_step = 0
    if restored := checkpoints.restore(policy.model, optimizer):
        start_step = restored.step
        non_finite.skipped_in_a_row = restored.state["skipped_in_a_row"]
        dead.dead_in_a_row = restored.state["dead_in_a_row"]
        progress.say(f"rl: going on after step {start_step} of {settings.steps}", *restored.skipped)
    log.truncate_to(start_step)
    with progress.bar("rl", total=settings.steps, done=start_step) as bar:
        for step in range(start_step, settings.steps):
            clock = _Clock()
            chosen = prompts_for_step(prompts, step=step, count=settings.prompts_per_step, seed=seed)
            rollouts = trainer.sample(chosen, seed=seed, step=step)
            clock.lap("time/sample_s")
            scores = trainer.reward(rollouts)
            advantages_PG = trainer.advantages(scores)
            clock.lap("time/score_s")
            stats, tally = _update(trainer, optimizer, rollouts, advantages_PG, step=step, seed=seed)
            clock.lap("time/update_s")
            line = {
                "step": step + 1,
                **_reward_metrics(rollouts, scores, advantages_PG),
                **tally.metrics(),
                "train/loss": stats.loss,
                "train/grad_norm": stats.grad_norm,
                "train/learning_rate": _rate(settings, step),
                **clock.laps,
            }
            _write_rollouts(out, step + 1, rollouts, scores, advantages_PG)
            log.write(line)
            bar.advance(line)
            non_finite.watch(step + 1, stats)
            dead.watch(
                step + 1,
                zero_variance_share=line["rl/zero_variance_share"] or 0.0,
                unscorable_share=(line["reward/unscorable"] or 0) / len(rollouts),
            )
            if (step + 1) % settings.save_steps == 0 or step + 1 == settings.steps:
                require_finite_weights(policy.model, "rl", step + 1)
                standing = {
                    "skipped_in_a_row": non_finite.skipped_in_a_row,
                    "dead_in_a_row": dead.dead_in_a_row,
                }
                checkpoints.save(step + 1, policy.model, optimizer, standing)
    save_model(policy.model, policy.tokenizer, out / "model")
    return {"prompts": len(prompts), "dropped": counts, "steps": settings.steps}


def _rate(settings: RlSettings, step: int) -> float:
    return learning_rate_at(
        step,
        steps=settings.steps,
        peak=settings.learning_rate,
        warmup_ratio=settings.warmup_ratio,
        kind=settings.lr_scheduler_type,
    )


def _update(
    trainer: PolicyTrainer,
    optimizer: torch.optim.Optimizer,
    rollouts: Sequence[Rollout],
    advantages_PG: Tensor,
    *,
    step: int,
    seed: int,
) -> tuple[UpdateStats, _Tally]:
    """`num_iterations` passes over the minibatches, each pass in its own order; the last step's stats are returned."""
    settings, tally = trainer.settings, _Tally()
    minibatches = trainer.score_tokens(rollouts, advantages_PG)
    stats = None
    for iteration in range(settings.num_iterations):
        order = np.random.default_rng(seed_for(seed, "minibatch", step, iteration)).permutation(len(minibatches))
        for pieces in (minibatches[index] for index in order):
            mask = [trainer.algorithm.denominator(piece.mask_BT) for piece in pieces]
            stats = update(
                trainer.policy.model,
                optimizer,
                pieces,
                lambda piece: trainer.losses(piece, tally),
                denominator=max(1.0, math.fsum(mask)),
                learning_rate=_rate(settings, step),
                max_grad_norm=settings.max_grad_norm,
            )
    assert stats is not None
    return stats, tally


def _reward_metrics(
    rollouts: Sequence[Rollout], scores: Sequence[Score], advantages_PG: Tensor
) -> dict[str, float | int | None]:
    values = torch.tensor([score.value for score in scores if score.value is not None], dtype=torch.float64)
    metrics: dict[str, float | int | None] = {
        "reward/mean": float(values.mean()) if len(values) else None,
        "reward/std": float(values.std()) if len(values) > 1 else None,
    }
    for name in scores[0].parts:
        part = [value for score in scores if (value := score.parts[name]) is not None]
        metrics[f"reward/{name}"] = math.fsum(part) / len(part) if part else None
    lengths = torch.tensor([len(rollout.completion_ids) for rollout in rollouts])
    everything = torch.ones_like(lengths, dtype=torch.bool)
    return metrics | {
        "reward/unscorable": len(scores) - len(values),
        "rl/completion_length": masked_mean(lengths, everything),
        "rl/truncated_share": sum(rollout.is_truncated for rollout in rollouts) / len(rollouts),
        "rl/zero_variance_share": float((advantages_PG == 0).all(-1).float().mean()),
    }


def _write_rollouts(
    out: Path, step: int, rollouts: Sequence[Rollout], scores: Sequence[Score], advantages_PG: Tensor
) -> None:
    """Every rollout of the step with its reward parts and its advantage."""
    rows: list[Mapping[str, Any]] = [
        {
            "step": step,
            "prompt_id": rollout.prompt.id,
            "prompt": rollout.prompt.text,
            "answer": rollout.prompt.answer,
            "sample": rollout.sample,
            "text": rollout.text,
            "finish": rollout.finish,
            "tokens": len(rollout.completion_ids),
            "logprob_mean": round(math.fsum(rollout.logprobs) / len(rollout.logprobs), 6),
            "parts": dict(score.parts),
            "reward": score.value,
            "unscorable": score.unscorable,
            "advantage": advantage,
        }
        for rollout, score, advantage in zip(rollouts, scores, advantages_PG.flatten().tolist(), strict=True)
    ]
    write_json_lines(out / "rollouts" / f"step-{step:06d}.jsonl", rows)


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
