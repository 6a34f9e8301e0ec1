"""What MinHash misses is found before anything is written, and when it is checked."""

import json
from pathlib import Path

import pytest

from whet.core.recipe import DataSettings
from whet.data import prepare
from whet.data.pairs import near
from whet.data.proof import certify
from whet.data.proof.check import check

WORDS = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(600)]


def rows(path: Path) -> str:
    """Pairs of prompts that differ in one word of 20: 15 of 21 runs of 3 in common."""
    texts = [" ".join(WORDS[20 * n : 20 * n + 20]) for n in range(30)] * 2
    texts = [text if n < 30 else text.replace(text.split()[9], "changed") for n, text in enumerate(texts)]
    lines = [json.dumps({"prompt": text, "completion": f"{n}", "answer": f"{n}"}) for n, text in enumerate(texts)]
    path.write_text("\n".join(lines))
    return str(path)


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """MinHash with no bands sees equal rows alone."""
    monkeypatch.setattr(near, "_MEETINGS", -1)
    monkeypatch.setattr(near, "_MEETINGS_PER_ROW", -1)
    monkeypatch.setattr(near, "bands_for", lambda threshold: 0)


def test_pairs_that_minhash_missed_are_joined_before_the_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind(monkeypatch)
    settings = DataSettings(source=rows(tmp_path / "rows.jsonl"), paraphrase="off", near_duplicates="keep")
    manifest = prepare.prepare(settings, seed=0, out=tmp_path / "out")
    assert manifest["edges"]["near"] > 0
    assert manifest["views"]["near"]["method"].startswith("minhash, then")
    assert check(tmp_path / "out").problems == ()


def test_the_check_finds_them_where_nothing_joined_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blind(monkeypatch)
    monkeypatch.setattr(prepare, "missed_pairs", lambda *_: None)
    settings = DataSettings(source=rows(tmp_path / "rows.jsonl"), paraphrase="off", near_duplicates="keep")
    prepare.prepare(settings, seed=0, out=tmp_path / "out")
    problems = check(tmp_path / "out").problems
    assert problems
    assert all(" is near " in problem for problem in problems)


def test_an_exact_join_leaves_nothing_to_look_for() -> None:
    assert certify.missed_pairs([], [], [], {"near": {"method": "join"}}) is None
