"""Supervised fine-tuning: cross-entropy on the completions, best weights by validation loss."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from whet.core.recipe import SftSettings, TemplateSettings
from whet.core.records import Conversation
from whet.core.runlog import Progress
from whet.data.manifest import open_for_training
from whet.models.decoder import Decoder
from whet.models.folder.weights import weights_digest
from whet.models.load import load_model
from whet.models.save import save_model
from whet.tokens.batches import FlatBatch, TokenGroup, flat_batch, micro_batches
from whet.train.checkpoint import Start
from whet.train.examples import Dropped, count_reasons, dropped_line, sft_groups, write_dropped, write_example
from whet.train.supervised import require_examples, train_supervised

__all__ = ["SftTask", "train_sft"]


class SftTask:
    """Token cross-entropy over groups of one completion."""

    stage = "sft"

    def __init__(
        self, decoder: Decoder, train: Sequence[TokenGroup], validation: Sequence[TokenGroup], *, max_tokens: int
    ) -> None:
        self.decoder = decoder
        self.train = train
        self.validation = validation
        self.max_tokens = max_tokens
        self._trained_tokens = 0

    @property
    def examples(self) -> int:
        return len(self.train)

    def micro_batches(self, rows: Sequence[int]) -> list[FlatBatch]:
        return list(self._cut([self.train[row] for row in rows]))

    def denominator(self, batches: Sequence[FlatBatch]) -> float:
        self._trained_tokens = sum(int(batch.mask_BT.sum()) for batch in batches)
        return float(self._trained_tokens)

    def losses(self, batch: FlatBatch) -> Tensor:
        return -self.decoder.logprobs(batch).logprobs_BT

    def metrics(self) -> Mapping[str, float]:
        return {"train/tokens": self._trained_tokens}

    def validate(self) -> float | None:
        """Mean loss per token over every validation row, the same mask and denominator as in training."""
        if not self.validation:
            return None
        total, tokens = 0.0, 0
        with torch.no_grad():
            for batch in self._cut(self.validation):
                total += float(self.losses(batch).sum(dtype=torch.float64))
                tokens += int(batch.mask_BT.sum())
        return total / tokens

    def _cut(self, groups: Sequence[TokenGroup]) -> Iterator[FlatBatch]:
        for piece in micro_batches(groups, max_tokens=self.max_tokens):
            yield flat_batch(piece, device=self.decoder.device)


def train_sft(
    settings: SftSettings,
    *,
    model: str | Path,
    data_dir: Path,
    template: TemplateSettings,
    seed: int,
    out: Path,
    device: torch.device,
    progress: Progress,
) -> dict[str, Any]:
    """Fine-tune `model` on `ft_train`, write `out/model`, and return the stage's summary.

    Rows that are too long or empty are listed in `out/dropped.jsonl` and counted; above 5 % the stage stops.
    """
    loaded = load_model(str(model), device=device)
    words = loaded.template(template)

    def groups(rows: Sequence[Conversation]) -> tuple[list[TokenGroup], list[Dropped]]:
        return sft_groups(
            rows,
            words,
            max_length=settings.max_length,
            completion_only_loss=settings.completion_only_loss,
            every_turn=settings.assistant_turns == "all",
            context=loaded.context,
        )

    train, dropped = groups(open_for_training(data_dir, "ft_train"))
    validation, dropped_validation = groups(open_for_training(data_dir, "ft_validation"))
    counts = write_dropped(out, [*dropped, *dropped_validation])
    progress.say(*dropped_line("sft", counts), *(f"sft: {line}" for line in words.told))
    require_examples("sft", len(train), count_reasons(dropped), limit=settings.max_dropped_share)
    require_examples("sft", len(train) + len(validation), counts, limit=settings.max_dropped_share)
    write_example(out, train[0], words)
    decoder = Decoder(loaded.model)
    progress.say(f"sft: {decoder.told}")
    task = SftTask(decoder, train, validation, max_tokens=settings.max_tokens_per_micro_batch)
    start = Start(model=str(model), weights=weights_digest(str(model)))
    summary = train_supervised(task, loaded.model, settings, start=start, seed=seed, out=out, progress=progress)
    save_model(loaded.model, loaded.tokenizer, out / "model", dtype=loaded.dtype, ends=words.ends)
    return {
        "rows": len(train),
        "validation_rows": len(validation),
        "dropped": counts,
        "steps": summary.steps,
        "best_step": summary.best.step,
        "best_validation_loss": summary.best.validation_loss,
        "skipped_steps": summary.skipped_steps,
        "damaged_checkpoints": list(summary.best.skipped),
        "start_weights": start.weights,
        "decoder": decoder.record,
    }
