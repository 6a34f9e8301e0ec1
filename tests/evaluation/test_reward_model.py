"""The reward model's test by hand: pairs in the right order, prompt by prompt."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from whet.core.recipe import TemplateSettings
from whet.core.records import Comparison, Prompt, Ranking
from whet.evaluation import reward_model
from whet.evaluation.metrics import mean_interval
from whet.evaluation.reward_model import judge_pairs, pair_results


@pytest.fixture
def records(make_prompt: Callable[..., Prompt]) -> list[Ranking | Comparison]:
    """Two comparisons, a ranking with a tie between its second and third, and one in which all are tied."""
    return [
        Comparison(prompt=make_prompt("p"), chosen="good", rejected="bad"),
        Comparison(prompt=make_prompt("q"), chosen="good", rejected="bad"),
        Ranking(prompt=make_prompt("r"), completions=("worst", "best", "middle", "also middle"), ranks=(2, 0, 1, 1)),
        Ranking(prompt=make_prompt("s"), completions=("a", "b"), ranks=(0, 0)),
    ]


# p: right. q: a tie, which is wrong. r: best 0.3, middle 0.5 and 0.1, worst 0.1, so best > middle is wrong, best > also
# middle right, best > worst right, middle > worst right, also middle > worst a tie: 3 of 5.
SCORES = [[2.0, 1.0], [1.0, 1.0], [0.1, 0.3, 0.5, 0.1], [7.0, 9.0]]


def test_a_prompt_counts_once_whatever_the_number_of_its_pairs(records: list[Ranking | Comparison]) -> None:
    found = pair_results(records, SCORES, confidence=0.9)
    assert found is not None
    # over prompts (1 + 0 + 3/5) / 3; over pairs it would be 4 of 7
    assert found["accuracy"] == pytest.approx(1.6 / 3)
    assert (found["n"], found["prompts"]) == (7, 3)
    interval = mean_interval([1.0, 0.0, 0.6], confidence=0.9)
    assert (found["low"], found["high"]) == (interval.low, interval.high)
    assert found["low"] < found["accuracy"] < found["high"]
    # pairs in the order of the completions: of r, worst < best, ... are named from the better side
    assert found["chosen_rewards"] == [2.0, 1.0, 0.3, 0.3, 0.3, 0.5, 0.1]
    assert found["rejected_rewards"] == [1.0, 1.0, 0.1, 0.5, 0.1, 0.1, 0.1]


def test_the_interval_always_holds_the_accuracy(records: list[Ranking | Comparison]) -> None:
    # rankings of very different sizes, all pairs of the large one wrong
    many = Ranking(prompt=records[0].prompt, completions=tuple("abcdefgh"), ranks=tuple(range(8)))
    found = pair_results([*records[:2], many], [[1.0, 0.0], [1.0, 0.0], list(range(8))], confidence=0.95)
    assert found is not None
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["low"] < found["accuracy"] < found["high"]


def test_without_a_pair_there_is_no_accuracy(records: list[Ranking | Comparison]) -> None:
    assert pair_results(records[3:], SCORES[3:], confidence=0.95) is None
    assert pair_results([], [], confidence=0.95) is None


def test_both_sides_of_a_record_are_scored_under_its_prompt(
    records: list[Ranking | Comparison], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known: dict[tuple[str, str], float | str] = {
        (row.prompt.id, text): score
        for row, scores in zip(records, SCORES, strict=True)
        for text, score in zip(
            row.completions if isinstance(row, Ranking) else (row.chosen, row.rejected), scores, strict=True
        )
    }

    class Scripted:
        def __init__(self, folder: Path, template: TemplateSettings, *, device: torch.device) -> None:
            assert folder == tmp_path / "judge"

        def scores(self, prompts: Sequence[Prompt], completions: Sequence[Sequence[str]]) -> list[list[float | str]]:
            return [
                [known[prompt.id, text] for text in texts] for prompt, texts in zip(prompts, completions, strict=True)
            ]

    monkeypatch.setattr(reward_model, "LearnedReward", Scripted)
    opened: list[tuple[Path, str]] = []

    def rows(folder: Path, purpose: str) -> list[Ranking | Comparison]:
        opened.append((folder, purpose))
        return records

    monkeypatch.setattr(reward_model, "open_for_evaluation", rows)

    def judged() -> dict[str, Any] | None:
        return judge_pairs(
            tmp_path / "judge", tmp_path, template=TemplateSettings(), device=torch.device("cpu"), confidence=0.9
        )

    expected = pair_results(records, SCORES, confidence=0.9)
    assert expected is not None
    assert judged() == expected | {"refused": 0}
    assert opened == [(tmp_path, "rm_test")]
    # A row of which the model's chat template takes one side only is not judged by half.
    known[next(iter(known))] = "the chat template refuses it: no"
    expected = pair_results(records[1:], SCORES[1:], confidence=0.9)
    assert expected is not None
    assert judged() == expected | {"refused": 1}
