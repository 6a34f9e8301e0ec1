"""How messages become token ids, and completions end. Two formats: plain text, or the tokenizer's own chat template."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from whet.core.errors import ModelError, TemplateRefusalError, did_you_mean
from whet.core.recipe import TemplateSettings
from whet.core.records import Message, Origin, Prompt
from whet.tokens.chat import ChatFormat
from whet.tokens.controls import Controls
from whet.tokens.encode import Encoder
from whet.tokens.ends import ASKED, answer_end
from whet.tokens.plain import PlainFormat
from whet.tokens.render import ChatTemplate
from whet.tokens.tags import Tags, tags_of

__all__ = ["Template", "TrainedIds"]

_STAND_IN = Prompt(messages=(Message(role="user", content=ASKED),), origin=Origin(source="none", row=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedIds:
    """A conversation as ids: `TrainedIds(prompt_ids=(1, 5), completion_ids=(7, 2, 9, 8, 2), loss_mask=(True, ...))`."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    loss_mask: tuple[bool, ...]

    def with_prompt_trained(self) -> "TrainedIds":
        """Everything after the first token is trained."""
        ids = (*self.prompt_ids, *self.completion_ids)
        return TrainedIds(prompt_ids=ids[:1], completion_ids=ids[1:], loss_mask=(True,) * (len(ids) - 1))


