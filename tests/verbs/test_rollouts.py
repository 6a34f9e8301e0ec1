import json
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import RunFolderError
from whet.verbs.rollouts import best_and_worst, rollouts_of, rollouts_text


def line(sample: int, reward: float | None, text: str = "ok") -> dict[str, Any]:
    return {
        "step": 2,
        "prompt_id": "p",
        "prompt": "3+4",
        "answer": "7",
        "sample": sample,
        "text": text,
        "finish": "stop",
        "tokens": 3,
        "parts": {"answer": reward},
        "reward": reward,
        "unscorable": None if reward is not None else "answer: no number",
        "advantage": None if reward is None else reward - 0.5,
    }


def test_best_and_worst_by_reward_without_the_unscorable() -> None:
    lines = [line(0, 0.5), line(1, None), line(2, 1.0), line(3, 0.0), line(4, 0.5)]
    best, worst = best_and_worst(lines, 2)
    assert [found["sample"] for found in best] == [2, 0]
    assert [found["sample"] for found in worst] == [3, 4]
    best, worst = best_and_worst(lines[:2], 3)
    assert ([found["sample"] for found in best], worst) == ([0], [])


def test_what_a_model_wrote_cannot_drive_the_terminal() -> None:
    text = rollouts_text([line(0, 1.0, "a\x1b[2J\nb"), line(1, None)], count=1)
    assert "\x1b" not in text
    assert "step 2: 2 rollouts of 1 prompts, mean reward 1.000" in text
    assert "unscorable: 1, such as: answer: no number" in text
    assert "best 1: reward 1.000 (answer 1.000), advantage 0.500, 3 tokens, stop" in text
    assert "  wrote:  a\\x1b[2J\n          b" in text


def test_the_newest_step_or_the_one_asked_for(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="has no rollouts; they are there once"):
        rollouts_of(tmp_path, None)
    folder = tmp_path / "rl" / "rollouts"
    folder.mkdir(parents=True)
    for step in (2, 10):
        (folder / f"step-{step:06d}.jsonl").write_text(json.dumps({**line(0, 1.0), "step": step}) + "\n")
    assert rollouts_of(tmp_path, None)[0]["step"] == 10
    assert rollouts_of(tmp_path, 2)[0]["step"] == 2
    with pytest.raises(RunFolderError, match="has no rollouts of step 3; it has 2 to 10"):
        rollouts_of(tmp_path, 3)
