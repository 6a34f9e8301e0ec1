"""How often the reward model prefers the better completion of `rm_test`, which it never saw."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from whet.core.recipe import TemplateSettings
from whet.core.records import Comparison, Ranking
from whet.data.manifest import open_for_evaluation
from whet.evaluation.metrics import mean_interval
from whet.rewards.learned import LearnedReward

__all__ = ["judge_pairs", "pair_results"]


def judge_pairs(
    folder: Path, data_dir: Path, *, template: TemplateSettings, device: torch.device, confidence: float
) -> dict[str, Any] | None:
    """`pair_results` of the reward model in `folder` on `rm_test`; None when that is empty.

    Rows that the model's chat template does not take are left out and counted as `refused`.
    """
    records: list[Ranking | Comparison] = open_for_evaluation(data_dir, "rm_test")
    if not records:
        return None
    judge = LearnedReward(folder, template, device=device)
    texts: list[Sequence[str]] = [
        row.completions if isinstance(row, Ranking) else (row.chosen, row.rejected) for row in records
    ]
    scores = judge.scores([row.prompt for row in records], texts)
    judged = [
        (row, [score for score in values if not isinstance(score, str)])
        for row, values in zip(records, scores, strict=True)
        if not any(isinstance(score, str) for score in values)
    ]
    found = pair_results([row for row, _ in judged], [values for _, values in judged], confidence=confidence)
    return None if found is None else found | {"refused": len(records) - len(judged)}


def pair_results(
    records: Sequence[Ranking | Comparison], scores: Sequence[Sequence[float]], *, confidence: float
) -> dict[str, Any] | None:
    """Accuracy with its interval, and the scores of both sides of every pair; None without pairs.

    A prompt is the unit of both: it is right by the share of its pairs in which the better completion scores higher (a
    tie is wrong), because the pairs of one prompt are not independent, and the loss counts it once, too. A prompt whose
    completions are all tied has no pair and is left out.
    """
    chosen: list[float] = []
    rejected: list[float] = []
    shares = []
    for row, values in zip(records, scores, strict=True):
        ranks = row.ranks if isinstance(row, Ranking) else (0, 1)
        pairs = [(a, b) for a, better in enumerate(ranks) for b, worse in enumerate(ranks) if better < worse]
        chosen += [values[a] for a, _ in pairs]
        rejected += [values[b] for _, b in pairs]
        if pairs:
            shares.append(sum(values[a] > values[b] for a, b in pairs) / len(pairs))
    if not shares:
        return None
    rate = mean_interval(shares, confidence=confidence)
    return {
        "n": len(chosen),
        "prompts": len(shares),
        "accuracy": rate.value,
        "low": rate.low,
        "high": rate.high,
        "chosen_rewards": [round(value, 5) for value in chosen],
        "rejected_rewards": [round(value, 5) for value in rejected],
    }
