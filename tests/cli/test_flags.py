from pathlib import Path

import pytest

from whet.cli.flags import settings_help, split_words
from whet.core.errors import RecipeError
from whet.core.recipe.file import known_keys, section_of


def test_a_file_and_its_settings() -> None:
    words = ["a.yaml", "--sft.learning-rate", "1e-4", "--seed=3", "--data.limit", "-1", "--name=a=b"]
    expected = {"sft.learning_rate": "1e-4", "seed": "3", "data.limit": "-1", "name": "a=b"}
    assert split_words(words) == (Path("a.yaml"), expected)
    assert split_words(["--seed", "3"]) == (None, {"seed": "3"})
    assert split_words([]) == (None, {})


def test_every_wrong_word_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        split_words(
            ["a.yaml", "b.yaml", "--quite", "--dryrun", "--sft.batch-size", "--seeds"], own=["--quiet", "--dry-run"]
        )
    assert caught.value.problems == (
        "unexpected argument 'b.yaml'; settings are given as --name value",
        "unknown flag --quite; did you mean '--quiet'?",
        "unknown flag --dryrun; did you mean '--dry-run'?",
        "--sft.batch-size: a value was expected behind it",
        "unknown flag --seeds; did you mean '--seed'?",
    )


def test_help_has_every_setting_of_the_sections_and_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = settings_help("rl").splitlines()
    text = "\n".join(lines)
    assert "--rl.num-generations 8" in text
    assert "(dapo | grpo | dr_grpo)" in " ".join(text.split())
    assert "--seed 0" in text
    assert "--sft" not in text
    assert [line for line in lines if len(line) > 80 and not line.startswith("  --rl.rewards")] == []
    whole = settings_help()
    for key, field in known_keys().items():
        if section_of(field.annotation) is None:
            assert f"--{key.replace('_', '-')} " in whole, key
