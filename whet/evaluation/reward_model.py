"""How often the reward model prefers the better completion of `rm_test`, which it never saw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from whet.core.recipe import TemplateSettings
from whet.core.records import Comparison, Ranking
from whet.data.manifest import open_for_evaluation
from whet.evaluation.metrics import wilson
from whet.rewards.learned import LearnedReward

__all__ = ["judge_pairs"]


def judge_pairs(
    folder: Path, data_dir: Path, *, template: TemplateSettings, device: torch.device, confidence: float
) -> dict[str, Any] | None:
    """Accuracy over every pair with Wilson's interval, and the scores of both sides; None when `rm_test` is empty.

    The pairs of one prompt are not independent, so the interval is counted over prompts: a prompt is right by the share
    of its pairs that are.
    """
    records: list[Ranking | Comparison] = open_for_evaluation(data_dir, "rm_test")
    if not records:
        return None
    judge = LearnedReward(folder, template, device=device)
    texts: list[Sequence[str]] = [
        row.completions if isinstance(row, Ranking) else (row.chosen, row.rejected) for row in records
    ]
    scores = judge.scores([row.prompt for row in records], texts)
    chosen, rejected, right = [], [], 0.0
    for row, values in zip(records, scores, strict=True):
        ranks = row.ranks if isinstance(row, Ranking) else (0, 1)
        pairs = [(a, b) for a, better in enumerate(ranks) for b, worse in enumerate(ranks) if better < worse]
        chosen += [values[a] for a, _ in pairs]
        rejected += [values[b] for _, b in pairs]
        right += sum(values[a] > values[b] for a, b in pairs) / len(pairs)
    rate = wilson(round(right), len(records), confidence=confidence)
    pairs_right = sum(a > b for a, b in zip(chosen, rejected, strict=True))
    return {
        "n": len(chosen),
        "prompts": len(records),
        "accuracy": pairs_right / len(chosen),
        "low": rate.low,
        "high": rate.high,
        "chosen_rewards": [round(value, 5) for value in chosen],
        "rejected_rewards": [round(value, 5) for value in rejected],
    }
