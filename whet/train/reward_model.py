"""A Bradley-Terry reward model: one scalar per completion, trained on which of two is better.

Legend: B completion, N pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whet.algorithms.preferences.bradley_terry import bradley_terry_losses
from whet.core.recipe import RewardModelSettings, TemplateSettings
from whet.core.runlog import Progress
from whet.core.seeds import seed_for
from whet.data.manifest import open_for_training
from whet.models.decoder import Decoder
from whet.models.folder.weights import weights_digest
from whet.models.heads import reward_model_from
from whet.models.load import load_model
from whet.models.save import save_model
from whet.tokens.batches import FlatBatch, flat_batch, micro_batches
from whet.tokens.recorded import record_template
from whet.train.checkpoint import Start
from whet.train.examples import PreferenceExample, dropped_line, preference_examples, write_dropped
from whet.train.supervised import require_examples, train_supervised

__all__ = ["RewardModelTask", "train_reward_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBatch:
    """Completions in one flat batch, and which of them are compared: indices into its (B,) rewards.

    The weights of a prompt's pairs add up to 1.
    """

    flat: FlatBatch
    better_N: Tensor
    worse_N: Tensor
    weight_N: Tensor
    margin_N: Tensor


class RewardModelTask:
    """Every pair of a prompt's completions is one comparison; a prompt's pairs share one pass over its tokens.

    Each prompt counts once, however many pairs it has: the loss is the mean over prompts of the mean over their pairs
    (Ouyang et al. 2022, arXiv:2203.02155, eq. 1).
    """

    stage = "reward_model"

    def __init__(
        self, decoder: Decoder, train: Sequence[PreferenceExample], *, max_tokens: int, center_coefficient: float
    ) -> None:
        self.decoder = decoder
        self.train = train
        self.max_tokens = max_tokens
        self.center_coefficient = center_coefficient
        self._margins: list[tuple[Tensor, Tensor]] = []

    @property
    def examples(self) -> int:
        return len(self.train)

    def micro_batches(self, rows: Sequence[int]) -> list[PairBatch]:
        self._margins = []
        examples = [part for row in rows for part in self._parts(self.train[row])]
        pieces = micro_batches(
            [example.group for example in examples],
            max_tokens=self.max_tokens,
            repeats_prompts=self.decoder.repeats_prompts,
        )
        remaining = iter(examples)
        return [self._pairs([next(remaining) for _ in piece]) for piece in pieces]

    def _parts(self, example: PreferenceExample) -> list[PreferenceExample]:
        """A ranking that is too large goes through pair by pair, whose two sides meet in the loss."""
        group, tokens = example.group, example.group.tokens
        if self.decoder.repeats_prompts:
            tokens += len(group.prompt_ids) * (len(group.completions) - 1)
        return [example] if tokens <= self.max_tokens else example.parts()

    def _pairs(self, examples: Sequence[PreferenceExample]) -> PairBatch:
        better, worse, weights, margins, first = [], [], [], [], 0
        for example in examples:
            better += [first + a for a, _ in example.pairs]
            worse += [first + b for _, b in example.pairs]
            weights += [example.pair_weight] * len(example.pairs)
            margins += [example.margin] * len(example.pairs)
            first += len(example.group.completions)
        device = self.decoder.device
        return PairBatch(
            flat=flat_batch([example.group for example in examples], device=device),
            better_N=torch.tensor(better, device=device),
            worse_N=torch.tensor(worse, device=device),
            weight_N=torch.tensor(weights, device=device),
            margin_N=torch.tensor(margins, device=device),
        )

    def denominator(self, batches: Sequence[PairBatch]) -> float:
        """The step's prompts, which their weights add up to but for rounding."""
        return float(round(sum(float(batch.weight_N.sum()) for batch in batches)))

    def losses(self, batch: PairBatch) -> Tensor:
        rewards_B = self.decoder.rewards(batch.flat)
        chosen_N, rejected_N = rewards_B[batch.better_N], rewards_B[batch.worse_N]
        self._margins.append(((chosen_N - rejected_N).detach(), batch.weight_N))
        losses_N = bradley_terry_losses(
            chosen_N, rejected_N, center_coefficient=self.center_coefficient, margin_N=batch.margin_N
        )
        return losses_N * batch.weight_N

    def metrics(self) -> Mapping[str, float]:
        """The share of pairs in the right order and their mean distance, weighed as the loss is."""
        margin_N, weight_N = (torch.cat(parts) for parts in zip(*self._margins, strict=True))
        share_N = weight_N / weight_N.sum()
        return {"train/accuracy": float(share_N[margin_N > 0].sum()), "train/margin": float(share_N @ margin_N)}

    def validate(self) -> float | None:
        """The eight purposes give the reward model no validation rows: its last weights are the ones it keeps."""
        return None


def train_reward_model(
    settings: RewardModelSettings,
    *,
    model: str | Path,
    data_dir: Path,
    template: TemplateSettings,
    seed: int,
    out: Path,
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """Train a scalar head on `model` from the preferences in `rm_train`, write `out/model`, return the summary."""
    loaded = load_model(str(model), device=device)
    words = loaded.template(template)
    records = open_for_training(data_dir, "rm_train")
    train, dropped = preference_examples(records, words, max_length=settings.max_length, context=loaded.context)
    counts = write_dropped(out, dropped)
    progress.say(*dropped_line("reward_model", counts), *(f"reward_model: {line}" for line in words.told))
    require_examples("reward_model", len(train), counts, limit=settings.max_dropped_share)
    judge = reward_model_from(loaded, seed=seed_for(seed, "reward_head"), ends=words.ends)
    decoder = Decoder(judge)
    progress.say(f"reward_model: {decoder.told}")
    task = RewardModelTask(
        decoder,
        train,
        max_tokens=settings.max_tokens_per_micro_batch,
        center_coefficient=settings.center_rewards_coefficient,
    )
    start = Start(model=str(model), weights=weights_digest(str(model)))
    summary = train_supervised(task, judge, settings, start=start, seed=seed, out=out, progress=progress)
    save_model(judge, loaded.tokenizer, out / "model", dtype=loaded.dtype, ends=words.ends)
    record_template(out / "model", template)
    return {
        "rows": len(train),
        "comparisons": sum(len(example.pairs) for example in train),
        "dropped": counts,
        "steps": summary.steps,
        "best_step": summary.best.step,
        "skipped_steps": summary.skipped_steps,
        "damaged_checkpoints": list(summary.best.skipped),
        "start_weights": start.weights,
        "decoder": decoder.record,
    }
