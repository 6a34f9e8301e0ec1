"""Several completions with their ranks or scores, in lists beside each other or as objects, alone or with more."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from whet.core.records import Origin, Prompt, Ranking, Record
from whet.data.layouts.alpaca import instruction_turns
from whet.data.layouts.fields import BadRow, Row, Skipped, answer_in, as_text, finite, prompt_of, visible
from whet.data.layouts.layout import Part
from whet.data.layouts.prompts import prompt_completion
from whet.data.layouts.turns import asked_in, last_answer, turns_of

__all__ = ["demonstration_with_ranking", "graded", "holds_grades", "ranking", "scored", "steps_with_labels"]

# What the text of a graded completion is called, and its grade: of ranks the least is best, of the others the highest.
_TEXTS = ("answer", "completion", "response", "text", "content", "output")
_RANKS, _SCORES = ("rank",), ("score", "rating", "reward", "pm_score", "overall_score")


def ranking(row: Row, origin: Origin, think: bool) -> Record:
    completions, ranks = _texts(row), row["ranks"]
    if not isinstance(ranks, list) or not all(isinstance(rank, int) and not isinstance(rank, bool) for rank in ranks):
        raise BadRow("ranks", "not a list of whole numbers")
    if len(ranks) != len(completions):
        raise BadRow("ranks", f"{len(ranks)} ranks for {len(completions)} completions")
    if any(not 0 <= rank < len(ranks) for rank in ranks):
        raise BadRow("ranks", "outside 0 .. number of completions - 1, 0 being the best")
    if len(set(ranks)) < 2:
        raise BadRow("ranks", "nothing is better than anything else")
    _refuse_two_ranks(completions, ranks, "ranks")
    prompt = prompt_of(asked_in(row), origin, answer_in(row))
    return Ranking(prompt=prompt, completions=tuple(completions), ranks=tuple(ranks))


def _texts(row: Row) -> list[str]:
    completions = row["completions"]
    if not isinstance(completions, list):
        raise BadRow("completions", f"not a list but {type(completions).__name__}")
    return [as_text(text, f"completions[{place}]", may_be_empty=True) for place, text in enumerate(completions)]


def _refuse_two_ranks(texts: Sequence[str], ranks: Sequence[Any], field: str) -> None:
    of_text: dict[str, Any] = {}
    for text, rank in zip(texts, ranks, strict=True):
        if of_text.setdefault(visible(text), rank) != rank:
            blanks = "" if texts.count(text) > 1 else ", but for blanks,"
            raise BadRow(field, f"the same completion{blanks} has two ranks")


def demonstration_with_ranking(row: Row, origin: Origin, think: bool) -> Record:
    """A demonstration whose row brings ranked completions along; they stay in the columns for the reward model."""
    ranking(row, origin, think)
    return prompt_completion(row, origin, think)


def scored(row: Row, origin: Origin, think: bool) -> Sequence[Part]:
    """`completions` and `scores`, the highest the best; one whose score is null is not ranked."""
    completions, scores = _texts(row), row["scores"]
    if not isinstance(scores, list):
        raise BadRow("scores", f"not a list but {type(scores).__name__}")
    if len(scores) != len(completions):
        raise BadRow("scores", f"{len(scores)} scores for {len(completions)} completions")
    places = [f"scores[{place}]" for place in range(len(scores))]
    costs = [_cost(score, place, highest_is_best=True) for score, place in zip(scores, places, strict=True)]
    return _ranked(prompt_of(asked_in(row), origin, answer_in(row)), completions, costs, places, "scores")


def holds_grades(column: str) -> Callable[[Row], bool]:
    """Whether the cells of a column are lists with objects in them that have a grade."""

    def fits(row: Row) -> bool:
        cell = row.get(column)
        return isinstance(cell, list) and any(isinstance(one, Mapping) and _grades(one) for one in cell)

    return fits


def _grades(completion: Mapping[str, Any]) -> list[str]:
    return [name for name in (*_RANKS, *_SCORES) if name in completion]


def graded(row: Row, origin: Origin, think: bool, *, asks: str, column: str) -> Sequence[Part]:
    """Completions as objects with a rank (Nectar, NeMo-RL) or a score (Stack Exchange)."""
    texts, costs, places = [], [], []
    for number, completion in enumerate(row[column]):
        place = f"{column}[{number}]"
        grades = _grades(completion) if isinstance(completion, Mapping) else []
        if len(grades) != 1:
            found = f"several grades, {' and '.join(grades)}" if grades else "no rank and no score"
            raise BadRow(place, f"{found}; one was expected")
        texts.append(_text(completion, place))
        places.append(f"{place}.{grades[0]}")
        costs.append(_cost(completion[grades[0]], places[-1], highest_is_best=grades[0] in _SCORES))
    asked = instruction_turns(row) if asks == "instruction" else asked_in(row, asks)
    return _ranked(prompt_of(asked, origin, answer_in(row)), texts, costs, places, column)


def _text(completion: Mapping[str, Any], place: str) -> str:
    name = next((name for name in _TEXTS if completion.get(name) is not None), None)
    if name is None:
        raise BadRow(place, f"no text under any of {', '.join(_TEXTS)}")
    value, where = completion[name], f"{place}.{name}"
    if not isinstance(value, list):
        return as_text(value, where, may_be_empty=True)
    earlier, text = last_answer(turns_of(value, where), where)
    if earlier:
        raise BadRow(where, "more than one turn; one answer was expected")
    return text


def _cost(grade: Any, place: str, *, highest_is_best: bool) -> int | float | Decimal | None:
    """A number that is least for the best; None for a completion that nobody graded."""
    if grade is None:
        return None
    number = finite(grade, place)
    return -number if highest_is_best else number


def _ranked(
    prompt: Prompt,
    texts: Sequence[str],
    costs: Sequence[int | float | Decimal | None],
    places: Sequence[str],
    field: str,
) -> Sequence[Part]:
    """The ranking of what was graded, ranks without gaps; what was not is told."""
    kept = [(text, cost) for text, cost in zip(texts, costs, strict=True) if cost is not None]
    levels = sorted({cost for _, cost in kept})
    if len(levels) < 2:
        raise BadRow(field, "nothing is better than anything else" if kept else "nothing has a grade")
    completions = [text for text, _ in kept]
    ranks = [levels.index(cost) for _, cost in kept]
    _refuse_two_ranks(completions, ranks, field)
    missing = [place for place, cost in zip(places, costs, strict=True) if cost is None]
    return (
        Ranking(prompt=prompt, completions=tuple(completions), ranks=tuple(ranks)),
        *(Skipped(place, "not in the ranking: null beside completions that have a grade") for place in missing),
    )


def steps_with_labels(row: Row, origin: Origin, think: bool) -> Record:
    raise BadRow("labels", "steps with a label each are for process reward models, which whet does not train")
