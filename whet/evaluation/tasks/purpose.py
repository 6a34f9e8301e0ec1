"""The prompts of a prepared purpose, as a task."""

from pathlib import Path

from whet.core.records import Purpose, prompt_in
from whet.data.manifest import open_for_evaluation
from whet.evaluation.tasks.task import CanJudge, Task

__all__ = ["purpose_task"]


def purpose_task(data_dir: Path, can_judge: CanJudge, purpose: Purpose) -> Task | None:
    """The prompts of one evaluation purpose that can be judged; None when the purpose is empty."""
    prompts = tuple(prompt_in(record) for record in open_for_evaluation(data_dir, purpose))
    asked = tuple(prompt for prompt in prompts if can_judge(prompt))
    left_out = tuple(prompt for prompt in prompts if not can_judge(prompt))
    return Task(purpose=purpose, prompts=asked, left_out=left_out) if prompts else None
