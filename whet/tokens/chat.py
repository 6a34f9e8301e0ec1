"""The chat format: what a model's own chat template writes, before an answer and of it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from whet.core.errors import TemplateRefusalError
from whet.core.records import Message
from whet.tokens.encode import CUT, Encoder
from whet.tokens.ends import AnswerEnd
from whet.tokens.render import ChatTemplate
from whet.tokens.tags import Tags

__all__ = ["ChatFormat"]

# Templates that take an assistant's thinking apart from its answer read it under one of these names.
_READS_THINKING = re.compile(r"\breasoning_content\b|(?:\.|\[['\"])thinking\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """An answer as a template takes it: `_Parts(thinking="3+2=5", content="<answer>5</answer>")`."""

    content: str
    thinking: str = ""


class ChatFormat:
    """Prompts and completions as marked text (see `encode`), by one template.

    A completion is what the template writes of an answer behind the prompt: with the empty thinking block that a hybrid
    model puts before an answer without thinking, with the channels of gpt-oss, trimmed where the template trims. Where
    the template does not write an answer whole (those of DeepSeek leave thinking out), it is the answer's own words:
    what the model is to write behind the prompt that it will be given.
    """

    def __init__(self, template: ChatTemplate, encoder: Encoder, end: AnswerEnd, tags: Tags) -> None:
        self._template = template
        self._encoder = encoder
        self.end = encoder.marked(end.text)
        self._tail = encoder.marked(end.tail)
        self._tags = tags
        self._takes_thinking_apart = _READS_THINKING.search(template.source) is not None
        self._newest: tuple[tuple[Message, ...], str] | None = None
        self.own_words = 0  # answers that the template would have written otherwise

    def prompt(self, messages: Sequence[Message]) -> str:
        """All turns and what the template writes before an answer; the assistant's own last turn is left open."""
        turns = tuple(messages)
        if self._newest is None or self._newest[0] != turns:
            is_open = turns[-1].role == "assistant"
            given = [self._message(turn) for turn in turns]
            written = self._left_open(given) if is_open else self._written(given, before_answer=True)
            self._require_every_turn(turns, written)
            self._newest = turns, written
        return self._newest[1]

    def completion(self, messages: Sequence[Message], text: str) -> str:
        """The answer as it stands behind the prompt, up to and with its end."""
        before = self.prompt(messages)
        self._require_no_second_thought(before, text)
        begun = messages[-1].content if messages[-1].role == "assistant" else ""
        turns = [self._message(turn) for turn in (messages[:-1] if begun else messages)]
        for parts in dict.fromkeys((self._parts(self._opened(before, begun + text)), _Parts(content=begun + text))):
            written = self._written([*turns, self._answer(parts)], before_answer=False)
            if (found := self._behind(before, written, parts)) is not None and self._thinks_once(found, text):
                return found + self.end
        own = self._own_words(before, text) + self.end
        self.own_words += 1
        return own

    def _behind(self, before: str, written: str, parts: _Parts) -> str | None:
        """The answer in what a template wrote; None when it does not stand whole behind the prompt."""
        if not (written.startswith(before) and written[len(before) :].endswith(self._tail)):
            return None
        written = written.removesuffix(self._tail)
        found, content = written[len(before) :], _squashed(parts.content)
        above = _squashed(self._encoder.letters(found)).removesuffix(content)
        is_whole = _squashed(self._encoder.letters(written)).endswith(content) and _squashed(parts.thinking) in above
        return found if is_whole else None

    def _thinks_once(self, found: str, text: str) -> bool:
        """A template may put an empty block before an answer without thinking, but none beside an answer's own."""
        closing = self._tags.thinking[1]
        return closing not in text or self._encoder.letters(found).count(closing) <= text.count(closing)

    def _require_no_second_thought(self, before: str, text: str) -> None:
        opening, closing = self._tags.thinking
        if self._encoder.letters(before).rstrip().endswith(closing) and text.lstrip().startswith(opening):
            raise TemplateRefusalError(f"the chat template closes {closing} before the answer, and this answer thinks")

    def _opened(self, before: str, answer: str) -> str:
        """The answer with the opening tag that the prompt wrote for it."""
        opening, closing = self._tags.thinking
        is_opened = self._encoder.letters(before).rstrip().endswith(opening)
        return opening + answer if is_opened and closing in answer and opening not in answer else answer

    def _own_words(self, before: str, text: str) -> str:
        """The answer as it is, without the thinking tag that the prompt has opened already."""
        text = self._encoder.letters_of(text)
        opening, closing = self._tags.thinking
        before = self._encoder.letters(before)
        if not before.rstrip().endswith(opening):
            return text
        if text.lstrip().startswith(opening):
            opened = before[before.rindex(opening) :]
            return text.removeprefix(opened) if text.startswith(opened) else text.lstrip().removeprefix(opening)
        if closing in text:
            return text
        raise TemplateRefusalError(
            f"the chat template opens {opening} before the answer, and this answer does not think{self._switch()}"
        )

    def _switch(self) -> str:
        switches = sorted(name for name in self._template.reads if name in ("enable_thinking", "thinking"))
        return f"; template.kwargs: {{{switches[0]}: false}} asks for none" if switches else ""

    def _parts(self, answer: str) -> _Parts:
        opening, closing = self._tags.thinking
        for open_, close in ((opening, closing), ("<think>", "</think>")):
            thought, closed, content = answer.partition(close)
            if self._takes_thinking_apart and closed and thought.lstrip().startswith(open_):
                return _Parts(thinking=thought.lstrip().removeprefix(open_).strip("\n"), content=content.lstrip("\n"))
        return _Parts(content=answer)

    def _message(self, turn: Message) -> dict[str, str]:
        if turn.role == "assistant":
            return self._answer(self._parts(turn.content))
        return {"role": turn.role, "content": self._encoder.guarded(turn.content)}

    def _answer(self, parts: _Parts) -> dict[str, str]:
        thinking = self._encoder.guarded(parts.thinking)
        apart = {"reasoning_content": thinking, "thinking": thinking} if thinking else {}
        return {"role": "assistant", "content": self._encoder.guarded(parts.content), **apart}

    def _left_open(self, messages: list[dict[str, str]]) -> str:
        messages[-1]["content"] += CUT
        written, found, _ = self._rendered(messages, before_answer=False).partition(CUT)
        if not found:
            raise TemplateRefusalError("the chat template leaves out the assistant's turn that the prompt has begun")
        return self._encoder.marked(written)

    def _written(self, messages: list[dict[str, str]], *, before_answer: bool) -> str:
        return self._encoder.marked(self._rendered(messages, before_answer=before_answer))

    def _rendered(self, messages: list[dict[str, str]], *, before_answer: bool) -> str:
        return self._template.render([{"messages": messages, "add_generation_prompt": before_answer}])[0].text

    def _require_every_turn(self, turns: Sequence[Message], written: str) -> None:
        """No turn may go unseen: a template may leave out a role that it does not know. Earlier thinking may go."""
        squashed = _squashed(self._encoder.letters(written))
        for number, turn in enumerate(turns, 1):
            shown = turn.content
            if turn.role == "assistant" and number < len(turns):
                shown = self._parts(shown).content.rpartition(self._tags.thinking[1])[2]
            spellings = (shown, json.dumps(shown, ensure_ascii=False)[1:-1], json.dumps(shown)[1:-1])
            if not any(_squashed(spelling) in squashed for spelling in spellings):
                raise TemplateRefusalError(f"the chat template does not write turn {number} ({turn.role}) as it is")


def _squashed(text: str) -> str:
    """Without spaces and line breaks, which templates trim and add."""
    return "".join(text.split())
