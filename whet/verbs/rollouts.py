"""What a policy wrote in a step, on the terminal: the best and the worst, with their reward's parts and advantage."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.core.errors import RunFolderError
from whet.core.files import read_json_lines
from whet.core.runlog import printable

__all__ = ["best_and_worst", "rollouts_of", "rollouts_text"]

Line = Mapping[str, Any]


def rollouts_of(run: Path, step: int | None) -> list[dict[str, Any]]:
    """The lines of `rl/rollouts/step-NNNNNN.jsonl`; the newest step when none is named."""
    files = sorted((run / "rl" / "rollouts").glob("step-*.jsonl"))
    if not files:
        raise RunFolderError(f"{run}: has no rollouts; they are there once whet rl has made a step")
    steps = {int(file.stem.removeprefix("step-")): file for file in files}
    wanted = max(steps) if step is None else step
    if wanted not in steps:
        raise RunFolderError(f"{run}: has no rollouts of step {wanted}; it has {min(steps)} to {max(steps)}")
    return list(read_json_lines(steps[wanted]))


def best_and_worst(lines: Sequence[Line], count: int) -> tuple[list[Line], list[Line]]:
    """The `count` rollouts with the highest and with the lowest reward; the worst first, unscorable ones left out.

    Ties keep the file's order, and no rollout stands in both lists.
    """
    scored = sorted((line for line in lines if line["reward"] is not None), key=lambda line: -line["reward"])
    best = scored[:count]
    return best, scored[len(best) :][::-1][:count]


def rollouts_text(lines: Sequence[Line], *, count: int) -> str:
    """A step's summary, then its best and worst rollouts; everything that a model wrote is made printable."""
    best, worst = best_and_worst(lines, count)
    return "\n".join([*_summary(lines), *_section("best", best), *_section("worst", worst)])


def _summary(lines: Sequence[Line]) -> Iterator[str]:
    rewards = [line["reward"] for line in lines if line["reward"] is not None]
    prompts = len({line["prompt_id"] for line in lines})
    mean = f"mean reward {sum(rewards) / len(rewards):.3f}" if rewards else "none has a reward"
    yield f"step {lines[0]['step'] if lines else '?'}: {len(lines)} rollouts of {prompts} prompts, {mean}"
    reasons = [str(line["unscorable"]) for line in lines if line["reward"] is None]
    if reasons:
        yield f"unscorable: {len(reasons)}, such as: {printable(reasons[0], limit=200)}"


def _section(title: str, lines: Sequence[Line]) -> Iterator[str]:
    for place, line in enumerate(lines, 1):
        parts = ", ".join(f"{name} {_number(value)}" for name, value in line["parts"].items())
        yield ""
        yield (
            f"{title} {place}: reward {_number(line['reward'])} ({parts}), advantage {_number(line['advantage'])}, "
            f"{line['tokens']} tokens, {line['finish']}"
        )
        answer = "" if line["answer"] is None else f"   answer: {_text(line['answer'])}"
        yield f"  prompt: {_text(line['prompt'])}{answer}"
        yield f"  wrote:  {_text(line['text'])}"


def _text(value: Any) -> str:
    return printable(str(value), limit=2000).replace("\n", "\n          ")


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
