"""Which of a tokenizer's tokens are control tokens, and which of those end an answer."""

import re
from collections.abc import Mapping, Sequence

from transformers import PreTrainedTokenizerBase

from whet.core.errors import ModelError, did_you_mean
from whet.tokens.encode import added_tokens, spelt_in
from whet.tokens.tags import Tags

__all__ = ["Controls"]

_BRACKETED = re.compile(r"<.+>|\[.+\]", re.DOTALL)


class Controls:
    """The control tokens of one tokenizer, `{"<|im_end|>": 151645}`; a tag of thinking or of an answer is none.

    `special` are those that the tokenizer holds as special, whether it names them or not, and the ends. `possible` are
    those and every other added token in brackets, which is a control token where a chat template writes it. `ends` are
    known to end an answer: those of the settings, the tokenizer's own, those that the model's files name; the first is
    the default.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, tags: Tags, *, ends: Sequence[str], eos_ids: Sequence[int]
    ) -> None:
        self._name = str(tokenizer.name_or_path)
        added = added_tokens(tokenizer)
        named = [id_ for id_ in (tokenizer.eos_token_id, *eos_ids) if id_ is not None]
        # An id beyond the vocabulary has no token; it is never sampled either.
        known = {str(token): int(id_) for id_ in named if (token := tokenizer.convert_ids_to_tokens(int(id_)))}
        self.ends: Mapping[str, int] = {token: self._id_of(token, added) for token in ends} | known
        added_ids = {token: id_ for token, (id_, _) in added.items() if token.strip() and token not in tags.all}
        special = {token: id_ for token, id_ in added_ids.items() if added[token][1]}
        self.special: Mapping[str, int] = {**special, **self.ends}
        bracketed = {token: id_ for token, id_ in added_ids.items() if _BRACKETED.fullmatch(token)}
        self.possible: Mapping[str, int] = {**bracketed, **self.special}

    @property
    def default_end(self) -> str:
        """Raises `ModelError` where no end is known, because no completion could ever stop."""
        if not self.ends:
            raise ModelError(
                f"{self._name}: the tokenizer names no end token, so no completion could ever end; set template.ends, "
                "eos_token in its tokenizer_config.json or eos_token_id in config.json"
            )
        return next(iter(self.ends))

    def written_in(self, text: str) -> Mapping[str, int]:
        """The control tokens of a chat template that wrote `text`."""
        written = {token for token, _ in spelt_in(text, self.possible)}
        return {token: id_ for token, id_ in self.possible.items() if token in self.special or token in written}

    def _id_of(self, token: str, added: Mapping[str, tuple[int, bool]]) -> int:
        if token not in added:
            raise ModelError(
                f"template.ends: {token!r} is no control token of {self._name}{did_you_mean(token, list(added))}"
            )
        return added[token][0]
