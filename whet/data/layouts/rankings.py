"""Several completions with their ranks, alone or beside a demonstration."""

from whet.core.records import Origin, Ranking, Record
from whet.data.layouts.fields import (
    BadRow,
    Row,
    answer_in,
    as_text,
    asked_in,
    prompt_of,
)
from whet.data.layouts.prompts import prompt_completion

__all__ = ["demonstration_with_ranking", "ranking"]


def ranking(row: Row, origin: Origin, think: bool) -> Record:
    completions, ranks = row["completions"], row["ranks"]
    if not isinstance(completions, list):
        raise BadRow("completions", f"not a list but {type(completions).__name__}")
    for place, text in enumerate(completions):
        as_text(text, f"completions[{place}]", may_be_empty=True)
    if not isinstance(ranks, list) or not all(isinstance(rank, int) and not isinstance(rank, bool) for rank in ranks):
        raise BadRow("ranks", "not a list of whole numbers")
    if len(ranks) != len(completions):
        raise BadRow("ranks", f"{len(ranks)} ranks for {len(completions)} completions")
    if any(not 0 <= rank < len(ranks) for rank in ranks):
        raise BadRow("ranks", "outside 0 .. number of completions - 1, 0 being the best")
    if len(set(ranks)) < 2:
        raise BadRow("ranks", "nothing is better than anything else")
    of_text: dict[str, int] = {}
    if any(of_text.setdefault(text, rank) != rank for text, rank in zip(completions, ranks, strict=True)):
        raise BadRow("ranks", "the same completion has two ranks")
    used = ("prompt", "completions", "ranks", "completion")
    prompt = prompt_of(row, asked_in(row), origin, used, answer_in(row))
    return Ranking(prompt=prompt, completions=tuple(completions), ranks=tuple(ranks))


def demonstration_with_ranking(row: Row, origin: Origin, think: bool) -> Record:
    """A demonstration whose row brings ranked completions along; they stay in the columns for the reward model."""
    ranking(row, origin, think)
    return prompt_completion(row, origin, think)
