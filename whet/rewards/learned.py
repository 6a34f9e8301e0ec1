"""A reward model as a reward."""

from collections.abc import Sequence
from pathlib import Path

import torch

from whet.core.errors import TemplateRefusalError
from whet.core.recipe import TemplateSettings
from whet.core.records import Prompt, Rollout
from whet.models.decoder import Decoder
from whet.models.heads import read_up_to
from whet.models.load import load_reward_model
from whet.models.tokenizer import load_tokenizer
from whet.rewards.groups import groups_of
from whet.tokens.batches import TokenGroup, flat_batch, micro_batches

__all__ = ["LearnedReward"]

Ids = tuple[int, ...]


class LearnedReward:
    """Scalar scores by a saved reward model. Completions of the same prompt share one pass over it.

    `sampled_by` is the model whose tokens rollouts have. Where these are the reward model's too, a rollout is scored on
    its own tokens: one that was cut off has no end token, and no text is cut into other tokens than were sampled.
    """

    def __init__(
        self,
        folder: Path,
        template: TemplateSettings,
        *,
        device: torch.device,
        sampled_by: str | Path | None = None,
        max_tokens: int = 16384,
    ) -> None:
        loaded = load_reward_model(str(folder), device=device)
        self.template = loaded.template(template)
        self.context = loaded.context
        self.decoder = Decoder(loaded.model, trains=False)
        self.max_tokens = max_tokens
        self.has_their_tokens = (
            sampled_by is not None and load_tokenizer(str(sampled_by)).get_vocab() == loaded.tokenizer.get_vocab()
        )

    def scores(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[str]]) -> list[list[float | str]]:
        """One list of scores per prompt, one per text, each taken as ended; in place of one, why there is none."""
        ids = [
            [self._encoded(prompt, text) for text in texts] for prompt, texts in zip(prompts, completions, strict=True)
        ]
        return self._scores(prompts, ids)

    def scores_of(self, rollouts: Sequence[Rollout]) -> list[float | str]:
        """One score per rollout, in order; in place of one, why there is none."""
        groups = groups_of(rollouts)
        prompts = [rollouts[group[0]].prompt for group in groups]
        scores = self._scores(prompts, [[self._sampled(rollouts[place]) for place in group] for group in groups])
        found = {
            place: score
            for group, values in zip(groups, scores, strict=True)
            for place, score in zip(group, values, strict=True)
        }
        return [found[place] for place in range(len(rollouts))]

    @torch.no_grad()
    def _scores(self, prompts: Sequence[Prompt], ids: Sequence[Sequence[Ids | str]]) -> list[list[float | str]]:
        """`ids` has a reason in place of the tokens of a completion that cannot be scored."""
        groups: list[TokenGroup] = []
        taken: list[list[Ids | str]] = []
        for prompt, given in zip(prompts, ids, strict=True):
            prompt_ids = self._prompt_ids(prompt)
            taken.append([self._fitting(prompt_ids, one) for one in given])
            if not isinstance(prompt_ids, str) and (scored := [one for one in taken[-1] if not isinstance(one, str)]):
                masks = tuple((True,) * len(one) for one in scored)
                groups.append(TokenGroup(prompt_ids=prompt_ids, completions=tuple(scored), loss_masks=masks))
        values: list[float] = []
        repeats = self.decoder.repeats_prompts
        for piece in micro_batches(groups, max_tokens=self.max_tokens, cuts_groups=True, repeats_prompts=repeats):
            values += self.decoder.rewards(flat_batch(piece, device=self.decoder.device)).tolist()
        remaining = iter(values)
        return [[one if isinstance(one, str) else next(remaining) for one in group] for group in taken]

    def _prompt_ids(self, prompt: Prompt) -> Ids | str:
        try:
            return self.template.prompt_ids(prompt)
        except TemplateRefusalError as error:
            return str(error)

    def _encoded(self, prompt: Prompt, text: str) -> Ids | str:
        """A text as the model was trained on it, up to the token that ends it."""
        try:
            return self.template.completion_ids(text, prompt)
        except TemplateRefusalError as error:
            return str(error)

    def _sampled(self, rollout: Rollout) -> Ids | str:
        """A rollout's own tokens; as a text, with an end only where it has one, where the tokens are others."""
        if self.has_their_tokens:
            return rollout.completion_ids
        try:
            return self.template.written_ids(rollout.text, rollout.prompt, is_ended=not rollout.is_truncated)
        except TemplateRefusalError as error:
            return str(error)

    def _fitting(self, prompt_ids: Ids | str, ids: Ids | str) -> Ids | str:
        """Up to the token that the model is read at, where there is one and the model has room for all before it."""
        if isinstance(prompt_ids, str) or isinstance(ids, str):
            return prompt_ids if isinstance(prompt_ids, str) else ids
        if not ids:
            return "there is no token to score"
        ids = read_up_to(self.decoder.model, ids)
        length = len(prompt_ids) + len(ids)
        if self.context is not None and length > self.context:
            return f"{length} tokens, but the reward model reads at most {self.context}"
        return ids
