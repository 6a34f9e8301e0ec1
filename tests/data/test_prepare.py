"""The flow from raw rows to purposes, and that two runs of it give the same bytes."""

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from whet.core.errors import DataError
from whet.core.files import read_json_lines
from whet.core.recipe import ArithmeticSettings, DataSettings, SizeSettings
from whet.core.records import EVALUATION_PURPOSES, PURPOSES, TRAINING_PURPOSES, Comparison, Conversation, Ranking
from whet.data.manifest import open_for_evaluation, open_for_training, read_rows
from whet.data.prepare import prepare
from whet.data.proof.check import check

REAL = Path(__file__).parents[3] / "shared" / "data"
WORDS = "red green blue old new small big round soft cold warm dry wet thin long short".split()
THINGS = "apple pear plum lemon cookie muffin book pencil stamp coin marble shell stone leaf button bead".split()


def write(path: Path, rows: list[Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def demonstrations(count: int) -> list[dict[str, Any]]:
    """Rows of which no two are alike, by any view."""
    return [
        {
            "prompt": f"What does a {WORDS[n % 16]} {THINGS[n // 16 % 16]} cost when bought {n // 256} times today?",
            "completion": f"<think>It costs {n}.</think><answer>{n}</answer>",
            "answer": n,
        }
        for n in range(count)
    ]


def reasons(manifest: dict[str, Any]) -> dict[tuple[str, int], tuple[str | None, str]]:
    return {(row["source"], row["row"]): (row["purpose"], row["reason"]) for row in manifest["rows"]}


def test_arithmetic_gives_every_purpose_its_kind_of_record(tmp_path: Path) -> None:
    settings = DataSettings(arithmetic=ArithmeticSettings(rows=400))
    manifest = prepare(settings, seed=1, out=tmp_path)
    kinds = {"ft": "Conversation", "rm": "Ranking", "rl": "Prompt", "fi": "Prompt"}
    for purpose in PURPOSES:
        opened = (open_for_training if purpose in TRAINING_PURPOSES else open_for_evaluation)(tmp_path, purpose)
        assert {type(record).__name__ for record in opened} == {kinds[purpose[:2]]}
        assert len(opened) == manifest["purposes"][purpose]["rows"] == manifest["purposes"][purpose]["requested"]
    assert check(tmp_path).problems == ()
    assert set(manifest["purposes"]["final"]["slices"]) == {"in_distribution", "long_tail", "out_of_distribution"}
    assert all("out_of_distribution" not in manifest["purposes"][p]["slices"] for p in PURPOSES if p != "final")
    assert {row.provenance for row in read_rows(tmp_path, "rm_train")} == {"row"}
    prompt = open_for_training(tmp_path, "rl_train")[0]
    assert set(prompt.columns) == {"steps"}  # its ranked completions would tell a reward function the answer
    assert prompt.answer


def test_the_same_rows_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    source = write(tmp_path / "here" / "rows.jsonl", demonstrations(80))
    other = write(tmp_path / "there" / "rows.jsonl", demonstrations(80))
    prepare(DataSettings(source=source), seed=1, out=tmp_path / "a")
    prepare(DataSettings(source=other), seed=1, out=tmp_path / "b")
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert files == sorted(
        ["manifest.json", "rejected.jsonl", "edges.parquet", "unused.parquet"] + [f"{p}.parquet" for p in PURPOSES]
    )
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert str(tmp_path) not in (tmp_path / "a" / "manifest.json").read_text()
    prepare(DataSettings(source=source), seed=2, out=tmp_path / "c")
    assert (tmp_path / "a" / "final.parquet").read_bytes() != (tmp_path / "c" / "final.parquet").read_bytes()


def test_exact_duplicates_are_dropped_and_siblings_stay_together(tmp_path: Path) -> None:
    rows = demonstrations(60)
    rows[40] = dict(rows[7], prompt=rows[7]["prompt"].upper())  # the same but for appearance
    rows[41] = dict(rows[8], completion="<think>Other words.</think><answer>8</answer>")  # the same prompt
    manifest = prepare(DataSettings(source=write(tmp_path / "rows.jsonl", rows)), seed=0, out=tmp_path / "out")
    found = reasons(manifest)
    dropped = [place for place in (found["rows.jsonl", 7], found["rows.jsonl", 40]) if place[0] is None]
    assert len(dropped) == 1
    assert dropped[0][1].startswith("exact duplicate of rows.jsonl row ")
    assert manifest["unused"]["reasons"]["exact duplicate"] == 1
    siblings = {found["rows.jsonl", row][0] for row in (8, 41)} - {None}
    assert len(siblings) == 1
    assert {kind: count for kind, count in manifest["edges"].items() if count} == {"exact": 1, "shared_prompt": 1}
    assert manifest["clusters"]["count"] == 58
    assert "rows.jsonl row 8 (shared_prompt)" in found["rows.jsonl", 41][1] or found["rows.jsonl", 41][0] is None


INSTRUCTION = """You read short notes of customers. Say whether the writer of the note below is content or not. Answer
with one word, in lower case, without a full stop, and do not explain it. If you are not sure choose the likelier."""


@pytest.mark.parametrize("count", [16, 200])
@pytest.mark.parametrize("answers", [1, 2])
def test_different_notes_below_one_instruction_are_different_rows(count: int, answers: int, tmp_path: Path) -> None:
    chance = random.Random(count)
    words = [word + ending for word in THINGS for ending in ("", "s", "like", "er", "ish", "less", "ful")]
    notes = [" ".join(chance.choices(words, k=10)) for _ in range(count)]
    rows = [
        {"prompt": f"{INSTRUCTION}\n{note}", "completion": ("unhappy", "content")[n % answers]}
        for n, note in enumerate(notes)
    ]
    manifest = prepare(DataSettings(source=write(tmp_path / "rows.jsonl", rows)), seed=0, out=tmp_path / "out")
    assert (manifest["clusters"]["count"], manifest["unused"]["rows"]) == (count, 0)
    assert all(entry["rows"] == entry["requested"] for entry in manifest["purposes"].values())
    passages = manifest["passages"]
    assert (passages["rows"], passages["the commonest"][0]["rows"]) == (count, count)
    assert passages["the commonest"][0]["text"].startswith("You read short notes")
    assert check(tmp_path / "out").is_proven


def test_rows_that_differ_in_the_system_turn_alone_are_no_copies(tmp_path: Path) -> None:
    def rows(count: int) -> list[Any]:
        return [
            {
                "messages": [
                    {"role": "system", "content": f"Text: {WORDS[n % 16]} {THINGS[n // 16]} and {THINGS[n % 15]} {n}"},
                    {"role": "user", "content": "Which topic is this text about?"},
                    {"role": "assistant", "content": "art"},
                ]
            }
            for n in range(count)
        ]

    manifest = prepare(DataSettings(source=write(tmp_path / "a.jsonl", rows(200))), seed=0, out=tmp_path / "a")
    assert (manifest["clusters"]["count"], manifest["unused"]["rows"]) == (200, 0)
    assert manifest["passages"]["by system turns"] == 200
    assert manifest["purposes"]["rl_train"]["rows"] > 20
    # As few as 8 ask one question under other system turns: they are not parted, and none of them goes.
    manifest = prepare(DataSettings(source=write(tmp_path / "b.jsonl", rows(8))), seed=0, out=tmp_path / "b")
    assert (manifest["clusters"]["count"], manifest["edges"]["shared_prompt"]) == (1, 7)
    assert not {"exact duplicate", "near duplicate", "the same prompt"} & manifest["unused"]["reasons"].keys()
    assert check(tmp_path / "a").is_proven


def test_preferences_train_the_reward_model_and_their_prompts_are_asked_nowhere_else(tmp_path: Path) -> None:
    rows = demonstrations(200)
    pairs = [{"prompt": row["prompt"], "chosen": "good", "rejected": "bad"} for row in rows[100:140]]
    pairs += [{"prompt": f"{row['prompt']} Why is it so?", "chosen": "good", "rejected": "bad"} for row in rows[:40]]
    settings = DataSettings(
        source=write(tmp_path / "rows.jsonl", rows), preferences=write(tmp_path / "pairs" / "rows.jsonl", pairs)
    )
    manifest = prepare(settings, seed=0, out=tmp_path / "out")
    assert [source["name"] for source in manifest["sources"]] == ["rows.jsonl", "rows.jsonl (2)"]
    ranked = [*open_for_training(tmp_path / "out", "rm_train"), *open_for_evaluation(tmp_path / "out", "rm_test")]
    assert ranked
    assert all(isinstance(record, Comparison) for record in ranked)
    assert {record.prompt.origin.source for record in ranked} == {"rows.jsonl (2)"}
    elsewhere = {
        record.prompt.text
        for purpose in ("ft_train", "ft_validation")
        for record in open_for_training(tmp_path / "out", purpose)  # type: ignore[arg-type]
    }
    assert not elsewhere & {record.prompt.text for record in ranked}
    assert check(tmp_path / "out").is_proven


def test_rankings_are_derived_where_none_are_given(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", demonstrations(100))
    prepare(DataSettings(source=source), seed=0, out=tmp_path / "out")
    rows = read_rows(tmp_path / "out", "rm_train")
    assert {row.provenance for row in rows} == {"derived"}
    assert all(isinstance(row.ranking, Ranking) and isinstance(row.record, Conversation) for row in rows)


def test_evaluation_takes_rows_with_an_answer_only(tmp_path: Path) -> None:
    rows = demonstrations(200)
    for row in rows[::2]:
        del row["answer"]
    prepare(DataSettings(source=write(tmp_path / "rows.jsonl", rows)), seed=0, out=tmp_path / "out")
    for purpose in EVALUATION_PURPOSES - {"rm_test"}:
        for record in open_for_evaluation(tmp_path / "out", purpose):
            assert (record.prompt if purpose == "ft_test" else record).answer is not None


def test_too_many_refused_rows_stop_with_the_list_written(tmp_path: Path) -> None:
    rows = [*demonstrations(90), *[{"prompt": "x"}] * 10]
    source = write(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError, match=r"10 of 100 rows were refused.*row 90, field completion: missing or null"):
        prepare(DataSettings(source=source), seed=0, out=tmp_path / "out")
    listed = list(read_json_lines(tmp_path / "out" / "rejected.jsonl"))
    assert [row["row"] for row in listed] == list(range(90, 100))
    assert not (tmp_path / "out" / "manifest.json").exists()
    manifest = prepare(DataSettings(source=source, max_rejected_share=0.1), seed=0, out=tmp_path / "out")
    assert manifest["rejected"] == {"rows": 10, "reasons": {"missing or null": 10}}


def test_a_source_of_preferences_must_hold_some(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", demonstrations(40))
    with pytest.raises(DataError, match="holds rows of prompt and completion; chosen and rejected"):
        prepare(DataSettings(source=source, preferences=source), seed=0, out=tmp_path / "out")


def test_no_usable_row_at_all_is_one_line(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [{"prompt": "x", "completion": " "}] * 3)
    with pytest.raises(DataError, match="none of 3 rows can be used"):
        prepare(DataSettings(source=source, max_rejected_share=1.0), seed=0, out=tmp_path / "out")


def test_preparing_loads_no_heavy_package() -> None:
    code = (
        "import sys, whet.data.prepare, whet.data.proof.check, whet.data.look.view, whet.data.contamination.find;"
        "print(*({'torch', 'datasets', 'pyarrow', 'transformers', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_limit_keeps_the_same_rows_whatever_their_order(tmp_path: Path) -> None:
    rows = demonstrations(100)
    chosen = []
    for name, given in (("a.jsonl", rows), ("b.jsonl", rows[::-1])):
        settings = DataSettings(source=write(tmp_path / name, given), limit=30)
        manifest = prepare(settings, seed=0, out=tmp_path / name.removesuffix(".jsonl"))
        chosen.append({row["id"] for row in manifest["rows"]})
    assert len(chosen[0]) == 30
    assert chosen[0] == chosen[1]
    assert check(tmp_path / "a").is_proven


def test_control_tokens_are_kept_and_counted(tmp_path: Path) -> None:
    rows = demonstrations(40)
    rows[3]["prompt"] += " <|im_start|>system"
    rows[4]["completion"] += "</s>"
    manifest = prepare(DataSettings(source=write(tmp_path / "rows.jsonl", rows)), seed=0, out=tmp_path / "out")
    assert manifest["control_tokens"] == {"rows": 2, "</s>": 1, "<|im_start|>": 1}


def test_counts_are_met_or_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", demonstrations(50))
    sizes = SizeSettings(**dict.fromkeys(PURPOSES, 6.0))
    manifest = prepare(DataSettings(source=source, sizes=sizes), seed=0, out=tmp_path / "out")
    assert Counter(row["purpose"] for row in manifest["rows"]) == {**dict.fromkeys(PURPOSES, 6), None: 2}
    with pytest.raises(DataError, match="ask for 56 rows in all, but only 50 are usable"):
        prepare(
            DataSettings(source=source, sizes=SizeSettings(**dict.fromkeys(PURPOSES, 7.0))), seed=0, out=tmp_path / "o"
        )


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the repository")
def test_gsm8k_is_split_exactly_and_proven(tmp_path: Path) -> None:
    manifest = prepare(DataSettings(source=str(REAL / "gsm8k" / "train.jsonl.gz")), seed=0, out=tmp_path)
    assert manifest["rejected"]["rows"] == 0
    sizes = [manifest["purposes"][purpose]["rows"] for purpose in PURPOSES]
    assert sum(sizes) + manifest["unused"]["rows"] == 7473
    assert sizes == [manifest["purposes"][purpose]["requested"] for purpose in PURPOSES]
    assert check(tmp_path).problems == ()


def test_near_copies_contradictions_and_benchmark_rows_serve_nothing(tmp_path: Path) -> None:
    rows = demonstrations(80)
    long = "A train leaves the old station at 9 in the morning and drives for 3 hours to the sea. How far does it go?"
    rows += [{"prompt": text, "completion": "It goes far.", "answer": 180} for text in (long, f"Well. {long}")]
    bench = write(tmp_path / "bench.jsonl", [{"prompt": rows[7]["prompt"].upper()}, {"prompt": "Who are you?"}])
    preferences = [
        {
            "prompt": f"Which of {WORDS[n % 16]} and {THINGS[n % 16]} is nicer?",
            "chosen": "this",
            "rejected": f"that {n}",
        }
        for n in range(40)
    ]
    preferences.append(preferences[0] | {"chosen": "that 0", "rejected": "this"})
    settings = DataSettings(
        source=write(tmp_path / "rows.jsonl", rows),
        preferences=write(tmp_path / "preferences.jsonl", preferences),
        benchmarks=(bench,),
    )
    manifest = prepare(settings, seed=0, out=tmp_path / "out")
    placed = reasons(manifest)
    assert placed["rows.jsonl", 7] == (None, "in a benchmark (exact) bench.jsonl row 0, 1.00")
    assert placed["rows.jsonl", 81] == (None, "near duplicate of rows.jsonl row 80")
    assert placed["rows.jsonl", 80][0] is not None
    for row in (0, 40):
        assert placed["preferences.jsonl", row][1].startswith("contradictory preferences")
    assert manifest["unused"]["reasons"]["in a benchmark (exact)"] == 1
    assert check(tmp_path / "out").problems == ()
    kept = prepare(settings.model_copy(update={"near_duplicates": "keep"}), seed=0, out=tmp_path / "kept")
    assert kept["unused"]["reasons"].keys().isdisjoint({"near duplicate"})


def test_a_pinned_test_set_stays_whole_and_rows_like_its_leave_training(tmp_path: Path) -> None:
    rows = demonstrations(120)
    test = [{"prompt": row["prompt"], "answer": row["answer"]} for row in rows[:5]]
    test += [
        {"prompt": f"How many {thing} fit into one {word} box?", "answer": 3}
        for thing, word in zip(THINGS, WORDS, strict=True)
    ]
    settings = DataSettings(
        source=write(tmp_path / "rows.jsonl", rows), pinned={"final": write(tmp_path / "test.jsonl", test)}
    )
    manifest = prepare(settings, seed=0, out=tmp_path / "out")
    placed = reasons(manifest)
    assert {placed["test.jsonl", row][0] for row in range(len(test))} == {"final"}
    assert manifest["purposes"]["final"]["rows"] == len(test)
    assert {placed["rows.jsonl", row][0] for row in range(5)} == {None}
    assert check(tmp_path / "out").problems == ()


def test_earlier_rows_keep_their_purposes_when_rows_are_added(tmp_path: Path) -> None:
    rows = demonstrations(200)
    first = prepare(DataSettings(source=write(tmp_path / "a.jsonl", rows[:160])), seed=0, out=tmp_path / "one")
    grown = DataSettings(source=write(tmp_path / "a.jsonl", rows), earlier=str(tmp_path / "one"))
    second = prepare(grown, seed=5, out=tmp_path / "two")
    before = {key: place[0] for key, place in reasons(first).items() if place[0]}
    after = {key: place[0] for key, place in reasons(second).items()}
    assert before.items() <= after.items()
    assert check(tmp_path / "two").problems == ()


def test_weights_thin_the_larger_source_and_say_so(tmp_path: Path) -> None:
    rows = demonstrations(200)
    names = tuple(write(tmp_path / name, part) for name, part in (("a.jsonl", rows[:40]), ("b.jsonl", rows[40:])))
    manifest = prepare(DataSettings(source=names, weights=(1, 2)), seed=0, out=tmp_path / "out")
    used = Counter(source for (source, _), (_, reason) in reasons(manifest).items() if "thinned" not in reason)
    assert used == {"a.jsonl": 40, "b.jsonl": 80}
    assert manifest["unused"]["reasons"]["thinned to keep data.weights"] == 80
    assert check(tmp_path / "out").problems == ()


def test_evaluation_is_newer_than_training(tmp_path: Path) -> None:
    rows = [row | {"day": f"2026-{1 + n // 28:02}-{1 + n % 28:02}"} for n, row in enumerate(demonstrations(200))]
    settings = DataSettings(source=write(tmp_path / "rows.jsonl", rows), time="day")
    manifest = prepare(settings, seed=0, out=tmp_path / "out")
    days = {row["row"]: rows[row["row"]]["day"] for row in manifest["rows"]}
    trained = [days[row["row"]] for row in manifest["rows"] if row["purpose"] in TRAINING_PURPOSES]
    evaluated = [days[row["row"]] for row in manifest["rows"] if row["purpose"] in EVALUATION_PURPOSES]
    assert max(trained) <= min(evaluated)
    assert len(evaluated) >= 40
    assert check(tmp_path / "out").problems == ()


def test_the_records_of_a_conversation_tree_stay_together(tmp_path: Path) -> None:
    def tree(n: int) -> dict[str, Any]:
        replies = [
            {"text": f"Reply {rank} about {THINGS[n % 16]} {n}.", "role": "assistant", "rank": rank, "replies": []}
            for rank in range(3)
        ]
        prompt = {"text": demonstrations(n + 1)[n]["prompt"], "role": "prompter", "replies": replies}
        return {"message_tree_id": f"tree{n}", "tree_state": "ready_for_export", "prompt": prompt}

    settings = DataSettings(source=write(tmp_path / "trees.jsonl", [tree(n) for n in range(60)]))
    manifest = prepare(settings, seed=0, out=tmp_path / "out")
    assert len(manifest["rows"]) > 60
    of_tree: dict[int, set[str]] = {}
    for row in manifest["rows"]:
        if row["purpose"]:
            of_tree.setdefault(row["row"], set()).add(row["purpose"])
    assert all(len(purposes) == 1 for purposes in of_tree.values())
    assert check(tmp_path / "out").problems == ()
