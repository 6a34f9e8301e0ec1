"""The loop that supervised fine-tuning and the reward model share: epochs, validation, checkpoints."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from whet.core.errors import TrainingStoppedError
from whet.core.order import rows_of_step, steps_per_pass
from whet.core.recipe import RewardModelSettings, SftSettings
from whet.core.runlog import MetricsLog, Progress
from whet.train.checkpoint import Best, Checkpoints, Start
from whet.train.examples import REFUSED
from whet.train.step.guards import NonFiniteGuard, require_finite_weights
from whet.train.step.optimizers import adamw
from whet.train.step.schedule import learning_rate_at
from whet.train.step.update import step_stats, update

__all__ = ["SupervisedSummary", "SupervisedTask", "require_examples", "train_supervised"]


class SupervisedTask(Protocol):
    """What differs between the two stages."""

    @property
    def stage(self) -> str:
        """`sft` or `reward_model`: the recipe's section and the run's folder."""

    @property
    def examples(self) -> int:
        """How many examples there are to train on."""

    def micro_batches(self, rows: Sequence[int]) -> list[Any]:
        """The chosen examples, cut so that each piece fits into memory."""

    def denominator(self, batches: Sequence[Any]) -> float:
        """What the step's summed loss is divided by: trained tokens, or prompts."""

    def losses(self, batch: Any) -> Tensor:
        """Loss values of one piece, zero where nothing is trained."""

    def metrics(self) -> Mapping[str, float]:
        """What the last step's losses showed besides the loss; read once per step."""

    def validate(self) -> float | None:
        """The validation loss of the weights as they are, None when the stage has no validation rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisedSummary:
    """How the stage ended, and which weights it kept."""

    steps: int
    skipped_steps: int
    best: Best


@dataclass(slots=True, kw_only=True)
class _Standing:
    """What a checkpoint must hold besides weights and optimizer."""

    skipped_steps: int = 0
    skipped_in_a_row: int = 0


class _Training:
    """One stage under way: what a step needs, and how far it has come."""

    def __init__(
        self, task: SupervisedTask, model: nn.Module, settings: SftSettings | RewardModelSettings, *, seed: int
    ) -> None:
        self.task, self.model, self.settings, self.seed = task, model, settings, seed
        self.per_epoch = steps_per_pass(task.examples, settings.batch_size)
        self.steps = int(min(settings.num_train_epochs * self.per_epoch, settings.max_steps or math.inf))
        self.eval_steps = settings.eval_steps if isinstance(settings, SftSettings) else self.steps
        self.optimizer = adamw(model, weight_decay=settings.weight_decay)
        self.guard, self.standing = NonFiniteGuard(task.stage), _Standing()

    def restore(self, checkpoints: Checkpoints, progress: Progress) -> int:
        """How many steps are done already."""
        restored = checkpoints.restore(self.model, self.optimizer)
        if restored is None:
            return 0
        self.standing = _Standing(**restored.state)
        self.guard.skipped_in_a_row = self.standing.skipped_in_a_row
        progress.say(f"{self.task.stage}: going on after step {restored.step} of {self.steps}", *restored.skipped)
        return restored.step

    def update(self, step: int) -> dict[str, float | int | None]:
        """One optimizer step (from 0) and its line of the log."""
        began, settings = time.perf_counter(), self.settings
        rate = learning_rate_at(
            step,
            steps=self.steps,
            peak=settings.learning_rate,
            warmup_ratio=settings.warmup_ratio,
            kind=settings.lr_scheduler_type,
        )
        rows = rows_of_step(step, examples=self.task.examples, batch_size=settings.batch_size, seed=self.seed)
        batches = self.task.micro_batches(rows)
        applied = update(
            self.model,
            self.optimizer,
            batches,
            self.task.losses,
            denominator=self.task.denominator(batches),
            learning_rate=rate,
            max_grad_norm=settings.max_grad_norm,
        )
        stats = step_stats([applied])
        self.guard.watch(step + 1, stats)
        self.standing.skipped_steps += stats.skipped
        self.standing.skipped_in_a_row = self.guard.skipped_in_a_row
        return {
            "step": step + 1,
            "epoch": round((step + 1) / self.per_epoch, 4),
            "train/loss": stats.loss,
            **self.task.metrics(),
            "train/grad_norm": stats.grad_norm,
            "train/learning_rate": rate,
            "time/step_s": time.perf_counter() - began,
        }

    def validate(self, line: dict[str, float | int | None]) -> float | None:
        """The validation loss of the weights as they are, which the line is told too."""
        loss = self.task.validate()
        if loss is not None:
            line["validation/loss"] = loss
        return loss


def train_supervised(
    task: SupervisedTask,
    model: nn.Module,
    settings: SftSettings | RewardModelSettings,
    *,
    start: Start,
    seed: int,
    out: Path,
    progress: Progress,
) -> SupervisedSummary:
    """Train to the end, from the last whole checkpoint in `out` if any; leave the best weights in the model.

    The best are those of the lowest validation loss; without validation rows the newest.
    """
    training = _Training(task, model, settings, seed=seed)
    checkpoints = Checkpoints(out / "checkpoints", keep=settings.save_total_limit, start=start)
    log, done_before = MetricsLog(out / "metrics.jsonl"), training.restore(checkpoints, progress)
    log.truncate_to(done_before)
    with progress.bar(task.stage, total=training.steps, done=done_before) as bar:
        for step in range(done_before, training.steps):
            line, done = training.update(step), step + 1
            is_last = done == training.steps
            loss = training.validate(line) if is_last or done % training.eval_steps == 0 else None
            log.write(line)
            bar.advance(line)
            is_best = loss is not None and checkpoints.is_better(loss)
            if is_last or is_best or done % settings.save_steps == 0:
                require_finite_weights(model, task.stage, done)
                checkpoints.save(done, model, training.optimizer, asdict(training.standing), validation_loss=loss)
    best = checkpoints.load_best(model)
    progress.say(*(f"{task.stage}: passed over {problem}" for problem in best.skipped))
    return SupervisedSummary(steps=training.steps, skipped_steps=training.standing.skipped_steps, best=best)


def require_examples(stage: str, examples: int, dropped: Mapping[str, int], *, limit: float) -> None:
    """Stop before training on nothing, or on what is left when more than `limit` of the rows were dropped.

    Rows that the model's chat template refuses do not count: what it takes is known, and no length would mend it.
    """
    total = examples + sum(dropped.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items())) or "none was given"
    if examples == 0:
        raise TrainingStoppedError(f"{stage}: no row is left to train on ({reasons}); see {stage}/dropped.jsonl")
    unforeseen = sum(count for reason, count in dropped.items() if not reason.startswith(REFUSED))
    if unforeseen > limit * total:
        raise TrainingStoppedError(
            f"{stage}: {unforeseen} of {total} rows were dropped ({reasons}), more than "
            f"{stage}.max_dropped_share = {limit:g}; see "
            f"{stage}/dropped.jsonl, then mend the rows, or raise that share or the length limit"
        )
