"""From records to token groups: what is trained on, what is dropped and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from whet.core.errors import TemplateRefusalError
from whet.core.files import write_json, write_json_lines
from whet.core.records import Comparison, Conversation, Prompt, Ranking
from whet.tokens.batches import TokenGroup
from whet.tokens.template import Template, TrainedIds

__all__ = [
    "REFUSED",
    "Dropped",
    "PreferenceExample",
    "count_reasons",
    "dropped_line",
    "preference_examples",
    "sft_groups",
    "usable_prompts",
    "write_dropped",
    "write_example",
]


# How the reason begins where the model's chat template does not take a row.
REFUSED = "the chat template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A record that a stage could not train on: `Dropped(source="a.jsonl", row=17, reason="empty completion", ...)`."""

    id: str
    source: str
    row: int
    reason: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceExample:
    """Completions of one prompt; `pairs` are indices `(better, worse)` into `group.completions`.

    `pair_weight` is 1 / (pairs of the prompt), so that each prompt counts once (Ouyang et al. 2022, eq. 1).
    """

    group: TokenGroup
    pairs: tuple[tuple[int, int], ...]
    pair_weight: float
    margin: float = 0.0  # by how much the better one is better, where a comparison says so

    def parts(self) -> list["PreferenceExample"]:
        """Each pair as an example of its own, of the same weight, where all together are too long."""
        return [
            PreferenceExample(
                group=TokenGroup(
                    prompt_ids=self.group.prompt_ids,
                    completions=(self.group.completions[better], self.group.completions[worse]),
                    loss_masks=(self.group.loss_masks[better], self.group.loss_masks[worse]),
                ),
                pairs=((0, 1),),
                pair_weight=self.pair_weight,
                margin=self.margin,
            )
            for better, worse in self.pairs
        ]


def _dropped(prompt: Prompt, id_: str, reason: str, tokens: int) -> Dropped:
    return Dropped(id=id_, source=prompt.origin.source, row=prompt.origin.row, reason=reason, tokens=tokens)


def _too_long(tokens: int, max_length: int, context: int | None) -> str | None:
    if context is not None and tokens > context:
        return "longer than the model's context"
    return "longer than max_length" if tokens > max_length else None


def _refused(prompt: Prompt, id_: str, error: TemplateRefusalError) -> Dropped:
    return _dropped(prompt, id_, str(error), 0)


def sft_groups(
    conversations: Sequence[Conversation],
    template: Template,
    *,
    max_length: int,
    completion_only_loss: bool,
    every_turn: bool = False,
    context: int | None = None,
) -> tuple[list[TokenGroup], list[Dropped]]:
    """One group of one completion per conversation; too long, nothing to train, refused by the template: dropped.

    With `every_turn` the assistant's earlier turns are trained too; with `completion_only_loss` False everything after
    the first token is.
    """
    groups, dropped = [], []
    for row in conversations:
        try:
            ids = template.trained(row.prompt, row.completion, every_turn=every_turn)
        except TemplateRefusalError as error:
            dropped.append(_refused(row.prompt, row.id, error))
            continue
        tokens = len(ids.prompt_ids) + len(ids.completion_ids)
        if not row.completion.strip():
            dropped.append(_dropped(row.prompt, row.id, "empty completion", tokens))
        elif reason := _too_long(tokens, max_length, context):
            dropped.append(_dropped(row.prompt, row.id, reason, tokens))
        else:
            groups.append(_group(ids if completion_only_loss else ids.with_prompt_trained()))
    return groups, dropped


def _group(ids: TrainedIds) -> TokenGroup:
    return TokenGroup(prompt_ids=ids.prompt_ids, completions=(ids.completion_ids,), loss_masks=(ids.loss_mask,))


def preference_examples(
    records: Sequence[Ranking | Comparison], template: Template, *, max_length: int, context: int | None = None
) -> tuple[list[PreferenceExample], list[Dropped]]:
    """One example per prompt with all its pairs, which go in together (Ouyang et al. 2022, section 3.5)."""
    examples, dropped = [], []
    for row in records:
        texts = row.completions if isinstance(row, Ranking) else (row.chosen, row.rejected)
        ranks = row.ranks if isinstance(row, Ranking) else (0, 1)
        margin = 0.0 if isinstance(row, Ranking) else row.margin or 0.0
        try:
            prompt_ids = template.prompt_ids(row.prompt)
            completions = tuple(template.completion_ids(text, row.prompt) for text in texts)
        except TemplateRefusalError as error:
            dropped.append(_refused(row.prompt, row.id, error))
            continue
        tokens = len(prompt_ids) + max(map(len, completions))
        pairs = tuple((a, b) for a, better in enumerate(ranks) for b, worse in enumerate(ranks) if better < worse)
        if not pairs:
            dropped.append(_dropped(row.prompt, row.id, "all completions are tied", tokens))
        elif reason := _too_long(tokens, max_length, context):
            dropped.append(_dropped(row.prompt, row.id, reason, tokens))
        else:
            masks = tuple((True,) * len(completion) for completion in completions)
            group = TokenGroup(prompt_ids=prompt_ids, completions=completions, loss_masks=masks)
            examples.append(PreferenceExample(group=group, pairs=pairs, pair_weight=1 / len(pairs), margin=margin))
    return examples, dropped


def usable_prompts(
    prompts: Sequence[Prompt], template: Template, *, max_prompt_length: int, context: int | None = None
) -> tuple[list[Prompt], list[Dropped]]:
    """The prompts that the template takes, that fit into `max_prompt_length` and leave room in the context."""
    kept, dropped = [], []
    for prompt in prompts:
        try:
            tokens = len(template.prompt_ids(prompt))
        except TemplateRefusalError as error:
            dropped.append(_refused(prompt, prompt.id, error))
            continue
        if context is not None and tokens >= context:
            dropped.append(_dropped(prompt, prompt.id, "as long as the model's context", tokens))
        elif tokens > max_prompt_length:
            dropped.append(_dropped(prompt, prompt.id, "longer than max_prompt_length", tokens))
        else:
            kept.append(prompt)
    return kept, dropped


def write_dropped(folder: Path, dropped: Sequence[Dropped]) -> dict[str, int]:
    """`dropped.jsonl` with a line per row, and the count of each reason."""
    rows = [
        {"id": row.id, "source": row.source, "row": row.row, "reason": row.reason, "tokens": row.tokens}
        for row in dropped
    ]
    write_json_lines(folder / "dropped.jsonl", rows)
    return count_reasons(dropped)


def dropped_line(stage: str, counts: Mapping[str, int]) -> tuple[str, ...]:
    """What a stage says of the rows that it leaves out; nothing when there are none."""
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
    return (f"{stage}: {sum(counts.values())} rows left out ({reasons}); see {stage}/dropped.jsonl",) if counts else ()


def count_reasons(dropped: Sequence[Dropped]) -> dict[str, int]:
    return dict(Counter(row.reason for row in dropped))


def write_example(folder: Path, group: TokenGroup, template: Template) -> None:
    """`example.json`: the first row as the model reads it, token by token, with what is trained marked."""
    ids = (*group.prompt_ids, *group.completions[0])
    trained = (*(False for _ in group.prompt_ids), *group.loss_masks[0])
    tokens = [
        {"id": id_, "text": template.token_text(id_), "is_trained": is_trained}
        for id_, is_trained in zip(ids, trained, strict=True)
    ]
    write_json(folder / "example.json", {"tokens": tokens})
