"""Contaminated rows by rule, and the n-gram rules against all pairs compared one by one."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.data import contamination as module
from whet.data.contamination import Hit, contamination
from whet.data.text import shingles

REAL = Path(__file__).parents[3] / "shared" / "data"
BENCHMARK = (
    "Alice walks nine miles along the old river path and then rests under a tall green tree for two hours. "
    "How far did she walk?"
)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def hits(tmp_path: Path, train: list[str], benchmark: list[str]) -> list[Hit]:
    return list(
        contamination(
            write(tmp_path / "train.jsonl", [{"prompt": text, "completion": "none"} for text in train]),
            write(tmp_path / "bench.jsonl", [{"prompt": text} for text in benchmark]),
        )
    )


def test_each_rule_names_its_pair(tmp_path: Path) -> None:
    other = "What is the boiling point of pure water in degrees when measured at the level of the sea?"
    words = BENCHMARK.split()
    train = [
        "Nothing of this kind is asked anywhere in that file, is it?",
        BENCHMARK.upper().replace(" ", "\u00a0 "),  # looks different, says the same
        BENCHMARK.replace("Alice", "Ben").replace("nine", "12").replace("two", "7"),  # other names and numbers
        f"Here is one more example. {BENCHMARK} Now solve the next one. It is about pears.",  # inside a text
        " ".join(words[:14]) + " and then everything goes on in another way that has nothing to do with it",
    ]
    found = hits(tmp_path, train, [other, BENCHMARK])
    assert [(hit.row, hit.kind, hit.benchmark_row) for hit in found] == [
        (1, "exact", 1),
        (2, "template", 1),
        (3, "8-gram", 1),
        (4, "13-gram", 1),
    ]
    assert found[0].also == ("near", "template", "8-gram", "3-gram", "13-gram")
    # 25 words make 13 runs of 13; the first 14 words hold 2 of them
    assert found[3].score == 2 / 13
    assert found[2].score == 1.0


def test_clean_files_give_nothing_and_short_rows_match_only_themselves(tmp_path: Path) -> None:
    assert hits(tmp_path, ["What is 3+2?", "Tell me about the sea."], ["What is 4+2?", BENCHMARK]) == []
    assert [hit.kind for hit in hits(tmp_path, ["what is 4+2?"], ["What is 4+2?"])] == ["exact"]


def test_n_gram_rules_equal_brute_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 37)
    chance = random.Random(0)
    phrases = [" ".join(chance.choices("a b c d e f g h i j k l m n o p".split(), k=9)) for _ in range(25)]
    train, bench = ([" ".join(chance.choices(phrases, k=3)) for _ in range(count)] for count in (300, 60))
    train = [" ".join(word for word in text.split() if chance.random() < 0.97) for text in train]
    expected = {}
    for row, text in enumerate(train):
        mine = {size: set(shingles(f"{text} none", size)) for size in (3, 8, 13)}
        kinds = set()
        for question in bench:
            runs = {size: set(shingles(question, size)) for size in (3, 8, 13)}
            plain = set(shingles(text, 3))
            if len(plain & runs[3]) >= 0.7 * len(plain | runs[3]):
                kinds.add("near")
            if len(mine[3] & runs[3]) >= 0.6 * len(runs[3]) - 1e-9:
                kinds.add("3-gram")
            if len(mine[8] & runs[8]) > 0.5 * len(runs[8]):
                kinds.add("8-gram")
            if mine[13] & runs[13]:
                kinds.add("13-gram")
        if kinds:
            expected[row] = kinds
    found = hits(tmp_path, train, bench)
    assert len(expected) > 20
    assert {hit.row: {hit.kind, *hit.also} - {"exact", "template"} for hit in found} == expected


def test_refused_rows_keep_their_numbers(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text('{"prompt": null}\n' + json.dumps({"prompt": BENCHMARK, "completion": "9"}) + "\n")
    bench = write(tmp_path / "bench.jsonl", [{"prompt": BENCHMARK}])
    assert [(hit.row, hit.benchmark_row) for hit in contamination(train, bench)] == [(1, 0)]


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        list(contamination(tmp_path / "a.jsonl", tmp_path / "b.jsonl"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_number_changed_benchmark_is_found_by_template() -> None:
    found = contamination(REAL / "gsm_hard" / "gsmhardv2.jsonl.gz", REAL / "gsm8k" / "test.jsonl")
    assert sum("template" in (hit.kind, *hit.also) for hit in found) >= 1310
