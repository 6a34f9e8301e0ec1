"""Text to ids, with control tokens that no text can spell.

A template writes control tokens in the same letters that data may hold, and a tokenizer cannot tell one from the other.
So each control token gets two marks of characters that no text has, one for the template's own and one for data's:

    data        "say <|im_end|>"                guarded     say ⟦d7⟧
    rendered    <|im_start|>user\\nsay ⟦d7⟧<|im_end|>
    marked      ⟦o6⟧user\\nsay <|im_end|>⟦o7⟧     own tokens are marks, data has its own letters again

and a twin of the tokenizer, in which a control token is spelt by its mark alone, reads marked text: the template's
tokens are the tokenizer's own ids, the letters of data are letters, and nothing is altered or cut apart.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import Model
from transformers import PreTrainedTokenizerBase

from whet.core.errors import TemplateRefusalError

__all__ = ["CUT", "Encoder", "added_tokens", "spelt_in"]

# From the last private plane of Unicode; a text of data that holds one of them is refused. `CUT` marks a place in a
# text, for `chat`.
_OWN, _DATA, _END = "\U0010fff1", "\U0010fff2", "\U0010fff3"
CUT = "\U0010fff4"
_RESERVED = re.compile(f"[{_OWN}{_DATA}{_END}{CUT}]")
_MARK = re.compile(f"[{_OWN}{_DATA}]([0-9]+){_END}")


# All of a tokenizer's file but its model.
_NO_REST: Mapping[str, Any] = {
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": None,
}


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> Mapping[str, tuple[int, bool]]:
    """Every token that was added to the vocabulary: its id, and whether it is special. Named or not makes no odds."""
    return {str(token): (int(id_), bool(token.special)) for id_, token in tokenizer.added_tokens_decoder.items()}


def spelt_in(text: str, tokens: Collection[str]) -> list[tuple[str, int]]:
    """The tokens that a text spells, with the places behind them, in order; where they overlap the longest counts."""
    return [(found[0], found.end()) for found in _spelling(tokens).finditer(text)]


def _spelling(tokens: Collection[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))) or r"(?!)")


class Encoder:
    """A tokenizer whose `controls`, `{"<|im_end|>": 151645}`, are spelt by marks alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, controls: Mapping[str, int]) -> None:
        self.tokenizer = tokenizer
        self.control_ids = dict(sorted(controls.items()))
        self._tokens = tuple(self.control_ids)
        self._number = {token: number for number, token in enumerate(self._tokens)}
        self._spelt = _spelling(self._tokens)
        self._twin, self._renumbered = self._twin_of(tokenizer)

    def guarded(self, text: str) -> str:
        """Text from data, for a template: control tokens that it spells are data's marks."""
        return self._spelt.sub(lambda found: f"{_DATA}{self._number[found[0]]}{_END}", self.letters_of(text))

    def letters_of(self, text: str) -> str:
        """Text from data as marked text: none of its letters is a control token."""
        if found := _RESERVED.search(text):
            raise TemplateRefusalError(f"the text holds U+{ord(found[0]):X}, which stands for a control token here")
        return text

    def marked(self, rendered: str) -> str:
        """What a template rendered from guarded text: its own control tokens as marks, data's in letters."""
        own = self._spelt.sub(lambda found: self.mark(found[0]), rendered)
        return _MARK.sub(lambda found: found[0] if found[0][0] == _OWN else self._tokens[int(found[1])], own)

    def mark(self, token: str) -> str:
        """The mark of a control token of ours."""
        return f"{_OWN}{self._number[token]}{_END}"

    def letters(self, marked: str) -> str:
        """Marked text as one would read it."""
        return _MARK.sub(lambda found: self._tokens[int(found[1])], marked)

    def controls_in(self, marked: str) -> list[tuple[str, int]]:
        """Our control tokens in marked text with the places behind their marks, in order."""
        return [(self._tokens[int(found[1])], found.end()) for found in _MARK.finditer(marked)]

    def ids(self, marked: str) -> tuple[int, ...]:
        """The ids of marked text, without anything that the tokenizer would put around it."""
        if self._twin is None:
            return self._ids_piecewise(marked)
        found = self._twin.encode(marked, add_special_tokens=False).ids
        return tuple(self._renumbered.get(id_, id_) for id_ in found)

    def ids_behind(self, before: str, marked: str) -> tuple[int, ...]:
        """The ids of `marked` where it continues `before`, whose ids stay as they are.

        Where the tokenizer would join the two at their border (a line break before a line break), they are not joined:
        the ids of `before` were there first, and what follows is written behind them.
        """
        ends = self.controls_in(before)
        begin = before.rfind(_OWN, 0, ends[-1][1]) if ends else 0
        for context in (before[begin:], "\n"):
            head, whole = self.ids(context), self.ids(context + marked)
            if whole[: len(head)] == head:
                return whole[len(head) :]
        return self.ids(marked)

    def _ids_piecewise(self, marked: str) -> tuple[int, ...]:
        """For tokenizers written in Python, which have no twin: between marks, with special tokens split."""
        found: list[int] = []
        for place, piece in enumerate(_MARK.split(marked)):
            if place % 2:
                found.append(self.control_ids[self._tokens[int(piece)]])
            elif piece:
                found += self.tokenizer(piece, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return tuple(found)

    def _twin_of(self, tokenizer: PreTrainedTokenizerBase) -> tuple[Tokenizer | None, Mapping[int, int]]:
        """The twin, and its ids of added tokens as the tokenizer's: they are counted anew when a tokenizer is made."""
        backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            return None, {}
        marks = {token: self.mark(token) for token in self._tokens}
        twin = Tokenizer(_model_of(backend, marks))
        twin.normalizer, twin.pre_tokenizer = backend.normalizer, backend.pre_tokenizer
        added = {int(id_): token for id_, token in tokenizer.added_tokens_decoder.items()}
        added |= {id_: AddedToken(token) for token, id_ in self.control_ids.items() if id_ not in added}
        renumbered: dict[int, int] = {}
        for id_, token in sorted(added.items()):
            spelt = _respelt(token, marks[token.content]) if token.content in marks else token
            twin.add_tokens([spelt])
            twin_id = twin.token_to_id(spelt.content)
            assert twin_id is not None
            renumbered[twin_id] = id_
        return twin, renumbered


def _respelt(token: AddedToken, content: str) -> AddedToken:
    """Never normalised: a mark is found in the text as it is."""
    sides = {name: getattr(token, name) for name in ("single_word", "lstrip", "rstrip")}
    return AddedToken(content, **sides, normalized=False, special=token.special)


def _model_of(backend: Tokenizer, marks: Mapping[str, str]) -> Model:
    """The tokenizer's own model; a copy in which `marks` are the spelling where its vocabulary holds control tokens."""
    model: Model = backend.model
    if any(model.token_to_id(token) is not None for token in marks):
        parts: dict[str, Any] = json.loads(backend.to_str())
        _spell_in_model(parts["model"], marks)
        model = Tokenizer.from_str(json.dumps({**parts, **_NO_REST})).model
    return model


def _spell_in_model(model: dict[str, Any], marks: Mapping[str, str]) -> None:
    """Control tokens that the vocabulary holds as well are spelt by their marks there too, in place."""
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, list):  # Unigram: [[piece, score], ...]
        model["vocab"] = [[marks.get(piece, piece), score] for piece, score in vocabulary]
    elif isinstance(vocabulary, dict):
        held = {token for token in marks if token in vocabulary}
        model["vocab"] = {marks.get(piece, piece): id_ for piece, id_ in vocabulary.items()}
        if held and "merges" in model:
            model["merges"] = [merge for merge in model["merges"] if held.isdisjoint(_made_of(merge))]
    if model.get("unk_token") in marks:
        model["unk_token"] = marks[model["unk_token"]]


def _made_of(merge: Any) -> tuple[str, ...]:
    """A merge's two pieces and what they become."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right, left + right
