"""A reward model as a reward."""

from collections.abc import Sequence
from pathlib import Path

import torch

from whet.core.errors import TemplateRefusalError
from whet.core.recipe import TemplateSettings
from whet.core.records import Prompt
from whet.models.decoder import Decoder
from whet.models.heads import read_up_to
from whet.models.load import load_reward_model
from whet.tokens.batches import TokenGroup, flat_batch, micro_batches

__all__ = ["LearnedReward"]


class LearnedReward:
    """Scalar scores by a saved reward model. Completions of the same prompt share one pass over it."""

    def __init__(
        self, folder: Path, template: TemplateSettings, *, device: torch.device, max_tokens: int = 16384
    ) -> None:
        loaded = load_reward_model(str(folder), device=device)
        self.template = loaded.template(template)
        self.decoder = Decoder(loaded.model, trains=False)
        self.max_tokens = max_tokens

    @torch.no_grad()
    def scores(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[str]]) -> list[list[float | str]]:
        """One list of scores per prompt, one score per completion, or why its chat template does not take it."""
        ids = [[self._ids(prompt, text) for text in texts] for prompt, texts in zip(prompts, completions, strict=True)]
        groups = [
            self._group(prompt, [one for one in taken if not isinstance(one, str)])
            for prompt, taken in zip(prompts, ids, strict=True)
            if not all(isinstance(one, str) for one in taken)
        ]
        values: list[float] = []
        repeats = self.decoder.repeats_prompts
        for piece in micro_batches(groups, max_tokens=self.max_tokens, cuts_groups=True, repeats_prompts=repeats):
            values += self.decoder.rewards(flat_batch(piece, device=self.decoder.device)).tolist()
        remaining = iter(values)
        return [[one if isinstance(one, str) else next(remaining) for one in taken] for taken in ids]

    def _ids(self, prompt: Prompt, text: str) -> tuple[int, ...] | str:
        """Up to the token that the model is read at."""
        try:
            ids = self.template.completion_ids(text, prompt)
        except TemplateRefusalError as error:
            return str(error)
        return read_up_to(self.decoder.model, ids)

    def _group(self, prompt: Prompt, completions: Sequence[tuple[int, ...]]) -> TokenGroup:
        masks = tuple((True,) * len(completion) for completion in completions)
        return TokenGroup(prompt_ids=self.template.prompt_ids(prompt), completions=tuple(completions), loss_masks=masks)
