import json
from pathlib import Path
from typing import Any

import pytest

import whet
from whet import pipeline
from whet.core.errors import RecipeError
from whet.core.recipe import Recipe
from whet.core.runfolder import RunFolder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Recipe, tuple[str, ...]]]:
    """What reaches the pipeline, which does nothing."""
    found: list[tuple[Recipe, tuple[str, ...]]] = []

    def run(recipe: Recipe, folder: RunFolder, *, stages: Any, quiet: bool, recipe_folder: Path | None) -> None:
        found.append((recipe, tuple(stages)))

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.chdir(tmp_path)
    for name in ("rows.jsonl", "a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"prompt": "1 and 2?", "completion": "3"}\n')
    return found


def test_a_verb_puts_bare_names_into_its_section(asked: list[tuple[Recipe, tuple[str, ...]]]) -> None:
    whet.sft(model="whet:tiny", data=Path("rows.jsonl"), learning_rate=1e-3, seed=4)
    recipe, stages = asked[-1]
    assert recipe.sft is not None
    assert (recipe.sft.learning_rate, recipe.data.source, recipe.seed) == (1e-3, "rows.jsonl", 4)
    assert stages == ("data", "sft")


def test_a_verb_keeps_the_section_of_its_file(asked: list[tuple[Recipe, tuple[str, ...]]], tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("sft: {batch_size: 5, max_length: 77}\n")
    whet.sft("r.yaml", batch_size=6)
    whet.rl("r.yaml", run="other", data=["a.jsonl", Path("b.jsonl")])
    first, second = asked[0][0], asked[1][0]
    assert first.sft is not None
    assert (first.sft.batch_size, first.sft.max_length) == (6, 77)
    assert second.sft is not None
    assert (second.sft.batch_size, second.rl is not None) == (5, True)
    assert second.data.source == ("a.jsonl", "b.jsonl")


def test_dotted_and_nested_names_are_the_same(asked: list[tuple[Recipe, tuple[str, ...]]]) -> None:
    whet.run(**{"sft.batch_size": 3, "data.sizes": {"ft_train": 0.1}})
    whet.run(sft={"batch_size": 3}, data={"sizes": {"ft_train": 0.1}}, run="other")
    assert asked[0][0] == asked[1][0]


def test_an_unknown_keyword_is_named(asked: list[tuple[Recipe, tuple[str, ...]]]) -> None:
    with pytest.raises(RecipeError, match="unknown keyword 'learning_rte'; did you mean 'learning_rate'"):
        whet.sft(learning_rte=1)
    with pytest.raises(RecipeError, match="--sed: unknown key 'sed'; did you mean 'seed'"):
        whet.run(sed=1)
    assert asked == []


def test_a_run_reads_its_files(finished_run: Path) -> None:
    run = whet.Run(finished_run)
    assert [row["step"] for row in run.metrics["rl"]] == [1, 2, 3, 4]
    assert run.results is not None
    assert run.report == finished_run / "report.html"
    assert run.model("sft").is_dir()
    assert "<table>" in run._repr_html_()


def test_a_run_that_has_nothing_yet(tmp_path: Path) -> None:
    run = whet.Run(tmp_path / "<b>")
    assert (run.metrics, run.results) == ({}, None)
    assert "&lt;b&gt;" in run._repr_html_()


def test_score(tmp_path: Path) -> None:
    rows = [{"completion": "<answer>5</answer>", "answer": "5"}, {"completion": "<answer>6</answer>", "answer": "5"}]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = whet.score(tmp_path / "c.jsonl", reward="answer", out=tmp_path / "s.jsonl")
    assert [row["score"] for row in scores] == [1.0, 0.0]
    assert (tmp_path / "s.jsonl").is_file()
