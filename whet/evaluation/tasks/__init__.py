"""What models are asked, one kind of task per file. Reads evaluation purposes; judges nothing.

Add a task: write a function `(data_dir) -> Task | None` in a file of its own, and put it into TASKS under its name.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from whet.evaluation.tasks.purpose import purpose_task
from whet.evaluation.tasks.task import Task

__all__ = ["TASKS", "load_tasks"]

# `final` compares the stages; the others are each stage's own test.
TASKS: Mapping[str, Callable[[Path], Task | None]] = {
    "final": partial(purpose_task, purpose="final"),
    "ft_test": partial(purpose_task, purpose="ft_test"),
    "rl_test": partial(purpose_task, purpose="rl_test"),
}


def load_tasks(data_dir: Path) -> list[Task]:
    """Every task that has prompts with a known answer."""
    found = [load(data_dir) for load in TASKS.values()]
    return [task for task in found if task is not None]
