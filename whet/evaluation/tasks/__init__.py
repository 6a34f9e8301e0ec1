"""What models are asked, one kind of task per file. Reads evaluation purposes; judges nothing.

Add a task: write a function `(data_dir, can_judge) -> Task | None` in a file of its own, and put it into TASKS by name.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from whet.evaluation.tasks.purpose import purpose_task
from whet.evaluation.tasks.task import CanJudge, Task

__all__ = ["TASKS", "load_tasks"]

# `final` compares the stages; the others are each stage's own test.
TASKS: Mapping[str, Callable[[Path, CanJudge], Task | None]] = {
    "final": partial(purpose_task, purpose="final"),
    "ft_test": partial(purpose_task, purpose="ft_test"),
    "rl_test": partial(purpose_task, purpose="rl_test"),
}


def load_tasks(data_dir: Path, can_judge: CanJudge) -> list[Task]:
    """Every task that has prompts; those that cannot be judged are left out of its prompts."""
    found = [load(data_dir, can_judge) for load in TASKS.values()]
    return [task for task in found if task is not None]
