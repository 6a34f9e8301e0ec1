"""Which prompts are asked, and when there is no use in asking: nothing could be judged, or nothing was."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from whet.core.errors import DataError
from whet.data.manifest import open_for_evaluation
from whet.evaluation.items import Item, is_judged
from whet.evaluation.tasks import load_tasks
from whet.evaluation.tasks.task import Task
from whet.rewards.needs import BY_RULE, can_judge, is_beyond_the_rule, needed_columns, require_columns

__all__ = ["left_out_lines", "require_judged", "tasks_to_ask"]


def tasks_to_ask(data_dir: Path, reward: str, verifier: Callable[..., Any], *, judges_pairs: bool) -> list[Task]:
    """Every task with prompts; `DataError` when the verifier, named `reward`, can judge none of them.

    With `judges_pairs` the reward model's accuracy on `rm_test` is enough to evaluate.
    """
    tasks = load_tasks(data_dir, partial(can_judge, verifier))
    asked = [prompt for task in tasks for prompt in task.prompts]
    where = ", ".join(task.purpose for task in tasks)
    if not asked and not (judges_pairs and open_for_evaluation(data_dir, "rm_test")):
        require_columns({reward: verifier}, [prompt for task in tasks for prompt in task.left_out], where=where)
        if not tasks:
            raise DataError("evaluation: no row of final, ft_test and rl_test; raise their share in data.sizes")
        raise DataError(f"evaluation: no row of {where} has all that the reward {reward!r} needs")
    if verifier in BY_RULE and asked and all(is_beyond_the_rule(prompt.answer) for prompt in asked):
        raise DataError(
            f"evaluation: the reward {reward!r} can read none of the {len(asked)} known answers of {where}, the first "
            f"is {str(asked[0].answer)[:80]!r}; name a verifier that can, evaluate.reward: file.py:function"
        )
    return tasks


def left_out_lines(tasks: Sequence[Task], verifier: Callable[..., Any]) -> list[str]:
    """What is not asked, for the console."""
    left_out = sum(len(task.left_out) for task in tasks)
    if not left_out:
        return []
    prompts = left_out + sum(len(task.prompts) for task in tasks)
    needed = " and ".join(map(repr, needed_columns(verifier)))
    return [f"evaluation: {left_out} of {prompts} prompts have no {needed} and are not asked"]


def require_judged(items: Sequence[Item], reward: str) -> None:
    """`DataError` when the verifier had no verdict on any answer so far: it is at fault, not the models.

    Nor is there anything to compare when no prompt could be asked.
    """
    answered = [item for item in items if item["verdict"] != "unasked"]
    if items and not answered:
        raise DataError(f"evaluation: none of the {len(items)} prompts could be asked; the first: {items[0]['reason']}")
    if answered and not any(is_judged(item) for item in answered):
        raise DataError(
            f"evaluation: the reward {reward!r} could judge none of the {len(answered)} answers so far; "
            f"the first: {answered[0]['reason']}"
        )
