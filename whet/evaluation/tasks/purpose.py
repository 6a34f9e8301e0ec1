"""The prompts of a prepared purpose, as a task."""

from pathlib import Path

from whet.core.records import Purpose, prompt_in
from whet.data.manifest import open_for_evaluation
from whet.evaluation.tasks.task import Task

__all__ = ["purpose_task"]


def purpose_task(data_dir: Path, purpose: Purpose) -> Task | None:
    """The prompts with a known answer of one evaluation purpose; None when there is none."""
    prompts = tuple(prompt_in(record) for record in open_for_evaluation(data_dir, purpose))
    answered = tuple(prompt for prompt in prompts if prompt.answer is not None)
    return Task(purpose=purpose, prompts=answered) if answered else None
