"""The tags that models put around their thinking and their answer: settings, else what the chat template writes."""

from dataclasses import dataclass

from whet.core.recipe import TemplateSettings

__all__ = ["Tags", "tags_of"]

# As the templates of the models spell them; the first that a template holds both of are its own.
_THINKING = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
)
_ANSWER = (
    ("<answer>", "</answer>"),
    ("<response>", "</response>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """`Tags(thinking=("<think>", "</think>"), answer=("<answer>", "</answer>"))`: what opens, what closes."""

    thinking: tuple[str, str]
    answer: tuple[str, str]

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.thinking, *self.answer)


def tags_of(settings: TemplateSettings, source: str) -> Tags:
    """The settings', else those in a chat template's `source`, else `<think>` and `<answer>`."""
    return Tags(
        thinking=settings.thinking or _held(_THINKING, source),
        answer=settings.answer or _held(_ANSWER, source),
    )


def _held(pairs: tuple[tuple[str, str], ...], source: str) -> tuple[str, str]:
    return next((pair for pair in pairs if all(tag in source for tag in pair)), pairs[0])
