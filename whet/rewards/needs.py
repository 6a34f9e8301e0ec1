"""Whether rows have what the rewards need, asked before anything is sampled."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from whet.core.errors import DataError
from whet.core.records import Prompt
from whet.rewards import REWARDS
from whet.rewards.answers.compare import Expression, known_answer, read_answer
from whet.rewards.columns import row_columns
from whet.rewards.signature import columns_needed, parameters_of

__all__ = ["BY_RULE", "GIVEN_IN_RL", "can_judge", "is_beyond_the_rule", "needed_columns", "require_columns"]

# What a step of reinforcement learning gives every reward besides the columns of its row.
GIVEN_IN_RL = frozenset({"max_completion_length"})
# The rewards that compare a completion's answer with the known one by the rule of `whet.rewards.answers`.
BY_RULE = (REWARDS["answer"], REWARDS["closeness"])
# Where a known answer stands in the rows of others.
_ANSWERS = (
    *("answer", "solution", "ground_truth", "final_answer", "gold", "gt", "target", "label", "reference", "expected"),
    *("response", "output", "completion", "ground_truth_answer", "expected_answer", "correct"),
)
_MOST_NAMES = 12


def needed_columns(reward: Callable[..., Any]) -> list[str]:
    """The columns without which it says nothing of a row: all that a reward of the table names, else the required."""
    parameters = parameters_of(reward)
    if reward in REWARDS.values():
        parameters = {
            name: parameter.replace(default=parameter.empty)
            for name, parameter in parameters.items()
            if parameter.kind is not parameter.VAR_KEYWORD
        }
    return columns_needed(parameters)


def can_judge(reward: Callable[..., Any], prompt: Prompt, *, given: Collection[str] = ()) -> bool:
    """Whether the row has every column that the reward needs."""
    row = row_columns(prompt)
    return all(name in given or row.get(name) is not None for name in needed_columns(reward))


def is_beyond_the_rule(answer: str | None) -> bool:
    """Whether a known answer is neither a number nor a few words: only the same text is surely right, none is wrong."""
    return answer is not None and isinstance(read_answer(known_answer(answer)), Expression)


def require_columns(
    rewards: Mapping[str, Callable[..., Any]], prompts: Sequence[Prompt], *, where: str, given: Collection[str] = ()
) -> list[str]:
    """A line for each reward that some of the rows have nothing for; `DataError` when no row has it.

    `where` names the rows, such as rl_train; `given` are columns that whoever calls the rewards adds.
    """
    rows = [row_columns(prompt) for prompt in prompts]
    told, problems = [], []
    for name, reward in rewards.items():
        for column in needed_columns(reward):
            having = len(rows) if column in given else sum(row.get(column) is not None for row in rows)
            if rows and not having:
                problems.append(
                    f"no row of {where} has {column!r}, which the reward {name!r} needs; {_there(rows, column)}"
                )
            elif having < len(rows):
                told.append(
                    f"{len(rows) - having} of {len(rows)} rows of {where} have no {column!r}: "
                    f"the reward {name!r} says nothing of them"
                )
    if problems:
        raise DataError("; ".join(problems))
    beyond = sum(is_beyond_the_rule(prompt.answer) for prompt in prompts)
    for name in [name for name, reward in rewards.items() if reward in BY_RULE and beyond]:
        told.append(
            f"{beyond} of {len(rows)} known answers of {where} are formulas, lists or sentences: the reward {name!r} "
            "can tell that the same text is right, and calls any other unscorable"
        )
    return told


def _there(rows: Sequence[Mapping[str, Any]], wanted: str) -> str:
    """The columns that are there, and which of them may be the one that is wanted."""
    filled: dict[str, Any] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                filled.setdefault(name, value)
    if not filled:
        return "there are no other columns; give the rows one"
    names = sorted(filled)
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    return f"columns that are there: {shown}{_advice(filled, wanted)}"


def _advice(filled: Mapping[str, Any], wanted: str) -> str:
    likely = (wanted, *_ANSWERS) if wanted in _ANSWERS else (wanted,)
    if wanted != "answer" and wanted in _ANSWERS and "answer" in filled:
        return "; the known answer is passed as 'answer', so name the parameter answer"
    places = [name for name in likely if name in filled]
    places += [f"{name}.{key}" for name, value in filled.items() if isinstance(value, Mapping) for key in value]
    found = next((place for place in places if place.rpartition(".")[2] in likely), None)
    if found is None:
        return ""
    if wanted == "answer":
        return f"; say where it is, data.columns: {{answer: {found}}}"
    return f"; it may be {found!r}, which the function can take by its name"
