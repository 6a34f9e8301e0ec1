"""A reward model as a reward."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from whet.core.recipe import TemplateSettings
from whet.core.records import Prompt
from whet.models.decoder import Decoder
from whet.models.load import load_reward_model
from whet.tokens.batches import TokenGroup, flat_batch, micro_batches
from whet.tokens.template import Template

__all__ = ["LearnedReward"]


class LearnedReward:
    """Scalar scores by a saved reward model. Completions of the same prompt share one pass over it."""

    def __init__(
        self, folder: Path, template: TemplateSettings, *, device: torch.device, max_tokens: int = 16384
    ) -> None:
        loaded = load_reward_model(str(folder), device=device)
        self.template = Template(loaded.tokenizer, template)
        self.decoder = Decoder(loaded.model, trains=False)
        self.max_tokens = max_tokens

    @torch.no_grad()
    def scores(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[str]]) -> list[list[float]]:
        """One list of scores per prompt, one score per completion."""
        groups = []
        for prompt, texts in zip(prompts, completions, strict=True):
            ids = tuple(self.template.completion_ids(text) for text in texts)
            masks = tuple((True,) * len(completion) for completion in ids)
            groups.append(TokenGroup(prompt_ids=self.template.prompt_ids(prompt), completions=ids, loss_masks=masks))
        values: list[float] = []
        repeats = self.decoder.repeats_prompts
        for piece in micro_batches(groups, max_tokens=self.max_tokens, cuts_groups=True, repeats_prompts=repeats):
            values += self.decoder.rewards(flat_batch(piece, device=self.decoder.device)).tolist()
        remaining: Any = iter(values)
        return [[next(remaining) for _ in texts] for texts in completions]
