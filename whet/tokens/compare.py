"""The same text through several tokenizers: how many tokens each needs, and where it cuts."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from whet.core.runlog import printable

__all__ = ["CutText", "comparison_text", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutText:
    """One tokenizer's cut: `CutText(name="whet:tiny", vocabulary=160, pieces=("3", "+", "4"), is_lossless=True)`."""

    name: str
    vocabulary: int
    pieces: tuple[str, ...]
    is_lossless: bool


def cut(name: str, tokenizer: PreTrainedTokenizerBase, text: str) -> CutText:
    """Cut plain text, without control tokens; lossless when its tokens read back as the same text."""
    ids = list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
    decode = {"clean_up_tokenization_spaces": False}
    return CutText(
        name=name,
        vocabulary=len(tokenizer),
        pieces=tuple(str(tokenizer.decode([id_], **decode)) for id_ in ids),
        is_lossless=str(tokenizer.decode(ids, **decode)) == text,
    )


def comparison_text(cuts: Sequence[CutText], text: str) -> str:
    """A table, fewest tokens first, and below it the pieces of each."""
    words = max(1, len(text.split()))
    ordered = sorted(cuts, key=lambda one: len(one.pieces))
    width = max(len("tokenizer"), *(len(one.name) for one in cuts))
    lines = [f"{'tokenizer':<{width}}{'vocabulary':>12}{'tokens':>8}{'per word':>10}{'reads back':>12}"]
    for one in ordered:
        same = "the same" if one.is_lossless else "CHANGED"
        lines.append(
            f"{one.name:<{width}}{one.vocabulary:>12,}{len(one.pieces):>8}{len(one.pieces) / words:>10.2f}{same:>12}"
        )
    for one in ordered:
        lines += ["", f"{one.name}: " + "|".join(printable(piece).replace("\n", "\\n") for piece in one.pieces)]
    return "\n".join(lines)
