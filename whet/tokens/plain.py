"""The plain format: a prompt is its turns and a line break, a completion its text and the end token."""

from collections.abc import Sequence

from whet.core.records import Message
from whet.tokens.encode import Encoder

__all__ = ["PlainFormat"]


class PlainFormat:
    """`Alice has 3 apples.\\n` then `3<eos>`; a turn of the assistant that ends the prompt is continued."""

    def __init__(self, encoder: Encoder, *, end: str) -> None:
        self._encoder = encoder
        self.end = encoder.mark(end)
        self.own_words = 0

    def prompt(self, messages: Sequence[Message]) -> str:
        text = "\n".join(turn.content for turn in messages)
        return self._encoder.letters_of(text) + ("" if messages[-1].role == "assistant" else "\n")

    def completion(self, messages: Sequence[Message], text: str) -> str:
        return self._encoder.letters_of(text) + self.end
