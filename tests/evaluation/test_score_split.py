"""Scores apart for prompts that stand in training data: which these are, and the rates by hand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from whet.core.recipe import DataSettings, EvaluateSettings, TemplateSettings
from whet.core.records import Prompt
from whet.core.runlog import Progress
from whet.data.contamination.seen import seen_prompts
from whet.evaluation.contamination import contamination_lines, rates_apart
from whet.evaluation.metrics import wilson
from whet.evaluation.run import evaluate_stages, summarise
from whet.rewards import REWARDS

WALK = "Alice walks nine miles along the old river path and then rests under a tall green tree for two hours."
SEA = "What is the boiling point of pure water in degrees when measured at the level of the sea?"
FREE = "Which colour do you get when equal parts of yellow and blue paint are mixed in one pot?"


def write(path: Path, texts: list[str]) -> str:
    path.write_text("".join(json.dumps({"prompt": text, "completion": "1"}) + "\n" for text in texts))
    return str(path)


def test_a_prompt_is_named_with_the_row_it_resembles_most(tmp_path: Path, make_prompt: Callable[..., Prompt]) -> None:
    prompts = [make_prompt(text) for text in (WALK, SEA, FREE, WALK.replace("two", "3"))]
    first = write(tmp_path / "a.jsonl", ["Who goes there?", f"Read this. {WALK} Then answer it in your own words."])
    other = write(tmp_path / "b.jsonl", [WALK.upper(), SEA.replace("boiling", "freezing")])
    with (tmp_path / "b.jsonl").open("a") as lines:
        lines.write('{"prompt": null}\n')
    found = seen_prompts(prompts, [first, other], DataSettings(paraphrase="off"))
    told = {id_: (seen.kind, seen.source, seen.row) for id_, seen in found.by_id.items()}
    assert told == {
        prompts[0].id: ("exact", "b.jsonl", 0),
        # one word of 17 is in three of 15 runs of 3: 12 of 18 are common, less than 0.7; of 10 runs of 8 it leaves 6
        prompts[1].id: ("8-gram", "b.jsonl", 1),
        # one word of 19 is in two of 17 runs: 15 of 19 are common
        prompts[3].id: ("near", "b.jsonl", 0),
    }
    assert (found.rows, found.refused) == (5, 1)


def test_the_same_prompt_twice_and_one_row_for_two_prompts(tmp_path: Path, make_prompt: Callable[..., Prompt]) -> None:
    prompts = [make_prompt(WALK), make_prompt(WALK.upper()), make_prompt(SEA)]
    both = write(tmp_path / "a.jsonl", [f"{WALK} {SEA}"])
    assert {seen.row for seen in seen_prompts(prompts, [both], DataSettings()).by_id.values()} == {0}
    assert set(seen_prompts(prompts, [both], DataSettings()).by_id) == {prompt.id for prompt in prompts}


def test_a_run_of_13_words_alone_is_not_contamination(tmp_path: Path, make_prompt: Callable[..., Prompt]) -> None:
    row = " ".join(WALK.split()[:13]) + " without any of what was said before"
    source = write(tmp_path / "a.jsonl", [row])
    assert seen_prompts([make_prompt(f"{WALK} {SEA} {FREE}")], [source], DataSettings(paraphrase="off")).by_id == {}


def item(prompt: str, *, right: bool, seen: bool, name: str = "final") -> dict[str, Any]:
    return {
        "stage": "base",
        "purpose": name,
        "slice": "all",
        "prompt_id": prompt,
        "correct": right,
        "verdict": "correct" if right else "wrong",
        "tokens": 3,
        "samples": 0,
        "samples_correct": None,
        "contamination": {"kind": "exact", "score": 1.0, "source": "a.jsonl", "row": 0} if seen else None,
    }


def test_rates_by_hand() -> None:
    # seen: 3 of 4 right; others: 1 of 6
    items = [item(f"s{n}", right=n < 3, seen=True) for n in range(4)]
    items += [item(f"c{n}", right=n < 1, seen=False) for n in range(6)]
    results = summarise(items, ["base"], EvaluateSettings())
    apart = results["stages"]["base"]["final"]["by_contamination"]
    seen, clean = wilson(3, 4, confidence=0.95), wilson(1, 6, confidence=0.95)
    assert apart == {
        "clean": {"n": 6, "correct": 1, "accuracy": 1 / 6, "low": clean.low, "high": clean.high},
        "contaminated": {"n": 4, "correct": 3, "accuracy": 0.75, "low": seen.low, "high": seen.high},
    }
    assert results["stages"]["base"]["final"]["correct"] == 4
    (line,) = contamination_lines({**results, "contamination": {}}, "final")
    assert line.startswith(" base: by contamination (final): clean 16.7% of 6 (")
    assert "contaminated 75.0% of 4 (30.1% to 95.4%)" in line


def test_no_prompt_has_no_rate() -> None:
    apart = rates_apart([item("a", right=True, seen=False)], confidence=0.95)
    assert apart["contaminated"] == {"n": 0, "correct": 0, "accuracy": None, "low": None, "high": None}


def test_who_does_not_ask_gets_what_there_was() -> None:
    plain = {key: value for key, value in item("a", right=True, seen=False).items() if key != "contamination"}
    results = summarise([plain], ["base"], EvaluateSettings())
    assert "by_contamination" not in results["stages"]["base"]["final"]
    assert contamination_lines(results, "final") == []


@pytest.mark.slow
def test_an_evaluation_names_the_rows(finished_run: Path, tmp_path: Path) -> None:
    old = [json.loads(line) for line in (finished_run / "evaluation" / "items.jsonl").read_text().splitlines()]
    known = sorted({line["prompt_id"]: line["prompt"] for line in old if line["purpose"] == "final"}.items())[:5]
    source = write(tmp_path / "seen.jsonl", [text for _, text in known])
    shutil.copytree(finished_run / "evaluation" / "items", tmp_path / "out" / "items")
    evaluate_stages(
        finished_run / "data",
        {"base": "whet:tiny"},
        EvaluateSettings(max_completion_length=24, samples=2, pass_at=(1, 2), contamination=(source,)),
        verifier=REWARDS["answer"],
        data=DataSettings(paraphrase="off"),
        template=TemplateSettings(),
        seed=0,
        out=tmp_path / "out",
        reward_model=None,
        device=torch.device("cpu"),
        progress=Progress(quiet=True),
    )
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    exact = {line["prompt_id"] for line in items if (line["contamination"] or {}).get("kind") == "exact"}
    assert exact == {id_ for id_, _ in known}
    apart = results["stages"]["base"]["final"]["by_contamination"]
    assert apart["contaminated"]["n"] >= 5
    assert apart["clean"]["n"] + apart["contaminated"]["n"] == results["stages"]["base"]["final"]["n"]
    assert results["contamination"]["kinds"]["exact"] == 5
    assert results["contamination"]["rows"] == 5
    without = json.loads((finished_run / "evaluation" / "results.json").read_text())["stages"]["base"]["final"]
    assert {
        key: value for key, value in results["stages"]["base"]["final"].items() if key != "by_contamination"
    } == without
