import re
from collections import Counter
from itertools import islice

import pytest

from whet.core.recipe import ArithmeticSettings
from whet.data.sources.arithmetic import arithmetic_rows, pretraining_documents
from whet.data.sources.arithmetic_words import RARE_THINGS, UNSEEN_OPENINGS, UNSEEN_QUESTIONS

SETTINGS = ArithmeticSettings(rows=3000, reasoning_share=0.5, wrong_share=0.1)
ROWS = list(arithmetic_rows(SETTINGS, seed=5))
EQUATION = re.compile(r"(\d+)([-+*])(\d+)=(\d+)")


def is_right(left: str, sign: str, right: str, result: str) -> bool:
    a, b = int(left), int(right)
    return {"+": a + b, "-": a - b, "*": a * b}[sign] == int(result)


def test_the_same_seed_gives_the_same_rows_and_no_prompt_twice() -> None:
    assert list(arithmetic_rows(SETTINGS, seed=5)) == ROWS
    assert ROWS[0] != next(arithmetic_rows(SETTINGS, seed=6))
    assert len({row["prompt"] for row in ROWS}) == 3000


def test_the_best_completion_reasons_to_the_answer() -> None:
    for row in ROWS:
        best, direct, wrong, junk = row["completions"]
        equations = EQUATION.findall(best)
        assert all(is_right(*equation) for equation in equations)
        assert len(equations) == row["steps"]
        assert equations[-1][-1] == row["answer"]
        assert best.endswith(f"</think><answer>{row['answer']}</answer>")
        assert direct == f"<answer>{row['answer']}</answer>"
        assert f"<answer>{row['answer']}</answer>" not in wrong + junk
        # every number of the thought is in the prompt, or was computed, or stands for doubling and its like
        known = set(re.findall(r"\d+", row["prompt"])) | {equation[3] for equation in equations} | {"2", "3", "4"}
        assert {equation[place] for equation in equations for place in (0, 2, 3)} <= known


def test_the_shares_are_as_asked() -> None:
    reasons = [row["completion"].startswith("<think>") for row in ROWS]
    assert sum(reasons) / 3000 == pytest.approx(0.5, abs=0.03)
    by_steps = {n: [r for r, row in zip(reasons, ROWS, strict=True) if row["steps"] == n] for n in (1, 4)}
    assert sum(by_steps[1]) / len(by_steps[1]) < 0.3 < 0.8 < sum(by_steps[4]) / len(by_steps[4])
    wrong = sum(f"<answer>{row['answer']}</answer>" not in row["completion"] for row in ROWS)
    assert wrong / 3000 == pytest.approx(0.1, abs=0.02)
    slices = Counter(row["slice"] for row in ROWS)
    assert slices["out_of_distribution"] / 3000 == pytest.approx(0.06, abs=0.015)
    assert slices["long_tail"] / 3000 == pytest.approx(0.08, abs=0.015)


def openings(forms: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(form.split("{")[0] for form in forms)


def test_unseen_forms_stand_nowhere_else() -> None:
    marks = (*openings(UNSEEN_OPENINGS), *openings(UNSEEN_QUESTIONS))
    inside = [row for row in ROWS if any(mark in row["prompt"] for mark in marks)]
    assert inside
    assert {row["slice"] for row in inside} == {"out_of_distribution"}
    pretraining = "\n".join(islice(pretraining_documents(seed=0), 5000))
    assert not any(mark in pretraining for mark in marks)


def test_rare_things_are_rare() -> None:
    for row in ROWS:
        if any(thing in row["prompt"] for thing in RARE_THINGS):
            assert row["slice"] == "long_tail"


def test_the_base_model_read_no_prompt_and_no_tag() -> None:
    documents = list(islice(pretraining_documents(seed=5), 30_000))
    stories = {document.split("\n")[0] for document in documents}
    # few different short problems exist, so that 30,000 stories would meet 3,000 prompts if the two were not kept apart
    short = list(arithmetic_rows(ArithmeticSettings(rows=3000, steps=(1, 0, 0, 0)), seed=5))
    assert not stories & {row["prompt"] for row in (*ROWS, *short)}
    assert not any("<" in document for document in documents)
    assert all(is_right(*equation) for document in documents for equation in EQUATION.findall(document))
