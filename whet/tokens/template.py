"""How messages become token ids, and completions end. Two formats: plain text, or the tokenizer's own chat template."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from whet.core.errors import ModelError
from whet.core.recipe import TemplateSettings
from whet.core.records import Message, Prompt

__all__ = ["Template"]


class Template:
    """The one place where text becomes ids.

    plain: `[bos] prompt \\n` then `completion [eos]`. chat: the tokenizer's chat template with its generation prompt,
    then what the template itself puts after an assistant turn. Text from data never becomes a control token: special
    tokens inside it are encoded as ordinary characters. Tags such as `<think>` that a tokenizer holds as ordinary added
    tokens are text, and are encoded as one token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, settings: TemplateSettings) -> None:
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"{tokenizer.name_or_path}: the tokenizer names no end token, so no completion could ever end; set "
                "eos_token in its tokenizer_config.json or eos_token_id in config.json"
            )
        if settings.format == "chat" and not tokenizer.chat_template:
            raise ModelError(
                f"template.format is chat, but {tokenizer.name_or_path} has no chat template; use "
                "template.format: plain"
            )
        self.tokenizer = tokenizer
        self.system = settings.system
        self.is_chat = settings.format == "chat" or (settings.format == "auto" and bool(tokenizer.chat_template))
        self.stop_ids: frozenset[int] = frozenset({int(tokenizer.eos_token_id)})
        self._chat_end: tuple[int, ...] = ()
        if self.is_chat:
            self._chat_end = self._end_of_turn()
            self.stop_ids |= {self._chat_end[-1]}

    def prompt_ids(self, prompt: Prompt) -> tuple[int, ...]:
        """Everything before the completion, ready for generation; never empty."""
        messages = self._with_system(prompt.messages)
        if self.is_chat:
            return self._render(messages, generate=True)
        text = "\n".join(turn.content for turn in messages) + "\n" if messages else ""
        bos = self.tokenizer.bos_token_id
        ids = self._encode(text)
        return ids if bos is None else (int(bos), *ids)

    def completion_ids(self, text: str) -> tuple[int, ...]:
        """The completion with the token that ends it."""
        end = self._chat_end or (int(self.tokenizer.eos_token_id),)
        return (*self._encode(text), *end)

    def decode(self, ids: Sequence[int]) -> str:
        """Text without control tokens; tags stay."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def token_text(self, token_id: int) -> str:
        """What one token looks like, control tokens included."""
        return str(self.tokenizer.decode([token_id], clean_up_tokenization_spaces=False))

    def _with_system(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        if self.system is None or any(turn.role == "system" for turn in messages):
            return messages
        return (Message(role="system", content=self.system), *messages)

    def _encode(self, text: str) -> tuple[int, ...]:
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return tuple(encoded["input_ids"])

    def _render(self, messages: Sequence[Message], *, generate: bool) -> tuple[int, ...]:
        turns = [{"role": turn.role, "content": self._harmless(turn.content)} for turn in messages]
        text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generate)
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _harmless(self, content: str) -> str:
        """Control tokens that a message spells out are broken by a word joiner, so that they stay text."""
        for token in self.tokenizer.all_special_tokens:
            content = content.replace(token, f"{token[:1]}\u2060{token[1:]}")
        return content

    def _end_of_turn(self) -> tuple[int, ...]:
        """The ids that the chat template puts after an assistant's words, up to and with the first control token."""
        question = Message(role="user", content="a")
        before = self._render([question], generate=True)
        whole = self._render([question, Message(role="assistant", content="b")], generate=False)
        answer = self._encode("b")
        if whole[: len(before) + len(answer)] != before + answer:
            raise ModelError(
                f"{self.tokenizer.name_or_path}: its chat template does not render an answer behind the generation "
                "prompt unchanged, so trained and generated text would differ; use template.format: plain"
            )
        rest = whole[len(before) + len(answer) :]
        special = set(self.tokenizer.all_special_ids)
        for place, token in enumerate(rest):
            if token in special:
                return rest[: place + 1]
        return (int(self.tokenizer.eos_token_id),)
