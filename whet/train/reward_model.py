"""A Bradley-Terry reward model: one scalar per completion, trained on which of two is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whet.algorithms.bradley_terry import bradley_terry_losses
from whet.core.recipe import RewardModelSettings, TemplateSettings
from whet.core.runlog import Progress
from whet.core.seeds import seed_for
from whet.data.manifest import open_for_training
from whet.models.decoder import Decoder
from whet.models.heads import reward_model_from
from whet.models.load import load_model, save_model
from whet.tokens.batches import FlatBatch, flat_batch, micro_batches
from whet.tokens.template import Template
from whet.train.examples import PreferenceExample, preference_examples, write_dropped
from whet.train.supervised import require_examples, train_supervised

__all__ = ["RewardModelTask", "train_reward_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBatch:
    """Completions in one flat batch, and which of them are compared: indices into its (B,) rewards."""

    flat: FlatBatch
    better: Tensor
    worse: Tensor
    margin_N: Tensor


class RewardModelTask:
    """Every pair of a prompt's completions is one comparison; a prompt's pairs share one pass over its tokens."""

    stage = "reward_model"

    def __init__(
        self, decoder: Decoder, train: Sequence[PreferenceExample], *, max_tokens: int, center_coefficient: float
    ) -> None:
        self.decoder = decoder
        self.train = train
        self.max_tokens = max_tokens
        self.center_coefficient = center_coefficient
        self._margins: list[Tensor] = []

    @property
    def examples(self) -> int:
        return len(self.train)

    def micro_batches(self, rows: Sequence[int]) -> list[PairBatch]:
        self._margins = []
        examples = [self.train[row] for row in rows]
        by_group = {id(example.group): example for example in examples}
        pieces = micro_batches([example.group for example in examples], max_tokens=self.max_tokens)
        return [self._pairs([by_group[id(group)] for group in piece]) for piece in pieces]

    def _pairs(self, examples: Sequence[PreferenceExample]) -> PairBatch:
        better, worse, margins, first = [], [], [], 0
        for example in examples:
            better += [first + a for a, _ in example.pairs]
            worse += [first + b for _, b in example.pairs]
            margins += [example.margin] * len(example.pairs)
            first += len(example.group.completions)
        device = self.decoder.device
        return PairBatch(
            flat=flat_batch([example.group for example in examples], device=device),
            better=torch.tensor(better, device=device),
            worse=torch.tensor(worse, device=device),
            margin_N=torch.tensor(margins, device=device),
        )

    def denominator(self, batches: Sequence[PairBatch]) -> float:
        return float(sum(len(batch.better) for batch in batches))

    def losses(self, batch: PairBatch) -> Tensor:
        rewards_B = self.decoder.rewards(batch.flat)
        chosen_N, rejected_N = rewards_B[batch.better], rewards_B[batch.worse]
        self._margins.append((chosen_N - rejected_N).detach())
        return bradley_terry_losses(
            chosen_N, rejected_N, center_coefficient=self.center_coefficient, margin_N=batch.margin_N
        )

    def metrics(self) -> Mapping[str, float]:
        margins_N = torch.cat(self._margins)
        return {"train/accuracy": float((margins_N > 0).float().mean()), "train/margin": float(margins_N.mean())}

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
    words = Template(loaded.tokenizer, template)
    records = open_for_training(data_dir, "rm_train")
    train, dropped = preference_examples(records, words, max_length=settings.max_length, context=loaded.context)
    counts = write_dropped(out, dropped)
    require_examples("reward_model", len(train), counts, limit=settings.max_dropped_share)
    judge = reward_model_from(loaded, seed=seed_for(seed, "reward_head"))
    task = RewardModelTask(
        Decoder(judge),
        train,
        max_tokens=settings.max_tokens_per_micro_batch,
        center_coefficient=settings.center_rewards_coefficient,
    )
    summary = train_supervised(task, judge, settings, seed=seed, out=out, progress=progress)
    save_model(judge, loaded.tokenizer, out / "model")
    return {
        "rows": len(train),
        "comparisons": sum(len(example.pairs) for example in train),
        "dropped": counts,
        "steps": summary.steps,
        "skipped_steps": summary.skipped_steps,
    }