class Template:
    """The one place where text becomes ids.

    plain: what the tokenizer puts before a text, the prompt and a line break; then the completion and the end token.
    chat: the tokenizer's chat template with its generation prompt; then what the template itself writes of an answer,
    up to the token that ends it. Text from data never becomes a control token; a tag around thinking or an answer is
    part of the text, even where a tokenizer holds it as special. A prompt whose last turn is the assistant's is
    continued; one without turns is a text of its own.

    `eos_ids` are the end tokens that the model's own files name. All of them stop a rollout, and so does the token that
    completions are trained to end with, the first of `ends`. A row that the chat template does not take raises
    `TemplateRefusalError`.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, settings: TemplateSettings, *, eos_ids: Sequence[int] = ()
    ) -> None:
        self.tokenizer = tokenizer
        self.system = settings.system
        self.is_chat = settings.format == "chat" or (settings.format == "auto" and bool(tokenizer.chat_template))
        source = _chosen(tokenizer, settings) if self.is_chat else ""
        self.tags: Tags = tags_of(settings, source)
        controls = Controls(tokenizer, self.tags, ends=settings.ends or (), eos_ids=eos_ids)
        prepared = self._chat(source, controls, settings) if self.is_chat else self._plain(controls)
        self._encoder: Encoder = prepared[0]
        self._format: ChatFormat | PlainFormat = prepared[1]
        trained_end = self._encoder.ids(self._format.end)[-1]
        self.ends: tuple[int, ...] = tuple(dict.fromkeys((trained_end, *controls.ends.values(), *map(int, eos_ids))))
        self.stop_ids: frozenset[int] = frozenset(self.ends)
        self._begin_ids = _begin_ids(tokenizer)
        eos_id = tokenizer.eos_token_id
        self._text_end = self.ends[-1:] if eos_id is None else (int(eos_id),)
        self._hidden = frozenset(
            id_ for token, id_ in self._encoder.control_ids.items() if not any(token in tag for tag in self.tags.all)
        )

    def _chat(self, source: str, controls: Controls, settings: TemplateSettings) -> tuple[Encoder, ChatFormat]:
        template = _chat_template(source, self.tokenizer, settings)
        end = answer_end(template, controls, system=self.system, chosen=next(iter(settings.ends or ()), None))
        encoder = Encoder(self.tokenizer, controls.written_in(end.written))
        return encoder, ChatFormat(template, encoder, end, self.tags)

    def _plain(self, controls: Controls) -> tuple[Encoder, PlainFormat]:
        encoder = Encoder(self.tokenizer, controls.special)
        return encoder, PlainFormat(encoder, end=controls.default_end)

    @property
    def told(self) -> tuple[str, ...]:
        """What there is to say of the completions so far: how many the chat template would have written otherwise."""
        count = self._format.own_words
        return (f"{count} answers in their own words, which the chat template would change",) if count else ()

    def prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        """Everything before the completion, ready for generation; never empty."""
        if not prompt.messages:
            raise TemplateRefusalError("there is no turn to answer")
        ids = self._encoder.ids(self._format.prompt(self._turns(prompt)))
        return ids if self.is_chat else (*self._begin_ids, *ids)

    def refusal(self, prompt: Prompt) -> str | None:
        """Why the prompt cannot be asked; None where it can."""
        try:
            self.prompt_ids(prompt)
        except TemplateRefusalError as error:
            return str(error)
        return None

    def completion_ids(self, text: str, prompt: Prompt = _STAND_IN) -> tuple[int, ...]:
        """The completion of a prompt with the token that ends it."""
        turns = self._turns(prompt)
        return self._encoder.ids_behind(self._format.prompt(turns), self._format.completion(turns, text))

    def written_ids(self, text: str, prompt: Prompt, *, is_ended: bool) -> tuple[int, ...]:
        """What a model wrote behind the prompt, as it is; with the end token where it came to one."""
        before = self._format.prompt(self._turns(prompt))
        end = self._format.end if is_ended else ""
        return self._encoder.ids_behind(before, self._encoder.letters_of(text) + end)

    def trained(self, prompt: Prompt, completion: str, *, every_turn: bool = False) -> TrainedIds:
        """What an imitation is trained on: the completion, with `every_turn` also the assistant's turns before it.

        A text without turns is trained from its begin token on, from its second token where it has none.
        """
        if not prompt.messages:
            return self._text(completion)
        turns = self._turns(prompt)
        before = self._format.prompt(turns)
        whole = before + self._format.completion(turns, completion)
        return self._ids_of([*(self._earlier(turns, before) if every_turn else ()), (before, False), (whole, True)])

    def decode(self, ids: Sequence[int]) -> str:
        """Text without control tokens; tags stay."""
        shown = [id_ for id_ in ids if id_ not in self._hidden]
        return str(self.tokenizer.decode(shown, clean_up_tokenization_spaces=False))

    def token_text(self, token_id: int) -> str:
        """What one token looks like, control tokens included."""
        return str(self.tokenizer.decode([token_id], clean_up_tokenization_spaces=False))

    def _turns(self, prompt: Prompt) -> tuple[Message, ...]:
        if self.system is None or any(turn.role == "system" for turn in prompt.messages):
            return prompt.messages
        return (Message(role="system", content=self.system), *prompt.messages)

    def _text(self, text: str) -> TrainedIds:
        ids = (*self._begin_ids, *self._encoder.ids(self._encoder.letters_of(text)), *self._text_end)
        if len(ids) < 2:
            raise TemplateRefusalError("a text of one token has nothing to predict")
        return TrainedIds(prompt_ids=(), completion_ids=ids, loss_mask=()).with_prompt_trained()

    def _earlier(self, turns: Sequence[Message], whole: str) -> Iterator[tuple[str, bool]]:
        """The conversation up to each earlier turn of the assistant, and up to its end."""
        for place, turn in enumerate(turns[:-1]):
            if turn.role != "assistant" or not turn.is_learned or not place:
                continue
            before = self._format.prompt(turns[:place])
            answered = before + self._format.completion(turns[:place], turn.content)
            if not whole.startswith(answered):
                raise TemplateRefusalError(
                    f"the chat template writes turn {place + 1} (assistant) otherwise once others follow it; "
                    "sft.assistant_turns: last trains the last one alone"
                )
            yield from ((before, False), (answered, True))

    def _ids_of(self, stretches: Sequence[tuple[str, bool]]) -> TrainedIds:
        """Ids and mask of a text that is given up to each border; what lies before the first border is the prompt."""
        (text, _), *rest = stretches
        prompt_ids = self._encoder.ids(text)
        ids: list[int] = []
        mask: list[bool] = []
        for longer, is_trained in rest:
            found = self._encoder.ids_behind(text, longer.removeprefix(text))
            ids += found
            mask += [is_trained] * len(found)
            text = longer
        prompt_ids = prompt_ids if self.is_chat else (*self._begin_ids, *prompt_ids)
        return TrainedIds(prompt_ids=prompt_ids, completion_ids=tuple(ids), loss_mask=tuple(mask))


def _begin_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What the tokenizer itself puts before a text."""
    bare, whole = (tokenizer("a", add_special_tokens=added)["input_ids"] for added in (False, True))
    begin = next((place for place in range(len(whole)) if whole[place : place + len(bare)] == bare), 0)
    return tuple(whole[:begin])


def _chosen(tokenizer: PreTrainedTokenizerBase, settings: TemplateSettings) -> str:
    """The source of the chat template that the settings name."""
    templates = tokenizer.chat_template
    if not templates:
        raise ModelError(
            f"template.format is chat, but {tokenizer.name_or_path} has no chat template; use template.format: plain"
        )
    named = templates if isinstance(templates, dict) else {"default": templates}
    name = settings.name or "default"
    if name not in named:
        wanted = "template.name" if settings.name is None else f"template.name: {name!r}"
        raise ModelError(f"{wanted}: {tokenizer.name_or_path} has these chat templates: {', '.join(sorted(named))}")
    return str(named[name])


def _chat_template(source: str, tokenizer: PreTrainedTokenizerBase, settings: TemplateSettings) -> ChatTemplate:
    tokens = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    template = ChatTemplate(
        source,
        name=str(tokenizer.name_or_path),
        date=settings.date.isoformat(),
        variables={**tokens, **settings.kwargs},
    )
    if unread := sorted(set(settings.kwargs) - template.reads):
        raise ModelError(
            f"template.kwargs: the chat template of {template.name} reads no {unread[0]!r}"
            f"{did_you_mean(unread[0], list(template.reads))}"
        )
    return template
